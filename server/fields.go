package server

import (
	"context"
	"strconv"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
)

type fieldsOutput struct {
	Body struct {
		Columns    []FieldInfo     `json:"columns"`
		Dimensions []DimensionInfo `json:"dimensions" doc:"What flows can be grouped by; addresses also by prefix, such as src_addr/24"`
		Metrics    []MetricInfo    `json:"metrics" doc:"What reports can rank by"`
	}
}

// FieldInfo is a column of a flow record.
type FieldInfo struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Unit     string            `json:"unit,omitempty"`
	Required bool              `json:"required" doc:"Every flow has it"`
	Element  string            `json:"element,omitempty" doc:"IPFIX elements it comes from"`
	Doc      string            `json:"doc"`
	Names    map[string]string `json:"names,omitempty" doc:"Names of its codes"`
}

// DimensionInfo is something to group by.
type DimensionInfo struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// MetricInfo is something to rank by.
type MetricInfo struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Unit     string `json:"unit"`
	Additive bool   `json:"additive" doc:"Whether the values of rows add up to the total's, so that a chart can stack them"`
	Doc      string `json:"doc"`
}

func (s *Server) fields(context.Context, *struct{}) (*fieldsOutput, error) {
	out := &fieldsOutput{}
	for _, f := range flow.Schema {
		info := FieldInfo{Name: f.Name, Kind: f.Kind.String(), Unit: f.Unit, Required: f.Required, Element: f.Element, Doc: f.Doc}
		for code, name := range f.Names {
			if info.Names == nil {
				info.Names = map[string]string{}
			}
			info.Names[strconv.FormatUint(code, 10)] = name
		}
		out.Body.Columns = append(out.Body.Columns, info)
	}
	for _, d := range query.Dimensions() {
		out.Body.Dimensions = append(out.Body.Dimensions, DimensionInfo{d.Name, d.Doc})
	}
	for _, m := range query.Metrics() {
		out.Body.Metrics = append(out.Body.Metrics, MetricInfo{string(m), m.Title(), m.Unit(), m.Additive(), m.Doc()})
	}
	return out, nil
}
