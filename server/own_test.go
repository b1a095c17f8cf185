package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// put sends a body and returns the answer.
func put(t *testing.T, web *httptest.Server, path, kind, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestNetworksAreReplaced(t *testing.T) {
	web, _ := site(t)
	if text := fetch(t, web, "/api/networks", 200, nil); !strings.Contains(text, `"networks":[]`) {
		t.Errorf("at first: %s", text)
	}
	list := "prefix,name,customer,site\n10.0.0.0/8,office,,Tokyo\n2001:db8::/32,office,,Tokyo\n192.0.2.0/24,acme,Acme,\n"
	status, text := put(t, web, "/api/networks.csv", "text/csv", list)
	if status != 200 {
		t.Fatalf("%d: %s", status, text)
	}
	if got := fetch(t, web, "/api/networks.csv", 200, nil); got != list {
		t.Errorf("the list came back as %q", got)
	}
	var body NetworkList
	fetch(t, web, "/api/networks", 200, &body)
	if len(body.Networks) != 2 || body.Networks[1].Number != 2 || body.Networks[1].Customer != "Acme" {
		t.Fatalf("%+v", body)
	}
	// Renamed by its number.
	body.Networks[1].Name = "acme <b>Osaka</b>"
	again, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := put(t, web, "/api/networks", "application/json", string(again)); status != 200 || !strings.Contains(text, `"number":2,"name":"acme`) {
		t.Errorf("%d: %s", status, text)
	}

	for _, c := range []struct{ path, kind, body, want string }{
		{"/api/networks.csv", "text/csv", "prefix,name\n10.0.0.0/8,a\n10/8,b\n", "line 3: prefix"},
		{"/api/networks", "application/json", `{"networks":[{"number":0,"name":"a","prefixes":["10.0.0.1/8"]}]}`, "expected 10.0.0.0/8"},
		{"/api/networks", "application/json", `{"networks":[{"number":0,"name":"a","prefixes":["nonsense"]}]}`, "nonsense"},
	} {
		if status, text := put(t, web, c.path, c.kind, c.body); status < 400 || status > 499 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, expected %q", c.body, status, text, c.want)
		}
	}
}

// A page of another site that is open in the operator's browser can change nothing.
func TestOtherSitesChangeNothing(t *testing.T) {
	web, _ := site(t)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://elsewhere.example"}} {
		if status, text := put(t, web, "/api/networks.csv", "text/csv", "prefix,name\n10.0.0.0/8,a\n", header...); status != http.StatusForbidden {
			t.Errorf("%v: %d %s", header, status, text)
		}
	}
	if text := fetch(t, web, "/api/networks", 200, nil); !strings.Contains(text, `"networks":[]`) {
		t.Errorf("%s", text)
	}
}
