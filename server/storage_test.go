package server

import "testing"

func TestStorageTellsWhatIsKept(t *testing.T) {
	web, _ := site(t)
	var status Status
	fetch(t, web, "/api/status", 200, &status)
	var kept Storage
	fetch(t, web, "/api/storage", 200, &kept)
	if len(kept.Tables) != 4 {
		t.Fatalf("%+v", kept.Tables)
	}
	flows := kept.Tables[0]
	if flows.Name != "flows" || flows.Rows != status.Store.Rows || flows.Bytes != status.Store.Bytes || flows.Oldest == nil || !flows.Oldest.Equal(*status.Store.Oldest) {
		t.Errorf("%+v, but the status says %+v", flows, status.Store)
	}
}
