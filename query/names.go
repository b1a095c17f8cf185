package query

import "fmt"

// Names of codes that the filter language knows beside those of flow.Schema:
// the registries' own, and nfdump's.

// dscpNames are the code points that RFC 2474, 2597, 3246, 5865 and 8622 name.
func dscpNames() map[string]uint64 {
	names := map[string]uint64{"be": 0, "default": 0, "le": 1, "ef": 46, "va": 44, "voice-admit": 44}
	for class := range uint64(8) {
		names[fmt.Sprintf("cs%d", class)] = class * 8
	}
	for class := uint64(1); class <= 4; class++ {
		for drop := uint64(1); drop <= 3; drop++ {
			names[fmt.Sprintf("af%d%d", class, drop)] = class*8 + drop*2
		}
	}
	return names
}

// forwardClasses are the upper two bits of a forwarding status.
var forwardClasses = map[string]uint64{
	"unknown": 0, "forwarded": 1, "dropped": 2, "consumed": 3,
	"ukwn": 0, "forw": 1, "drop": 2, "term": 3,
}

// forwardReasons are single forwarding statuses (RFC 7270 §4.12). nfdump has the
// same under short names, but compares them with other numbers.
var forwardReasons = map[string]uint64{
	"fragmented": 65, "not-fragmented": 66,
	"acl-deny": 129, "acl-drop": 130, "unroutable": 131, "adjacency": 132, "fragmentation-and-df-set": 133,
	"bad-header-checksum": 134, "bad-total-length": 135, "bad-header-length": 136, "bad-ttl": 137, "policer": 138,
	"wred": 139, "rpf": 140, "dropped-for-us": 141, "bad-output-interface": 142, "hardware": 143,
	"punt-adjacency": 193, "incomplete-adjacency": 194, "consumed-for-us": 195,

	"frag": 65, "dacld": 129, "daclp": 130, "noroute": 131, "dadj": 132, "dfrag": 133, "dbadh": 134, "dbadtlen": 135,
	"dbadhlen": 136, "dbadttl": 137, "dpolicy": 138, "policy-drop": 138, "dwred": 139, "drpf": 140, "dforus": 141,
	"dbadof": 142, "dhw": 143, "tadj": 193, "tincadj": 194, "tforus": 195,
}

// natEvents are those of RFC 8158 §4.3, and nfdump's names for them.
var natEvents = map[string]uint64{
	"nat-translation-create": 1, "nat-translation-delete": 2, "nat-addresses-exhausted": 3,
	"nat44-session-create": 4, "nat44-session-delete": 5, "nat64-session-create": 6, "nat64-session-delete": 7,
	"nat44-bib-create": 8, "nat44-bib-delete": 9, "nat64-bib-create": 10, "nat64-bib-delete": 11,
	"nat-ports-exhausted": 12, "quota-exceeded": 13, "address-binding-create": 14, "address-binding-delete": 15,
	"port-block-allocation": 16, "port-block-de-allocation": 17, "threshold-reached": 18,

	"invalid": 0, "add": 1, "create": 1, "delete": 2, "exhaust": 3, "add44": 4, "del44": 5, "add64": 6, "del64": 7,
	"add44bib": 8, "del44bib": 9, "add64bib": 10, "del64bib": 11, "pexhaust": 12, "quotaexh": 13, "addaddr": 14,
	"deladdr": 15, "addpblk": 16, "delpblk": 17, "threshld": 18,
}

// firewallEvents are flow.FirewallEvent's by the verbs that nfdump has, too.
var firewallEvents = map[string]uint64{
	"ignore": 0, "create": 1, "created": 1, "delete": 2, "deleted": 2, "term": 2, "deny": 3, "denied": 3,
	"alert": 4, "update": 5, "updated": 5,
}

// deniedReasons are why a Cisco ASA denied a flow.
var deniedReasons = map[string]uint64{
	"ingress": 1001, "i-acl": 1001, "egress": 1002, "e-acl": 1002, "interface": 1003, "access": 1003, "nosyn": 1004,
}
