package server

import (
	"strings"
	"testing"
)

func TestRolesOfInterfaces(t *testing.T) {
	web, _ := site(t)
	if text := fetch(t, web, "/api/interfaces/roles", 200, nil); !strings.Contains(text, `"rules":[]`) || !strings.Contains(text, `"interfaces":[]`) {
		t.Errorf("at first: %s", text)
	}
	body := `{"rules":[{"name":"^xe-","role":"external"}],"interfaces":[{"exporter":"192.0.2.1","index":7,"role":"external"}]}`
	if status, text := put(t, web, "/api/interfaces/roles", "application/json", body); status != 200 {
		t.Fatalf("%d: %s", status, text)
	}
	var list InterfaceList
	fetch(t, web, "/api/interfaces", 200, &list)
	if len(list.Interfaces) != 1 || list.Interfaces[0].Role != "external" || list.Interfaces[0].By != -1 {
		t.Errorf("%+v", list.Interfaces)
	}
	// Questions know them at once.
	fetch(t, web, "/api/report?by=in_role&filter=in+role+external", 200, nil)
	for what, body := range map[string]string{
		"a wrong expression": `{"rules":[{"name":"(","role":"external"}],"interfaces":[]}`,
		"a wrong role":       `{"rules":[{"name":"a","role":"edge"}],"interfaces":[]}`,
	} {
		if status, text := put(t, web, "/api/interfaces/roles", "application/json", body); status != 422 {
			t.Errorf("%s: %d: %s", what, status, text)
		}
	}
	if status, _ := put(t, web, "/api/interfaces/roles", "application/json", body, "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site may write: %d", status)
	}
}
