package collect

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// KindFor is the kind of column that holds every value of an element's type;
// false where there is none: signed numbers, floating point and structures.
func KindFor(t netflow.DataType) (flow.Kind, bool) {
	switch t {
	case netflow.TypeUnsigned8, netflow.TypeBoolean:
		return flow.Uint8, true
	case netflow.TypeUnsigned16:
		return flow.Uint16, true
	case netflow.TypeUnsigned32:
		return flow.Uint32, true
	case netflow.TypeUnsigned64:
		return flow.Uint64, true
	case netflow.TypeMacAddress:
		return flow.MAC, true
	case netflow.TypeIpv4Address, netflow.TypeIpv6Address:
		return flow.Address, true
	case netflow.TypeDateTimeSeconds, netflow.TypeDateTimeMilliseconds, netflow.TypeDateTimeMicroseconds, netflow.TypeDateTimeNanoseconds:
		return flow.Time, true
	case netflow.TypeString, netflow.TypeOctetArray:
		return flow.Text, true
	}
	return 0, false
}

// longestName is how many letters a column's name may have (flow.Define).
const longestName = 40

// suggestion is a line of configuration that keeps the element in a column of
// its own; "" where no column can.
func suggestion(e netflow.Information) string {
	kind, ok := KindFor(e.Type)
	if !ok {
		return ""
	}
	name := columnName(e.Name)
	if name == "" {
		name = fmt.Sprintf("element_%d_%d", e.Enterprise, e.ID)
	}
	if _, taken := flow.Lookup(name); taken {
		suffix := fmt.Sprintf("_%d", e.Enterprise)
		name = name[:min(len(name), longestName-len(suffix))] + suffix
	}
	return fmt.Sprintf("- {name: %s, type: %s, element: %d/%d}", name, kind, e.Enterprise, e.ID)
}

// columnName writes an element's name as columns are named:
// "applicationHTTPHost" as "application_http_host".
func columnName(element string) string {
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(element, "IPv", "Ipv"))
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		if upper && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		if r = unicode.ToLower(r); r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0 {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('_')
		}
	}
	name := strings.Trim(strings.ReplaceAll(b.String(), "__", "_"), "_")
	return strings.Trim(name[:min(len(name), longestName)], "_")
}
