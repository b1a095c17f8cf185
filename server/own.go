package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
)

// registerOwn declares what the operator tells of his own network, and what
// databases of his are used. It is all that can be changed by HTTP.
func (s *Server) registerOwn(api huma.API) {
	get(api, "networks", "/api/networks", "Your networks: a number, a name, a customer and a site for prefixes", s.networks)
	put := operation("put-networks", "/api/networks", "Make these your networks: the whole list")
	put.Description = "Who bears a number keeps it, whatever the name is now. Who is not in the list is retired: flows that bear its number keep its name. Flows get a number when they are received. " + revisionDoc
	put.Method, put.MaxBodyBytes = http.MethodPut, mostNetworkBytes
	huma.Register(api, put, s.putNetworks)
	get(api, "networks-csv", "/api/networks.csv", "The same as CSV: prefix, name, customer, site", s.networksCSV)
	csv := put
	csv.OperationID, csv.Path, csv.Summary = "put-networks-csv", "/api/networks.csv", "The same from CSV"
	huma.Register(api, csv, s.putNetworksCSV)
	get(api, "geo", "/api/geo", "The databases of countries and ASes, and how old they are", s.geo)
}

// mostNetworkBytes bounds a list: a million prefixes with their names.
const mostNetworkBytes = 128 << 20

type networksBody struct {
	ETag string `header:"ETag"`
	Body NetworkList
}

// NetworkList is the operator's list.
type NetworkList struct {
	Networks []networks.Network `json:"networks"`
	Revision string             `json:"revision,omitempty" doc:"Of what was read; left out: whatever there is"`
}

func (s *Server) networks(context.Context, *struct{}) (*networksBody, error) {
	revision := s.Networks.Revision() // before: a change in between is told, not hidden
	out := &networksBody{quoted(revision), NetworkList{s.Networks.All(), revision}}
	if out.Body.Networks == nil {
		out.Body.Networks = []networks.Network{}
	}
	return out, nil
}

type putNetworksInput struct {
	Condition
	Body NetworkList
}

func (s *Server) putNetworks(ctx context.Context, in *putNetworksInput) (*networksBody, error) {
	return s.changeNetworks(ctx, cmp.Or(in.Body.Revision, in.revision()), in.Body.Networks)
}

func (s *Server) changeNetworks(ctx context.Context, revision string, list []networks.Network) (*networksBody, error) {
	if err := s.Networks.Change(revision, list); errors.Is(err, networks.ErrChanged) {
		return nil, huma.Error409Conflict(err.Error())
	} else if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err := s.rename(ctx); err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	s.Log.Info("the list of networks was replaced", "networks", len(list))
	return s.networks(ctx, nil)
}

type csvBody struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag"`
	Body        []byte
}

const csvType = "text/csv; charset=utf-8"

// revisionDoc is for what several may change.
const revisionDoc = "With the revision that was read (in the body, or its ETag as If-Match) nobody's work is overwritten unseen: 409 where somebody else has changed it meanwhile."

// Condition is by which a change says what it changes.
type Condition struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what was read; without it, whatever there is"`
}

func (c *Condition) revision() string {
	if c.IfMatch == "*" {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(c.IfMatch, "W/"), `"`)
}

func quoted(revision string) string { return `"` + revision + `"` }

func (s *Server) networksCSV(context.Context, *struct{}) (*csvBody, error) {
	revision := s.Networks.Revision()
	var b bytes.Buffer
	err := networks.WriteCSV(&b, s.Networks.All())
	return &csvBody{csvType, quoted(revision), b.Bytes()}, err
}

func (s *Server) putNetworksCSV(ctx context.Context, in *struct {
	Condition
	RawBody []byte `contentType:"text/csv" doc:"Lines of prefix, name, customer, site; the first line names the columns"`
}) (*networksBody, error) {
	list, err := networks.ReadCSV(bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	return s.changeNetworks(ctx, in.revision(), list)
}

type geoOutput struct{ Body GeoStatus }

// GeoStatus tells of the databases.
type GeoStatus struct {
	Databases []geo.DatabaseStatus `json:"databases" doc:"In the order in which they are asked; none: give them in the configuration (geo.databases), or put *.mmdb files into the folder geo of the data directory"`
}

func (s *Server) geo(context.Context, *struct{}) (*geoOutput, error) {
	return &geoOutput{GeoStatus{s.Places.Status()}}, nil
}
