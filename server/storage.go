package server

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/rollup"
	"github.com/minamo-flow/minamo/store"
)

// registerStorage declares what tells how much is kept and for how long.
func (s *Server) registerStorage(api huma.API) {
	get(api, "storage", "/api/storage", "What is kept, since when, how big it is, and its limits", s.storage)
}

// Storage tells of the data directory.
type Storage struct {
	Dir    string        `json:"dir"`
	Tables []StoredTable `json:"tables" doc:"The flows, then the rollups by the length of their buckets"`
}

// StoredTable is the flows, or the rollups of one level.
type StoredTable struct {
	Name   string     `json:"name" enum:"flows,minute,hour,day"`
	Files  int        `json:"files"`
	Rows   int64      `json:"rows"`
	Bytes  int64      `json:"bytes"`
	Oldest *time.Time `json:"oldest" doc:"Null where there is nothing"`
	Newest *time.Time `json:"newest"`
	MaxAge float64    `json:"max_age_seconds" doc:"0: no limit"`
	// Of rollups the limit is of each table, of which a level has several.
	MaxBytes int64  `json:"max_bytes" doc:"0: no limit; of rollups that of all tables of the level together"`
	Key      string `json:"key" doc:"Where in the configuration file the limits stand"`
}

func (s *Server) storage(ctx context.Context, _ *struct{}) (*struct{ Body Storage }, error) {
	described, err := store.Describe(ctx, s.DataDir, false, func(int, int) {})
	if err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	flows, rollups := s.Store.Limits()
	add := func(to *StoredTable, from *store.Table) {
		to.Files += from.Files
		to.Rows += from.Rows
		to.Bytes += from.Bytes
		if !from.Start.IsZero() && (to.Oldest == nil || from.Start.Before(*to.Oldest)) {
			to.Oldest = &from.Start
		}
		if !from.End.IsZero() && (to.Newest == nil || from.End.After(*to.Newest)) {
			to.Newest = &from.End
		}
	}
	body := Storage{Dir: s.DataDir, Tables: []StoredTable{{Name: "flows", Key: "store", MaxAge: flows.MaxAge.Seconds(), MaxBytes: flows.MaxBytes}}}
	for _, level := range rollup.Levels {
		t := StoredTable{Name: level.String(), Key: "store.rollups." + level.String(), MaxAge: rollups[level].MaxAge.Seconds()}
		for i := range described.Tables {
			if strings.HasSuffix(described.Tables[i].Name, "_"+t.Name) {
				add(&t, &described.Tables[i])
				t.MaxBytes += rollups[level].MaxBytes
			}
		}
		body.Tables = append(body.Tables, t)
	}
	for i := range described.Tables {
		if described.Tables[i].Name == "flows" {
			add(&body.Tables[0], &described.Tables[i])
		}
	}
	return &struct{ Body Storage }{body}, nil
}
