package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows on a terminal how far a long task is. Elsewhere it is silent.
type progress struct {
	w       io.Writer // nil where nobody watches
	total   int64
	started time.Time
	shown   time.Time
}

func newProgress(w io.Writer, total int64) *progress {
	p := &progress{total: max(total, 1), started: time.Now()}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

// show says that done of the total, and so many datagrams, are behind us.
func (p *progress) show(done int64, datagrams int) {
	if p.w == nil || time.Since(p.shown) < 200*time.Millisecond || time.Since(p.started) < time.Second {
		return
	}
	p.shown = time.Now()
	const width = 30
	filled := int(min(done, p.total) * width / p.total)
	bar := make([]rune, width)
	for i := range bar {
		bar[i] = '·'
		if i < filled {
			bar[i] = '█'
		}
	}
	fmt.Fprintf(p.w, "\r%s %3d %%  %d datagrams ", string(bar), min(done, p.total)*100/p.total, datagrams)
}

// done ends the line.
func (p *progress) done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprintln(p.w)
	}
}
