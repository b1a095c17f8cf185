package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// slow takes hours.
const slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1"

func do(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// begin asks the slow question and returns when it runs, or waits where it has
// to; how it ends comes by the channel.
func begin(t *testing.T, s *Server, web *httptest.Server, ctx context.Context, id, question string) chan string {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, "GET", web.URL+"/api/sql?id="+id+"&q="+url.QueryEscape(question), nil)
		if err != nil {
			ended <- err.Error()
			return
		}
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			ended <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		ended <- r.Status + " " + string(body)
	}()
	eventually(t, "the question "+id+" is asked", func() bool {
		_, err := s.questions.get(id)
		return err == nil
	})
	return ended
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func idle(s *Server) func() bool {
	return func() bool {
		running, waiting := s.queue.counts()
		return running == 0 && waiting == 0
	}
}

func TestAQuestionCanBeWatchedAndStopped(t *testing.T) {
	s, web, _ := siteWith(t, Config{SQL: true})
	ended := begin(t, s, web, t.Context(), "mine", slow)
	eventually(t, "it runs", func() bool { running, _ := s.queue.counts(); return running == 1 })
	var q QuestionStatus
	eventually(t, "it is shown as running", func() bool {
		fetch(t, web, "/api/questions/mine", 200, &q)
		return q.State == "running"
	})
	if q.ID != "mine" || q.Kind != "sql" || q.Done < 0 || q.Done > 1 {
		t.Errorf("%+v", q)
	}
	var list struct{ Questions []QuestionStatus }
	if fetch(t, web, "/api/questions", 200, &list); len(list.Questions) != 1 || list.Questions[0].ID != "mine" {
		t.Errorf("%+v", list)
	}
	if body := fetch(t, web, "/api/sql?id=mine&q=SELECT+1", 409, nil); !strings.Contains(body, "choose another") {
		t.Error(body)
	}
	request, _ := http.NewRequest("DELETE", web.URL+"/api/questions/mine", nil)
	if r, body := do(t, request); r.StatusCode != 204 {
		t.Errorf("%s %s", r.Status, body)
	}
	if how := <-ended; !strings.HasPrefix(how, "409") || !strings.Contains(how, "stopped") {
		t.Error(how)
	}
	eventually(t, "DuckDB stops", idle(s))
	fetch(t, web, "/api/questions/mine", 404, nil)
	if body := fetch(t, web, "/metrics", 200, nil); !strings.Contains(body, `minamo_query_seconds_count{kind="sql",outcome="stopped"} 1`) {
		t.Error("not counted")
	}
}

func TestAnAskerWhoGoesAwayEndsTheQuestion(t *testing.T) {
	s, web, _ := siteWith(t, Config{SQL: true})
	ctx, leave := context.WithCancel(t.Context())
	ended := begin(t, s, web, ctx, "a", slow)
	eventually(t, "it runs", func() bool { running, _ := s.queue.counts(); return running == 1 })
	left := time.Now()
	leave()
	<-ended
	eventually(t, "DuckDB stops", idle(s))
	t.Logf("DuckDB stopped %v after the asker left", time.Since(left))
}

func TestTheSameQuestionIsAnsweredOnce(t *testing.T) {
	s, web, _ := siteWith(t, Config{SQL: true, Concurrency: 2, Cache: 1 << 20})
	first, leave := context.WithCancel(t.Context())
	a := begin(t, s, web, first, "a", slow)
	eventually(t, "it runs", func() bool { running, _ := s.queue.counts(); return running == 1 })
	b := begin(t, s, web, t.Context(), "b", slow)
	eventually(t, "both share it", func() bool {
		s.answers.mu.Lock()
		defer s.answers.mu.Unlock()
		for _, c := range s.answers.calls {
			return len(s.answers.calls) == 1 && c.asked == 2
		}
		return false
	})
	// Who asked first leaves; the other one does not notice.
	leave()
	<-a
	eventually(t, "one is left", func() bool { _, err := s.questions.get("a"); return err != nil })
	var q QuestionStatus
	fetch(t, web, "/api/questions/b", 200, &q)
	if running, _ := s.queue.counts(); running != 1 {
		t.Errorf("%d run", running)
	}
	select {
	case how := <-b:
		t.Errorf("it ended: %s", how)
	default:
	}
	request, _ := http.NewRequest("DELETE", web.URL+"/api/questions/b", nil)
	do(t, request)
	<-b
	eventually(t, "DuckDB stops", idle(s))
}

func TestAnswersAreKeptWhileTheirFlowsStayTheSame(t *testing.T) {
	s, web, now := siteWith(t, Config{Cache: 1 << 20})
	ask := func(parameters string) (top Top) {
		t.Helper()
		fetch(t, web, "/api/top?by=srcip&from="+now.Add(-time.Hour).UTC().Format(time.RFC3339)+"&to="+now.UTC().Format(time.RFC3339)+parameters, 200, &top)
		return top
	}
	if first, second := ask(""), ask(""); first.Meta.Cached || !second.Meta.Cached || second.Total != first.Total || second.Meta.Question == first.Meta.Question {
		t.Errorf("%+v, %+v", first.Meta, second.Meta)
	}
	for _, other := range []string{"&metric=packets", "&limit=1", "&raw=true", "&filter=proto+tcp", "&scope=once"} {
		if ask(other).Meta.Cached {
			t.Errorf("%s is another question", other)
		}
	}
	var csv string
	if csv = fetch(t, web, "/api/top?by=srcip&format=csv&from="+now.Add(-time.Hour).UTC().Format(time.RFC3339)+"&to="+now.UTC().Format(time.RFC3339), 200, nil); !strings.Contains(csv, "10210") {
		t.Error(csv)
	}
	// A new segment within the range makes the answer anew.
	b := flow.NewBatch(1)
	b.Extend(1)
	b.SetUint(flow.Received, 0, uint64(now.UnixMilli()))
	b.SetAddr(flow.Exporter, 0, flow.AddrFrom(netip.MustParseAddr("198.51.100.1")))
	b.SetUint(flow.ExportProtocol, 0, flow.IPFIX)
	b.SetUint(flow.ObservationDomain, 0, 1)
	b.SetUint(flow.Start, 0, uint64(now.Add(-10*time.Minute).UnixMilli()))
	b.SetUint(flow.End, 0, uint64(now.Add(-10*time.Minute).UnixMilli()))
	b.SetUint(flow.Packets, 0, 1)
	b.SetUint(flow.Bytes, 0, 7)
	b.SetUint(flow.SamplingRate, 0, 1)
	b.SetUint(flow.SamplingSource, 0, flow.SamplingRecord)
	if _, err := store.WriteSegment(s.DataDir, b, now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if after := ask(""); after.Meta.Cached || after.Total.Bytes != 15217 {
		t.Errorf("%+v, %+v", after.Meta, after.Total)
	}
	metrics := fetch(t, web, "/metrics", 200, nil)
	if !strings.Contains(metrics, `outcome="cached"} 2`) || !strings.Contains(metrics, "minamo_query_cache_answers 7") {
		t.Error("the cache is not counted")
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	a := newAnswers(1000)
	for _, key := range []string{"a", "b", "c", "d", "a", "e"} {
		if _, ok := a.cached(key); ok {
			continue
		}
		c, _, _ := a.join(t.Context(), key)
		a.finish(key, c, key, 250, nil)
	}
	if n, bytes := a.size(); n != 4 || bytes != 1000 {
		t.Errorf("%d answers, %d bytes", n, bytes)
	}
	if _, ok := a.cached("b"); ok {
		t.Error("what was not used for longest is still there")
	}
	if v, ok := a.cached("a"); !ok || v != "a" {
		t.Error("what was used lately is gone")
	}
	c, _, _ := a.join(t.Context(), "large")
	a.finish("large", c, "", 251, nil)
	if _, ok := a.cached("large"); ok {
		t.Error("one answer takes more than a quarter")
	}
}

func TestTooManyQuestionsAreRefused(t *testing.T) {
	s, web, _ := siteWith(t, Config{SQL: true, Concurrency: 1, Waiting: 1})
	ctx, leave := context.WithCancel(t.Context())
	first := begin(t, s, web, ctx, "first", slow)
	eventually(t, "it runs", func() bool { running, _ := s.queue.counts(); return running == 1 })
	second := begin(t, s, web, ctx, "second", slow+" AND a.range > 1")
	eventually(t, "the second waits", func() bool { _, waiting := s.queue.counts(); return waiting == 1 })
	var q QuestionStatus
	if fetch(t, web, "/api/questions/second", 200, &q); q.State != "waiting" {
		t.Errorf("%+v", q)
	}
	request, _ := http.NewRequest("GET", web.URL+"/api/top", nil)
	r, body := do(t, request)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(body, "ask again") || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %v %s", r.Status, r.Header, body)
	}
	request.URL.Path, request.URL.RawQuery = "/api/flows", "format=csv"
	if r, body := do(t, request); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(body, "ask again") {
		t.Errorf("%s %v %s", r.Status, r.Header, body)
	}
	fetch(t, web, "/api/status", 200, nil) // does not ask the store
	leave()
	<-first
	<-second
	eventually(t, "all have ended", idle(s))
	fetch(t, web, "/api/top", 200, nil)
}

func TestATimeLimitIsSaid(t *testing.T) {
	s, web, _ := siteWith(t, Config{SQL: true, Concurrency: 1, Waiting: 9, Timeout: 300 * time.Millisecond})
	var p struct{ Detail string }
	fetch(t, web, "/api/sql?q="+url.QueryEscape(slow), 503, &p)
	if !strings.Contains(p.Detail, "took longer than 300ms") || !strings.Contains(p.Detail, "query.timeout") {
		t.Error(p.Detail)
	}
	eventually(t, "DuckDB stops", idle(s))
}

func TestSQL(t *testing.T) {
	_, web, _ := siteWith(t, Config{SQL: true, Waiting: 9, Cache: 1 << 20})
	var a SQLAnswer
	fetch(t, web, "/api/sql?q="+url.QueryEscape("SELECT src_addr, sum(bytes * sampling_rate) AS bytes FROM flows WHERE src_addr = ip('192.0.2.1') GROUP BY 1"), 200, &a)
	if len(a.Rows) != 1 || a.Rows[0]["src_addr"] != "192.0.2.1" || a.Rows[0]["bytes"] != 10210.0 || a.Columns[0] != (SQLColumn{"src_addr", "UUID"}) || a.More || a.Meta.Rows != 3 {
		t.Errorf("%+v", a)
	}
	for _, mime := range []string{"application/sql", "text/plain", "application/x-www-form-urlencoded", ""} {
		request, _ := http.NewRequest("POST", web.URL+"/api/sql?limit=2", strings.NewReader("SELECT * FROM flows\nORDER BY bytes -- all of them\n;"))
		if mime != "" {
			request.Header.Set("Content-Type", mime)
		}
		r, body := do(t, request)
		a = SQLAnswer{}
		if err := json.Unmarshal([]byte(body), &a); err != nil || r.StatusCode != 200 || len(a.Rows) != 2 || !a.More || a.Rows[0]["bytes"] != 200.0 {
			t.Errorf("%q: %s %.300s", mime, r.Status, body)
		}
	}
	var first, second SQLAnswer
	fetch(t, web, "/api/sql?q=SELECT+now()::VARCHAR+AS+t", 200, &first)
	if fetch(t, web, "/api/sql?q=SELECT+now()::VARCHAR+AS+t", 200, &second); second.Meta.Cached || first.Rows[0]["t"] == second.Rows[0]["t"] {
		t.Errorf("time stands still: %+v, %+v", first, second)
	}
	for question, want := range map[string]string{
		"SELEC 1":                          "syntax error",
		"SELECT nothing FROM flows":        "nothing",
		"DROP VIEW flows":                  "expected one SELECT",
		"FROM read_text('/etc/passwd')":    "disabled by configuration",
		"SELECT 'x'::INTEGER":              "Could not convert",
		"COPY flows TO '/tmp/minamo-test'": "disabled by configuration",
	} {
		var p struct{ Detail string }
		fetch(t, web, "/api/sql?q="+url.QueryEscape(question), 422, &p)
		if !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", question, p.Detail)
		}
	}
	var p struct{ Detail string }
	if fetch(t, web, "/api/sql?q="+url.QueryEscape("SELECT list(range) FROM range(100000000)"), 507, &p); !strings.Contains(p.Detail, "query.memory") {
		t.Error(p.Detail)
	}
	_, closed, _ := siteWith(t, Config{})
	fetch(t, closed, "/api/sql?q=SELECT+1", 404, nil)
}
