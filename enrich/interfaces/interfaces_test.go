package interfaces

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/wire/netflow"
)

func TestOf(t *testing.T) {
	router := netip.MustParseAddr("192.0.2.1")
	got := Of(router,
		[]netflow.InterfaceName{{Index: 3, Name: "Gi0/3", Description: "told"}, {Index: 1, Name: "old-name", Description: "told"}},
		[]snmp.Interface{{Index: 1, Name: "Gi0/1", Description: "GigabitEthernet0/1", Alias: "TRANSIT", Speed: 1e9, Up: true}, {Index: 2, Description: "no name"}},
	)
	yes, no := true, false
	want := []Interface{
		{router, 1, "Gi0/1", "TRANSIT", 1e9, &yes, BySNMP},
		{router, 2, "", "no name", 0, &no, ""},
		{router, 3, "Gi0/3", "told", 0, nil, ByExporter},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
