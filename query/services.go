package query

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/minamo-flow/minamo/services"
)

// ServiceName returns the name of a well-known service, or "".
func ServiceName(protocol uint8, port uint16) string {
	return services.Names[services.Service{Protocol: protocol, Port: port}]
}

// servicesTable is the SQL of the table that queries by service join with;
// joining is several times faster than any expression over the port.
func servicesTable() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE services (service_protocol UTINYINT, service_port USMALLINT);\nINSERT INTO services VALUES ")
	separator := ""
	for s := range services.Names {
		fmt.Fprintf(&b, "%s(%d, %d)", separator, s.Protocol, s.Port)
		separator = ", "
	}
	return b.String() + ";\n"
}

// servicesJoin finds for each flow whether its ports are well known.
const servicesJoin = `
LEFT JOIN services AS src_service ON src_service.service_protocol = protocol AND src_service.service_port = src_port
LEFT JOIN services AS dst_service ON dst_service.service_protocol = protocol AND dst_service.service_port = dst_port`

// serviceSQL is the service of a flow as one number: the protocol, whether it
// has a port, and the port: that of the side which is well known, else the
// lower one.
const serviceSQL = `(protocol * 131072::UINTEGER + CASE
	WHEN protocol NOT IN (6, 17, 33, 132, 136) THEN 0
	WHEN (src_service.service_port IS NULL) = (dst_service.service_port IS NULL) THEN coalesce(65536 + least(src_port, dst_port), 0)
	WHEN src_service.service_port IS NULL THEN 65536 + dst_port
	ELSE 65536 + src_port END)`

// serviceValue gives "443/tcp https", "8765/udp" or "icmp".
func serviceValue(v any) Value {
	n, ok := toUint(v)
	if !ok {
		return Value{Label: Absent}
	}
	protocol, port := uint8(n>>17), uint16(n)
	name := strings.ToLower(ProtocolLabel(protocol))
	if n&(1<<16) == 0 {
		return textValue(name)
	}
	text := strconv.Itoa(int(port)) + "/" + name
	if known := ServiceName(protocol, port); known != "" {
		text += " " + known
	}
	return textValue(text)
}
