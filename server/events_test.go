package server

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEventsTellTheStatus(t *testing.T) {
	s, web, _ := siteWith(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	listen := func() *http.Response {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/api/events?every=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	answer := listen()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatal(kind)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	var told []Status
	for len(told) < 2 && lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var one Status
			if err := json.Unmarshal([]byte(text), &one); err != nil {
				t.Fatal(err)
			}
			told = append(told, one)
		}
	}
	if len(told) < 2 || told[0].Version != "test" || !told[1].Now.After(told[0].Now) {
		t.Errorf("%+v", told)
	}
	// More than it bears are refused; who goes makes room.
	s.listeners.Add(mostListeners)
	if answer := listen(); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many: %s", answer.Status)
	}
	s.listeners.Add(-mostListeners)
	answer.Body.Close()
	for s.listeners.Load() != 0 {
		if ctx.Err() != nil {
			t.Fatal("a listener that went is still counted")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
