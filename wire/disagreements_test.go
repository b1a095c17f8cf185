package wire_test

import (
	"strconv"
	"time"
)

// disagreement is a value in which an oracle and we differ.
type disagreement struct {
	oracle, fixture string                         // fixture may end in *
	value           string                         // a column's name, or "flows" and so on: the number of records
	only            func(ours, theirs string) bool // which values; nil for all
	bytes           string                         // where it stands
	right           string                         // who is right: we, they
	why             string                         // the RFC's words, or the oracle's mistake

	met int // how many values differ
}

// later tells whether theirs is the time ours, plus something.
func later(by time.Duration) func(ours, theirs string) bool {
	return func(ours, theirs string) bool {
		a, err := time.Parse(time.RFC3339, ours)
		b, wrong := time.Parse(time.RFC3339, theirs)
		return err == nil && wrong == nil && b.Sub(a) == by
	}
}

// wrap is how long a 32-bit clock of milliseconds runs until it begins anew.
const wrap = 1 << 32 * time.Millisecond

// absent tells whether theirs says that there is nothing.
func absent(_, theirs string) bool { return nothing[theirs] }

// times tells whether theirs is a multiple of ours.
func times(factor int) func(ours, theirs string) bool {
	return func(ours, theirs string) bool {
		n, err := strconv.Atoi(ours)
		return err == nil && theirs == strconv.Itoa(n*factor)
	}
}

var disagreements = []disagreement{
	// Where a count or a length lies.
	{oracle: "nfdump", fixture: "logstash/Netflow-5-invalid-02", value: "flows",
		bytes: "header bytes 2 and 3: count 163; the datagram is 1464 = 24 + 30 × 48 bytes", right: "we",
		why: "30 whole records are there; nfdump drops them for the count, tshark reads them as we do"},
	{oracle: "tshark", fixture: "logstash/Netflow-9-invalid-01", value: "flows",
		bytes: "header bytes 2 and 3: count 2, with 3 templates and 3 data records", right: "we",
		why: "RFC 3954 §5.1: count is the number of all records; tshark stops behind the second set, nfdump reads on by the sets' lengths as we do"},
	{oracle: "tshark", fixture: "logstash/Netflow-9-invalid-01", value: "options",
		bytes: "as the flows", right: "we", why: "as the flows"},
	{oracle: "tshark", fixture: "vflow/inline/decoder_test_go_L59", value: "flows",
		bytes: "last set at byte 1310: length 99 with 56 bytes left", right: "we",
		why: "the two records of the set before are whole; tshark shows none of the datagram's, nfdump the same two as we"},
	{oracle: "tshark", fixture: "ipfix/inline/TestBadEncodingError", value: "flows",
		bytes: "second datagram, set at byte 757: the second record's string (FF 00 01 …) reaches beyond the set", right: "we",
		why: "RFC 7011 §7: a field ends where its length says, and its set is over before; tshark shows what follows as a record, nfdump agrees with us"},
	{oracle: "sflowtool", fixture: "goflow/inline/getExpandedSFlowDecode", value: "samples",
		bytes: "second datagram, byte 84: the switch record's length is 6", right: "we",
		why: "sFlow v5 §5.3, extended_switch is 16 bytes, and so are these six; sflowtool gives the datagram up, tshark reads all six samples as we do"},

	// What is taken for something else, or missing.
	{oracle: "tshark", fixture: "tcpdump/sflow_multiple_counter_30_pdus", value: "flows",
		bytes: "UDP destination port 6343", right: "we",
		why: "tshark goes by the port and takes NetFlow v5 for sFlow of version 327681; nfdump agrees with us"},
	{oracle: "tshark", fixture: "tcpdump/sflow_multiple_counter_30_pdus", value: "VGs",
		bytes: "12th datagram, byte 48: a record of format 2001 and length 68", right: "we",
		why: "tshark does not know host adapters, does not skip them by their length either, and takes their second word for a record of format 4; sflowtool agrees with us"},
	{oracle: "tshark", fixture: "tcpdump/sflow_multiple_counter_30_pdus", value: "Ethernets",
		bytes: "as VGs", right: "we", why: "as VGs"},
	{oracle: "netflow_parser", fixture: "netflow_parser/inline/it_parses_ipfix_multiple_flow_records", value: "flows",
		bytes: "sets 257 and 258 of the second datagram", right: "they",
		why: "their templates came in a datagram that the fixtures don't have; tshark and nfdump see as much as we do"},

	// nfdump 1.7.1 on NetFlow v5.
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L32", value: "bytes", only: times(1000),
		bytes: "record bytes 20 to 23", right: "we", why: "nfdump multiplies by the rate in header bytes 22, 23 (1000); a row keeps what was exported and the rate beside it"},
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L32", value: "packets", only: times(1000),
		bytes: "record bytes 16 to 19", right: "we", why: "as the bytes"},
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L32", value: "src_mask", only: absent,
		bytes: "record byte 44", right: "we", why: "nfdump 1.7.1 loses the masks of v5; tshark agrees with us"},
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L32", value: "dst_mask", only: absent,
		bytes: "record byte 45", right: "we", why: "as src_mask"},
	{oracle: "nfdump", fixture: "tcpdump/sflow_multiple_counter_30_pdus", value: "src_mask", only: absent,
		bytes: "record byte 44", right: "we", why: "nfdump 1.7.1 loses the masks of v5"},
	{oracle: "nfdump", fixture: "tcpdump/sflow_multiple_counter_30_pdus", value: "dst_mask", only: absent,
		bytes: "record byte 45", right: "we", why: "as src_mask"},

	// Times.
	{oracle: "nfdump", fixture: "python-netflow-v9-softflowd/inline/v9", value: "start", only: later(wrap),
		bytes: "header bytes 4 to 7: uptime 3 ms; fields 22, 21: 4215019773 ms and the like", right: "we",
		why: "RFC 3954 §5.1: sysUptime is milliseconds since boot, in 32 bits; a stamp 49 days ahead of it is one from before it wrapped, not from the future"},
	{oracle: "nfdump", fixture: "python-netflow-v9-softflowd/inline/v9", value: "end", only: later(wrap),
		bytes: "as start", right: "we", why: "as start"},
	{oracle: "tshark", fixture: "python-netflow-v9-softflowd/inline/v9", value: "start", only: later(wrap),
		bytes: "as for nfdump", right: "we", why: "as for nfdump"},
	{oracle: "tshark", fixture: "python-netflow-v9-softflowd/inline/v9", value: "end", only: later(wrap),
		bytes: "as for nfdump", right: "we", why: "as for nfdump"},
	{oracle: "logstash", fixture: "logstash/Netflow-9-*", value: "start", only: later(time.Second),
		bytes: "field 22, and header bytes 4 to 11", right: "we", why: "logstash subtracts the stamp's milliseconds without borrowing from the seconds; tshark and nfdump agree with us"},
	{oracle: "logstash", fixture: "logstash/Netflow-9-*", value: "end", only: later(time.Second),
		bytes: "field 21, and header bytes 4 to 11", right: "we", why: "as start"},
	{oracle: "nfdump", fixture: "python-netflow-v9-softflowd/inline/ipfix_ether", value: "start",
		bytes: "set 1024: fields 22, 21: E58B988B, E58B993E; boot and export time both 1994-01-25T23:00:00Z", right: "we",
		why: "stamps 44 days ahead of the uptime: nfdump lets the flows happen after they were exported, and exchanges start and end (RFC 7012: 22 is the start, 21 the end)"},
	{oracle: "nfdump", fixture: "python-netflow-v9-softflowd/inline/ipfix_ether", value: "end",
		bytes: "as start", right: "we", why: "as start"},
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L59", value: "start",
		bytes: "set 264: fields 158 and 159: 000B94A8 µs before the export time", right: "we",
		why: "RFC 7012: flowStartDeltaMicroseconds is relative to the export time; nfdump takes it for milliseconds since 1970"},
	{oracle: "nfdump", fixture: "vflow/inline/decoder_test_go_L59", value: "end",
		bytes: "as start", right: "we", why: "as start"},

	// ICMP without an element of its own.
	{oracle: "nfdump", fixture: "NetGauze/*", value: "icmp_type",
		bytes: "field 7: 2714; field 11: 0001", right: "we",
		why: "without icmpTypeCodeIPv4 exporters put type and code into the destination port, as NetFlow v5 did; nfdump 1.7.1 takes the source port's bytes"},
	{oracle: "nfdump", fixture: "NetGauze/*", value: "icmp_code",
		bytes: "as icmp_type", right: "we", why: "as icmp_type"},
	{oracle: "nfdump", fixture: "logstash/Netflow-9-Cisco-NBAR-flowset-262", value: "icmp_type", only: absent,
		bytes: "field 11: 0800", right: "we", why: "type 8, code 0 in the destination port; nfdump shows none"},
	{oracle: "nfdump", fixture: "fluent/v9-mpls", value: "icmp_type", only: absent,
		bytes: "field 11: 0800", right: "we", why: "type 8, code 0 in the destination port; nfdump shows none"},
	{oracle: "nfdump", fixture: "netflow_parser/inline/it_parses_v9_with_multiple_options_data", value: "icmp_type", only: absent,
		bytes: "field 11: DF07", right: "we", why: "in the destination port; the record is made up of random values"},
	{oracle: "nfdump", fixture: "netflow_parser/inline/it_parses_v9_with_multiple_options_data", value: "icmp_code", only: absent,
		bytes: "as icmp_type", right: "we", why: "as icmp_type"},
	{oracle: "nfdump", fixture: "logstash/IPFIX-Procera", value: "icmp_type",
		bytes: "second and fifth record: field 7: 0088, field 11: 0087", right: "we",
		why: "no element says it: Procera puts each direction's ICMPv6 type (neighbour advertisement, solicitation) into a port of its own; nfdump takes the source's low byte"},
	{oracle: "nfdump", fixture: "python-netflow-v9-softflowd/inline/ipfix_ether", value: "dst_port",
		bytes: "sets 1025 and 2049: fields 32 and 139", right: "we", why: "these templates have icmpTypeCode and no port; nfdump shows one as the other"},

	// The rest.
	{oracle: "logstash", fixture: "logstash/Netflow-9-Fortigate-FortiOS-54x-appid", value: "application_id",
		bytes: "field 95 of length 9: 14 00 00 30 44 00 00 8F 34", right: "we",
		why: "RFC 6759 §4.1: engine 20, then the enterprise's number, then the selector; logstash reads the first four bytes"},
	{oracle: "nfdump", fixture: "NetGauze/inline/ipfix-subregs_rs", value: "forwarding_status",
		bytes: "field 89 of length 4: 00 00 00 86", right: "we", why: "IANA: forwardingStatus is unsigned32 with the status in the low byte (RFC 7270 §4.12 has it in one); nfdump takes the first byte, tshark the last"},
	{oracle: "nfdump", fixture: "logstash/IPFIX-YAF-basic-with-applabel", value: "tos",
		bytes: "bytes 76 and 77 of the second record: 02, 00", right: "we", why: "ipClassOfService, then its reverse (RFC 5103): nfdump shows the reverse for both; tshark and logstash agree with us"},
	{oracle: "nfdump", fixture: "logstash/IPFIX-YAF-basic-with-applabel", value: "tcp_flags", only: absent,
		bytes: "second record: elements 14 and 15 of enterprise 6871: C2, 11", right: "we", why: "YAF exports the first packet's flags and the others' apart; nfdump knows neither, logstash agrees with us"},
	{oracle: "nfdump", fixture: "netflow_parser/inline/it_parses_ipfix_enterprise_bit_template_and_data", value: "src_addr", only: absent,
		bytes: "element 12236 of enterprise 9: 0A D1 65 42", right: "we", why: "nfdump does not know Cisco's connection client and server; tshark and netflow_parser agree with us"},
	{oracle: "nfdump", fixture: "netflow_parser/inline/it_parses_ipfix_enterprise_bit_template_and_data", value: "dst_addr", only: absent,
		bytes: "element 12237 of enterprise 9: 0A 00 00 F1", right: "we", why: "as src_addr"},
}
