package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/dashboards"
)

func TestDashboardsByHTTP(t *testing.T) {
	web, _ := site(t)
	if text := fetch(t, web, "/api/dashboards", 200, nil); !strings.Contains(text, `"dashboards":[]`) {
		t.Errorf("at first: %s", text)
	}
	fetch(t, web, "/api/dashboards/overview", 404, nil)
	body := `{"title":"Edge","panels":[{"id":"a","view":"by=app","width":6}]}`
	if status, text := put(t, web, "/api/dashboards/edge", "application/json", body); status != 200 || !strings.Contains(text, `"name":"edge"`) {
		t.Fatalf("%d: %s", status, text)
	}
	var d dashboards.Dashboard
	fetch(t, web, "/api/dashboards/edge", 200, &d)
	if d.Title != "Edge" || len(d.Panels) != 1 || d.Updated.IsZero() {
		t.Errorf("%+v", d)
	}
	for want, body := range map[int]string{
		409: body, // without having read it
		422: `{"title":"Edge","panels":[{"id":"a","view":"by=app","width":13}]}`,
	} {
		if status, text := put(t, web, "/api/dashboards/edge", "application/json", body); status != want {
			t.Errorf("%d: %s", status, text)
		}
	}
	if status, _ := put(t, web, "/api/dashboards/edge", "application/json", body, "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site may write: %d", status)
	}
	for _, want := range []int{204, 404} {
		r, err := http.NewRequest(http.MethodDelete, web.URL+"/api/dashboards/edge", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("deleting: %s, want %d", answer.Status, want)
		}
	}
}
