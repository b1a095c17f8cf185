package dashboards

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "dashboards"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeeping(t *testing.T) {
	s := open(t)
	edge := Dashboard{Name: "edge", Title: "Edge 東京 <b>", Panels: []Panel{{ID: "a", View: "by=app&filter=port+53", Width: 6}}}
	first, err := s.Put(edge, now)
	if err != nil || !first.Updated.Equal(now) {
		t.Fatal(first, err)
	}
	got, err := s.Get("edge")
	if err != nil || got.Title != edge.Title || len(got.Panels) != 1 || got.Panels[0] != edge.Panels[0] {
		t.Fatal(got, err)
	}
	if _, err := s.Put(edge, now); !errors.Is(err, ErrChanged) {
		t.Error("a new dashboard took the place of one that is there:", err)
	}
	got.Title = "Edge"
	second, err := s.Put(got, now) // within a tick of the clock
	if err != nil || !second.Updated.After(first.Updated) {
		t.Fatal(second, err)
	}
	if _, err := s.Put(got, now); !errors.Is(err, ErrChanged) {
		t.Error("an old reading was written:", err)
	}
	list, err := s.List()
	if err != nil || len(list) != 1 || list[0].Title != "Edge" {
		t.Error(list, err)
	}
	if err := s.Delete("edge"); err != nil {
		t.Error(err)
	}
	if err := s.Delete("edge"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := s.Get("edge"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := s.Put(second, now); !errors.Is(err, ErrChanged) {
		t.Error("a dashboard came back that somebody deleted:", err)
	}
}

func TestRefused(t *testing.T) {
	s := open(t)
	fine := Panel{ID: "a", View: "by=app", Width: 6}
	for what, d := range map[string]Dashboard{
		"no name":             {Panels: []Panel{fine}},
		"a path":              {Name: "../networks", Panels: []Panel{fine}},
		"capitals":            {Name: "Edge"},
		"long title":          {Name: "a", Title: strings.Repeat("水", 81)},
		"control character":   {Name: "a", Title: "a\nb"},
		"no text":             {Name: "a", Title: "\xff"},
		"two of an id":        {Name: "a", Panels: []Panel{fine, fine}},
		"no view":             {Name: "a", Panels: []Panel{{ID: "a", Width: 6}}},
		"too wide":            {Name: "a", Panels: []Panel{{ID: "a", View: "by=app", Width: 13}}},
		"too high":            {Name: "a", Panels: []Panel{{ID: "a", View: "by=app", Width: 6, Height: 61}}},
		"long view":           {Name: "a", Panels: []Panel{{ID: "a", View: strings.Repeat("a", 4097), Width: 6}}},
		"more than 60 panels": {Name: "a", Panels: make([]Panel, 61)},
	} {
		if _, err := s.Put(d, now); !IsWrong(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"../x", "", "a/b", "A"} {
		if _, err := s.Get(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
		if err := s.Delete(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Of ten who read the same and write at once one wins; what is kept is his.
func TestWritersDoNotOverwriteEachOther(t *testing.T) {
	s := open(t)
	base, err := s.Put(Dashboard{Name: "a"}, now)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	won := make(chan string, 10)
	for i := range 10 {
		all.Go(func() {
			d := base
			d.Title = fmt.Sprint(i)
			if _, err := s.Put(d, now.Add(time.Minute)); err == nil {
				won <- d.Title
			} else if !errors.Is(err, ErrChanged) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(won)
	var winners []string
	for w := range won {
		winners = append(winners, w)
	}
	kept, err := s.Get("a")
	if err != nil || len(winners) != 1 || kept.Title != winners[0] {
		t.Error(winners, kept.Title, err)
	}
}

func TestDamagedFile(t *testing.T) {
	s := open(t)
	if _, err := s.Put(Dashboard{Name: "good"}, now); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("bad"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if len(list) != 1 || list[0].Name != "good" || err == nil || !strings.Contains(err.Error(), "bad.json") {
		t.Error(list, err)
	}
}

func TestFull(t *testing.T) {
	s := open(t)
	for i := range Most {
		if err := os.WriteFile(s.path(fmt.Sprintf("d%d", i)), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Put(Dashboard{Name: "one-more"}, now); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}
