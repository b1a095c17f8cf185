package wire_test

import (
	"fmt"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// customs are elements without a column of ours, for which the test has its
// own: it compares them, too.
var customs = []struct {
	enterprise       uint32
	element          string // as the registry names it
	kind             flow.Kind
	logstash, tshark string
}{
	{10704, "logOp", flow.Uint8, "LogOp", "pie.barracuda.logop"},
	{10704, "FW_Rule", flow.Text, "FW_Rule", "pie.barracuda.fwrule"},
	{10704, "serviceName", flow.Text, "ServiceName", "pie.barracuda.servicename"},
	{10704, "reasonText", flow.Text, "ReasonText", "pie.barracuda.reasontext"},
	{10704, "bindIPv4Address", flow.Address, "BindIPv4Address", "pie.barracuda.bindipv4address"},
	{10704, "bindTransportPort", flow.Uint16, "BindTransportPort", "pie.barracuda.bindtransportport"},
	{10704, "connIPv4Address", flow.Address, "ConnIPv4Address", "pie.barracuda.connipv4address"},
	{10704, "auditCounter", flow.Uint32, "AuditCounter", "pie.barracuda.auditcounter"},
	{15397, "service", flow.Text, "proceraService", ""},
	{15397, "baseService", flow.Text, "proceraBaseService", ""},
	{15397, "incomingOctets", flow.Uint64, "proceraIncomingOctets", ""},
	{15397, "outgoingOctets", flow.Uint64, "proceraOutgoingOctets", ""},
	{15397, "flowBehavior", flow.Text, "proceraFlowBehavior", ""},
	{15397, "templateName", flow.Text, "proceraTemplateName", ""},
	{6871, "silkAppLabel", flow.Uint16, "silkAppLabel", ""},
	{6871, "flowAttributes", flow.Uint16, "flowAttributes", ""},
	{0, "streamcoreHostname", flow.Text, "streamcore_hostname", ""},
	{0, "streamcoreUrl", flow.Text, "streamcore_url", ""},
	{0, "streamcoreIdRule1", flow.Uint32, "streamcore_id_rule_1", ""},
	{0, "streamcoreCallDirection", flow.Uint8, "streamcore_call_direction", ""},
	{3054, "110", flow.Uint32, "", "pie.ixia.l7-application-id"},
	{0, "tcpSequenceNumber", flow.Uint32, "tcpSequenceNumber", "tcp_seq_num"},
	{0, "flowId", flow.Uint64, "conn_id", "flow_id"},
}

// config is that of the sessions.
var config = func() (c netflow.Config) {
	for i, e := range customs {
		column := flow.Columns()
		if err := flow.Define(flow.Field{Name: fmt.Sprintf("custom_%d", i), Kind: e.kind, Doc: e.element}); err != nil {
			panic(err)
		}
		known, ok := netflow.ByName(fmt.Sprintf("%d/%s", e.enterprise, e.element))
		if !ok {
			known, ok = netflow.ByName(e.element)
		}
		if !ok {
			panic("the registry does not know " + e.element)
		}
		c.Custom = append(c.Custom, netflow.CustomElement{Enterprise: known.Enterprise, Element: known.ID, Column: column})
		if e.logstash != "" {
			logstashNames[e.logstash] = column
		}
		if e.tshark != "" {
			tsharkFlow[e.tshark] = column
		}
	}
	return c
}()
