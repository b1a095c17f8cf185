package main

import (
	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// exporterConfig defines the operator's columns and returns what the
// configuration says of decoding. It comes before all else: the store's files,
// the filter language and the API are derived from the columns.
func exporterConfig(cfg config.Config) (collect.ExporterConfig, error) {
	parser := &packet.Parser{}
	for _, tunnel := range cfg.Collect.Decapsulate {
		parser.Tunnels |= packet.TunnelsOf(uint8(tunnel))
	}
	limits := cfg.Collect.Limits
	c := collect.ExporterConfig{
		Max:     cfg.Collect.MaxExporters,
		Domains: limits.Domains,

		FlowLimit: float64(cfg.Budget.Collector),

		NetFlow: netflow.Config{
			Limits: netflow.Limits{Templates: limits.Templates, Fields: limits.Fields, WaitingSets: limits.WaitingSets, WaitingBytes: int(limits.WaitingBytes)},
			Packet: parser,
		},
	}
	c.SFlow.Packet, c.SFlow.MaxSamples = parser, limits.Samples
	for _, r := range cfg.Collect.Sampling {
		c.Sampling = append(c.Sampling, collect.SamplingRule{Exporters: r.Exporters.Prefix, Interface: r.Interface, Rate: r.Rate})
	}
	for _, column := range cfg.Columns {
		field := flow.Field{Name: column.Name, Kind: column.Type.Kind, Element: column.Element.Name, Doc: "Defined in the configuration."}
		if err := flow.Define(field); err != nil {
			return c, err
		}
		at, _ := flow.Lookup(column.Name)
		if column.Packet.Bits > 0 {
			parser.Extracts = append(parser.Extracts, packet.Extract{Column: at, Base: column.Packet.From.Base, Offset: column.Packet.Bit, Length: column.Packet.Bits})
		} else {
			c.NetFlow.Custom = append(c.NetFlow.Custom, netflow.CustomElement{Enterprise: column.Element.Enterprise, Element: column.Element.ID, Column: at})
		}
	}
	return c, nil
}

// decodingConfig is that of a file, or the default where file is "".
func decodingConfig(file string) (collect.ExporterConfig, error) {
	cfg := config.Default()
	if file != "" {
		var err error
		if cfg, err = config.Load(file); err != nil {
			return collect.ExporterConfig{}, err
		}
	}
	return exporterConfig(cfg)
}
