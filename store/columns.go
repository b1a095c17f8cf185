package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// columnsFile is a Parquet file without rows that has every column. Segments
// leave out the columns that none of their flows has: who reads them with
// other programs puts this file before them, and has all. In its metadata it
// describes the operator's own columns, so that they outlive the configuration.
const (
	columnsFile = "columns.parquet"
	ownColumns  = "minamo.columns" // the key of that description
)

// ownColumn is the description of a column of the operator's own.
type ownColumn struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`
	Unit    string            `json:"unit,omitempty"`
	Element string            `json:"element,omitempty"`
	Doc     string            `json:"doc,omitempty"`
	Names   map[uint64]string `json:"names,omitempty"`
}

// DefineColumns makes the operator's own columns that the data directory has
// known to flow, where the configuration does not define them. Like
// flow.Define it is for the start of a program; Open does it too. It is an
// error when a column is of another kind there than here.
func DefineColumns(dir string) error {
	own, err := readColumns(filepath.Join(dir, columnsFile))
	if err != nil {
		return fmt.Errorf("store: read the columns of %s: %w; the server writes the file anew when it starts", dir, err)
	}
	return define(dir, own)
}

func define(dir string, own []flow.Field) error {
	for _, f := range own {
		c, known := flow.Lookup(f.Name)
		switch {
		case known && flow.Schema[c].Kind == f.Kind:
		case known && c >= flow.NumColumns:
			return fmt.Errorf("store: the column %s is of kind %s in the configuration, but the flows in %s have it as %s: give the configured column another name", f.Name, flow.Schema[c].Kind, dir, f.Kind)
		case known:
			return fmt.Errorf("store: this version has a column %s of kind %s, but the flows in %s have one of their own as %s: move that directory aside and begin a new one", f.Name, flow.Schema[c].Kind, dir, f.Kind)
		default:
			if err := flow.Define(f); err != nil {
				return fmt.Errorf("store: %w; %s has columns that the configuration no longer names: move that directory aside and begin a new one", err, dir)
			}
		}
	}
	return nil
}

// keepColumns defines what the directory has, and writes what there is now.
func (s *Store) keepColumns() error {
	path := filepath.Join(s.cfg.Dir, columnsFile)
	own, err := readColumns(path)
	if err != nil {
		s.log.Error("the list of columns cannot be read and is written anew: columns that are no longer configured are not shown", "file", path, "error", err)
	}
	if err := define(s.cfg.Dir, own); err != nil {
		return err
	}
	data := columnsTable()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	temporary := filepath.Join(s.cfg.Dir, "tmp", columnsFile)
	if err = writeSynced(temporary, data); err == nil {
		err = errors.Join(os.Rename(temporary, path), syncDir(s.cfg.Dir))
	}
	if err != nil { // a full disk: flows can wait for room, so can this
		s.log.Warn("cannot write the list of columns: it is tried again at the next start", "error", err, "help", advice(err))
	}
	return nil
}

// columnsTable is the content of columnsFile.
func columnsTable() []byte {
	own := []ownColumn{}
	for _, f := range flow.Schema[flow.NumColumns:] {
		own = append(own, ownColumn{f.Name, f.Kind.String(), f.Unit, f.Element, f.Doc, f.Names})
	}
	described, _ := json.Marshal(own) // cannot fail: there are only texts
	known := elements()
	return appendFooter([]byte(magic), &format.FileMetaData{
		Version:          2,
		Schema:           append([]format.SchemaElement{root(len(known))}, known...),
		RowGroups:        []format.RowGroup{},
		KeyValueMetadata: []format.KeyValue{{Key: ownColumns, Value: string(described)}},
		CreatedBy:        "minamo",
		ColumnOrders:     columnOrders(len(known)),
	})
}

// readColumns returns the columns that a columnsFile describes; none where
// there is no such file.
func readColumns(path string) ([]flow.Field, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	meta, _, err := readFooter(f)
	if err != nil {
		return nil, err
	}
	var own []ownColumn
	for _, pair := range meta.KeyValueMetadata {
		if pair.Key == ownColumns {
			if err := json.Unmarshal([]byte(pair.Value), &own); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	fields := make([]flow.Field, len(own))
	for i, o := range own {
		kind := flow.Uint8
		for kind.String() != o.Kind {
			if kind++; kind > flow.Text {
				return nil, fmt.Errorf("%s: column %s is of a kind %q that this version does not know", path, o.Name, o.Kind)
			}
		}
		fields[i] = flow.Field{Name: o.Name, Kind: kind, Unit: o.Unit, Element: o.Element, Doc: o.Doc, Names: o.Names}
	}
	return fields, nil
}
