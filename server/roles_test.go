package server

import (
	"fmt"
	"net/http"
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

// Of two who read the same and change it, the second one is told, whichever way.
func TestTwoEditors(t *testing.T) {
	web, _ := site(t)
	for _, c := range []struct{ path, csv, body, lines string }{
		{"/api/interfaces/roles", "/api/interfaces/roles.csv", `{"rules":[],"interfaces":[{"exporter":"192.0.2.1","index":7,"role":"core"}],"revision":"%s"}`, "exporter,index,role\n192.0.2.1,8,external\n"},
		{"/api/networks", "/api/networks.csv", `{"networks":[{"number":0,"name":"a","prefixes":["192.0.2.0/24"]}],"revision":"%s"}`, "prefix,name\n198.51.100.0/24,b\n"},
	} {
		read := func() string {
			t.Helper()
			var body struct{ Revision string }
			fetch(t, web, c.path, 200, &body)
			r, err := http.Get(web.URL + c.csv)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if tag := r.Header.Get("ETag"); body.Revision == "" || tag != `"`+body.Revision+`"` {
				t.Fatalf("%s: revision %q, of the CSV %s", c.path, body.Revision, tag)
			}
			return body.Revision
		}
		first := read()
		if status, text := put(t, web, c.path, "application/json", fmt.Sprintf(c.body, first)); status != 200 || !strings.Contains(text, `"revision":"`+read()) {
			t.Errorf("%s: %d: %s", c.path, status, text)
		}
		second := read()
		if status, text := put(t, web, c.path, "application/json", fmt.Sprintf(c.body, first)); status != 409 || !strings.Contains(text, "somebody else") {
			t.Errorf("%s: %d: %s", c.path, status, text)
		}
		if status, _ := put(t, web, c.csv, "text/csv", c.lines, "If-Match", `"`+first+`"`); status != 409 {
			t.Errorf("%s: %d", c.csv, status)
		}
		if status, text := put(t, web, c.csv, "text/csv", c.lines, "If-Match", `"`+second+`"`); status != 200 {
			t.Errorf("%s: %d: %s", c.csv, status, text)
		}
		if status, text := put(t, web, c.csv, "text/csv", c.lines); status != 200 { // who does not ask
			t.Errorf("%s: %d: %s", c.csv, status, text)
		}
	}
	if text := fetch(t, web, "/api/interfaces/roles.csv", 200, nil); text != "exporter,index,role,by_rule,name,description\n192.0.2.1,8,external,,,\n" {
		t.Errorf("roles as CSV: %q", text)
	}
	if status, text := put(t, web, "/api/interfaces/roles.csv", "text/csv", "exporter,index,role\n192.0.2.1,8,edge\n"); status != 422 || !strings.Contains(text, "line 2") {
		t.Errorf("%d: %s", status, text)
	}
}
