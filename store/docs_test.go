package store

import (
	"os"
	"regexp"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// The queries in docs/storage.md work on a store, and see each flow once
// though covered segments lie beside.
func TestDocumentedQueries(t *testing.T) {
	text, err := os.ReadFile("../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	s, _ := open(t, Config{Dir: "data"})
	rng := seeded()
	for i := range 4 {
		b := flow.NewBatch(1)
		generate(b, 3000, noon+int64(i)*1000, rng)
		sealOne(t, s, b)
	}
	parts := s.manifest()[:3]
	saved, err := os.ReadFile(parts[1].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.merge(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(parts[1].Path, saved, 0o644); err != nil {
		t.Fatal(err)
	}

	db := duck(t)
	db.SetMaxOpenConns(1) // variables belong to a connection
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(text, -1)
	if len(queries) < 5 {
		t.Fatalf("%d queries found", len(queries))
	}
	for _, q := range queries {
		rows, err := db.Query(string(q[1]))
		if err != nil {
			t.Fatalf("%s\n%v", q[1], err)
		}
		columns, _ := rows.Columns()
		n := 0
		for ; rows.Next(); n++ {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			if n < 3 {
				line := []any{}
				for _, v := range values {
					line = append(line, *v.(*any))
				}
				t.Log(line...)
			}
		}
		if rows.Err() != nil {
			t.Fatalf("%s\n%v", q[1], rows.Err())
		}
		if len(columns) > 2 && n == 0 {
			t.Errorf("%s\nfinds nothing", q[1])
		}
	}
	var flows int
	if err := db.QueryRow("SELECT count(*) FROM flows").Scan(&flows); err != nil || flows != 12_000 {
		t.Errorf("the view has %d flows, %v", flows, err)
	}
}
