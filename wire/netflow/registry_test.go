package netflow

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
)

// TestRegistryIsGenerated holds the table to the lists it is made from.
func TestRegistryIsGenerated(t *testing.T) {
	files, err := filepath.Glob("elements/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	form := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	listed := map[[2]uint64]string{}
	numbers := map[uint64]bool{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(f)
		r.Comment = '#'
		rows, err := r.ReadAll()
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			pen, err := strconv.ParseUint(row[0], 10, 32)
			if err != nil {
				t.Fatalf("%s: %q: %v", file, row, err)
			}
			if filepath.Base(file) == "enterprises.csv" {
				numbers[pen] = true
				if name, _ := EnterpriseName(uint32(pen)); name != row[2] {
					t.Errorf("enterprise %d is %q, not %q: go generate", pen, name, row[2])
				}
				continue
			}
			id, err := strconv.ParseUint(row[1], 10, 16)
			if err != nil {
				t.Fatalf("%s: %q: %v", file, row, err)
			}
			if other, ok := listed[[2]uint64{pen, id}]; ok {
				t.Errorf("%s: %d/%d is both %s and %s", file, pen, id, other, row[2])
			}
			listed[[2]uint64{pen, id}] = row[2]
			if !form.MatchString(row[2]) {
				t.Errorf("%s: %d/%d has the name %q", file, pen, id, row[2])
			}
			e, ok := Lookup(uint32(pen), uint16(id))
			word := func(s, none string) string {
				if s == "" {
					return none
				}
				return s
			}
			want := []string{row[0], row[1], row[2], row[3], word(row[4], "default"), word(row[5], "none"), row[6]}
			status := ""
			if e.Deprecated {
				status = "deprecated"
			}
			got := []string{strconv.Itoa(int(e.Enterprise)), strconv.Itoa(int(e.ID)), e.Name, e.Type.String(), e.Semantics.String(), e.Units.String(), status}
			if !ok || strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("%s says %q, the table %q: go generate", file, want, got)
			}
		}
	}
	if len(listed) != len(registry) || len(numbers) != len(enterprises) {
		t.Errorf("the lists have %d elements of %d enterprises, the table %d of %d: go generate", len(listed), len(numbers), len(registry), len(enterprises))
	}
	for _, e := range registry {
		if !numbers[uint64(e.Enterprise)] {
			t.Errorf("%v: the enterprise is not in enterprises.csv", e)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		enterprise uint32
		id         uint16
		want       string // name, type, units
	}{
		{0, 1, "octetDeltaCount unsigned64 octets"},
		{0, 2, "packetDeltaCount unsigned64 packets"},
		{0, 3, "deltaFlowCount unsigned64 flows"},
		{0, 4, "protocolIdentifier unsigned8 none"},
		{0, 5, "ipClassOfService unsigned8 none"},
		{0, 6, "tcpControlBits unsigned16 none"},
		{0, 7, "sourceTransportPort unsigned16 none"},
		{0, 8, "sourceIPv4Address ipv4Address none"},
		{0, 12, "destinationIPv4Address ipv4Address none"},
		{0, 16, "bgpSourceAsNumber unsigned32 none"},
		{0, 21, "flowEndSysUpTime unsigned32 milliseconds"},
		{0, 27, "sourceIPv6Address ipv6Address none"},
		{0, 31, "flowLabelIPv6 unsigned32 none"},
		{0, 34, "samplingInterval unsigned32 packets"},
		{0, 56, "sourceMacAddress macAddress none"},
		{0, 58, "vlanId unsigned16 none"},
		{0, 61, "flowDirection unsigned8 none"},
		{0, 70, "mplsTopLabelStackSection octetArray none"},
		{0, 82, "interfaceName string none"},
		{0, 83, "interfaceDescription string none"},
		{0, 89, "forwardingStatus unsigned32 none"},
		{0, 90, "mplsVpnRouteDistinguisher octetArray none"},
		{0, 95, "applicationId octetArray none"},
		{0, 96, "applicationName string none"},
		{0, 136, "flowEndReason unsigned8 none"},
		{0, 148, "flowId unsigned64 none"},
		{0, 150, "flowStartSeconds dateTimeSeconds seconds"},
		{0, 152, "flowStartMilliseconds dateTimeMilliseconds milliseconds"},
		{0, 154, "flowStartMicroseconds dateTimeMicroseconds microseconds"},
		{0, 156, "flowStartNanoseconds dateTimeNanoseconds nanoseconds"},
		{0, 160, "systemInitTimeMilliseconds dateTimeMilliseconds milliseconds"},
		{0, 210, "paddingOctets octetArray none"},
		{0, 225, "postNATSourceIPv4Address ipv4Address none"},
		{0, 230, "natEvent unsigned8 none"},
		{0, 234, "ingressVRFID unsigned32 none"},
		{0, 236, "VRFname string none"},
		{0, 239, "biflowDirection unsigned8 none"},
		{0, 256, "ethernetType unsigned16 none"},
		{0, 276, "dataRecordsReliability boolean none"},
		{0, 291, "basicList basicList none"},
		{0, 293, "subTemplateMultiList subTemplateMultiList none"},
		{0, 302, "selectorId unsigned64 none"},
		{0, 305, "samplingPacketInterval unsigned32 packets"},
		{0, 311, "samplingProbability float64 none"},
		{0, 315, "dataLinkFrameSection octetArray none"},
		{0, 346, "privateEnterpriseNumber unsigned32 none"},
		{0, 351, "layer2SegmentId unsigned64 none"},
		{0, 434, "mibObjectValueInteger signed32 none"},
		{0, 483, "bgpCommunity unsigned32 none"},
		{0, 33002, "NF_F_FW_EXT_EVENT unsigned16 none"},
		{0, 40005, "NF_F_FW_EVENT unsigned8 none"},
		{0, 45003, "applicationHttpHost string none"}, // 9/12235 in NetFlow v9
		{0, 57590, "L7_PROTO unsigned16 none"},        // 35632/118 in NetFlow v9
		{9, 12235, "applicationHttpHost string none"},
		{9, 12242, "connectionId unsigned32 none"},
		{637, 93, "aluNatSubString string none"},
		{2636, 137, "commonPropertiesId unsigned64 none"},
		{5951, 130, "httpReqUrl string none"},
		{6871, 14, "initialTCPFlags unsigned16 none"},
		{6871, 14 | 0x4000, "reverseInitialTCPFlags unsigned16 none"},
		{6871, 40, "flowAttributes unsigned16 none"},
		{6876, 892, "tunnelKey octetArray none"},
		{10704, 4, "FW_Rule string none"},
		{35632, 118, "L7_PROTO unsigned16 none"},
		{reversePEN, 1, "reverseOctetDeltaCount unsigned64 octets"},
	} {
		e, ok := Lookup(c.enterprise, c.id)
		got := e.Name + " " + e.Type.String() + " " + e.Units.String()
		if !ok || got != c.want || e.Enterprise != c.enterprise || e.ID != c.id {
			t.Errorf("%d/%d: %s, want %s", c.enterprise, c.id, got, c.want)
		}
	}
	for _, unknown := range [][2]uint32{{0, 0}, {0, 66}, {0, 32767}, {0, 65535}, {0, 32768}, {reversePEN, 66}, {reversePEN, 40001}, {certPEN, 0x4000}, {12, 1}, {1<<32 - 1, 1}} {
		if e, ok := Lookup(unknown[0], uint16(unknown[1])); ok {
			t.Errorf("%d: %v", unknown, e)
		}
	}
}

func TestByName(t *testing.T) {
	for name, want := range map[string]string{
		"applicationName":             "applicationName(96)",
		"APPLICATIONNAME":             "applicationName(96)",
		"96":                          "applicationName(96)",
		"0/96":                        "applicationName(96)",
		"iana/applicationname":        "applicationName(96)",
		"reverseOctetDeltaCount":      "reverseOctetDeltaCount(29305/1)",
		"29305/1":                     "reverseOctetDeltaCount(29305/1)",
		"29305/octetDeltaCount":       "",
		"cisco/ApplicationHTTPHost":   "applicationHttpHost(9/12235)",
		"9/12235":                     "applicationHttpHost(9/12235)",
		"applicationHttpHost":         "applicationHttpHost(9/12235)",
		"App-ID":                      "App-ID(56701)",
		"57590":                       "L7_PROTO(57590)",
		"cert/reverseInitialTCPFlags": "reverseInitialTCPFlags(6871/16398)",
		"httpHost":                    "", // of several enterprises
		"flowmon/httpHost":            "httpHost(39499/1)",
		"4294967295/77":               "4294967295/77",
		"66":                          "66",
		"":                            "",
		"/":                           "",
		"9/":                          "",
		"nobody/1":                    "",
		"9/65536":                     "",
		"reverse":                     "",
		"reverse1":                    "",
		"applicationNameOfNothing":    "",
	} {
		e, ok := ByName(name)
		if ok != (want != "") || ok && e.String() != want {
			t.Errorf("%q is %v, want %q", name, e, want)
		}
	}
	for _, e := range registry {
		if got, ok := ByName(strconv.Itoa(int(e.Enterprise)) + "/" + strings.ToLower(e.Name)); !ok || got.Enterprise != e.Enterprise || !strings.EqualFold(got.Name, e.Name) {
			t.Errorf("%v by its name is %v", e, got)
		}
	}
}

// TestElementsAreRegistered compares what element.go takes a value for with
// what the registry says it is.
func TestElementsAreRegistered(t *testing.T) {
	types := map[conversion][]DataType{
		asAddr4: {TypeIpv4Address}, asAddr6: {TypeIpv6Address}, asMAC: {TypeMacAddress}, asLabel: {TypeOctetArray},
		asDSCP: {TypeUnsigned8}, asApplication: {TypeOctetArray}, asSeconds: {TypeDateTimeSeconds}, asMillis: {TypeDateTimeMilliseconds},
		asNTP: {TypeDateTimeMicroseconds, TypeDateTimeNanoseconds}, asBefore: {TypeUnsigned32}, asUptime: {TypeUnsigned32}, asMicros: {TypeUnsigned32},
		asFlags: {TypeUnsigned16}, asText: {TypeString}, asACL: {TypeOctetArray}, asCommunities: {TypeBasicList}, asFloat: {TypeFloat64},
	}
	for _, e := range elements {
		info, ok := Lookup(e.pen, e.id)
		if !ok {
			t.Errorf("element %d is not in the registry", e.id)
			continue
		}
		fits := false
		for _, want := range types[e.as] {
			fits = fits || info.Type == want
		}
		if e.as == asNumber {
			fits = info.Type >= TypeUnsigned8 && info.Type <= TypeUnsigned64 || info.Type == TypeDateTimeMilliseconds
		}
		if !fits {
			t.Errorf("%v is a %v: conversion %d does not fit", info, info.Type, e.as)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		of      DataType
		fit     []uint16
		misfits []uint16
	}{
		{TypeUnsigned64, []uint16{8, 5, 4, 1}, []uint16{0, 9, variable}},
		{TypeSigned16, []uint16{2, 1}, []uint16{0, 3}},
		{TypeUnsigned256, []uint16{32, 8}, []uint16{33}},
		{TypeFloat64, []uint16{8, 4}, []uint16{2, 7, 9}},
		{TypeFloat32, []uint16{4}, []uint16{2, 8}},
		{TypeIpv4Address, []uint16{4}, []uint16{3, 16, variable}},
		{TypeMacAddress, []uint16{6}, []uint16{8}},
		{TypeDateTimeMilliseconds, []uint16{8}, []uint16{4}},
		{TypeString, []uint16{0, 1, 400, variable}, nil},
		{TypeBasicList, []uint16{variable}, nil},
		{numTypes, []uint16{1, 2, 3}, nil}, // a type of tomorrow
	} {
		for _, length := range c.fit {
			if !c.of.Fits(length) {
				t.Errorf("%v does not fit %d bytes", c.of, length)
			}
		}
		for _, length := range c.misfits {
			if c.of.Fits(length) {
				t.Errorf("%v fits %d bytes", c.of, length)
			}
		}
	}
}

// TestTypesFitRecordings holds the registry's types to what devices send: the
// length that each recorded template gives to each element.
func TestTypesFitRecordings(t *testing.T) {
	odd := map[string]bool{
		"samplerId(48) of 2 bytes":    true, // Cisco ASR 9000
		"samplerId(48) of 4 bytes":    true, // Cisco IOS, IOS-XR
		"ipv4RouterSc(43) of 2 bytes": true, // H3C
	}
	fields := 0
	for _, c := range fixtures.Cases(t, "nfv9", "ipfix") {
		if c.Pcap == "" || strings.Contains(c.Name, "bad-length") {
			continue
		}
		s, _ := recorded(t, c.Pcap)
		for _, template := range s.Templates() {
			for i, f := range template.Fields {
				e, ok := s.Lookup(f.Enterprise, f.Element)
				if !ok || i < int(template.Scopes) && template.Version == flow.NetFlow9 {
					continue
				}
				fields++
				if !e.Type.Fits(f.Length) && !odd[fmt.Sprintf("%v of %d bytes", e, f.Length)] {
					t.Errorf("%s: template %d has %v of %d bytes, which is %v", c.Name, template.ID, e, f.Length, e.Type)
				}
			}
		}
	}
	t.Logf("%d fields of templates", fields)
	if fields < 3000 {
		t.Errorf("only %d fields were looked at", fields)
	}
}
