package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/store"
)

const compactUsage = `Usage: minamo store compact [OPTIONS]

Merges small files into bigger ones and makes the rollups, at once: what a
server does in the background, too. It is worth it after an import, or before a
backup. What was sealed in the last minutes is left for later, because more may
belong to it. Nothing is deleted by age or size. No server may run on the
directory. It can be interrupted, and goes on from there the next time.

  --data DIR       the data directory (default ./data)

Examples:
  minamo store compact --data /var/lib/minamo

Exit status: 0 done, 1 failed, 2 called wrongly.
`

func storeCompact(ctx context.Context, c *storeCall) error {
	if err := c.parseNoWords(); err != nil {
		return err
	}
	if err := c.directory(); err != nil {
		return err
	}
	byHand, err := rates.Open(ratesFile(c.data))
	if err != nil {
		return err
	}
	s, err := store.Open(store.Config{Dir: c.data, Correct: byHand.Correct}, quietLog(c.stderr), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer s.Close()
	before, err := store.Describe(ctx, c.data, false, nil)
	if err != nil {
		return err
	}
	begin := time.Now()
	p := newTaskProgress(c.stderr, c.name, "files merged", 0)
	err = s.Compact(ctx, func(done, total int64) {
		p.total = total
		p.show(done, done)
	})
	p.done()
	if err != nil {
		return err
	}
	after, err := store.Describe(ctx, c.data, false, nil)
	if err != nil {
		return err
	}
	g := grid{{"table", "files before", "after", "bytes before", "after"}}
	was := map[string]store.Table{}
	for _, t := range before.Tables {
		was[t.Name] = t
	}
	for _, t := range after.Tables {
		g.add(t.Name, grouped(int64(was[t.Name].Files)), grouped(int64(t.Files)), sized(was[t.Name].Bytes), sized(t.Bytes))
	}
	g.print(c.stdout)
	fmt.Fprintf(c.stdout, "done in %v\n", time.Since(begin).Round(time.Millisecond))
	return s.Close()
}

// quietLog is for a command that opens the store: only what goes wrong.
func quietLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
