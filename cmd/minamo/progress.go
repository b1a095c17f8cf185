package main

import (
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"
)

// progress shows how far a long task is: on a terminal a bar that moves,
// elsewhere a line every ten seconds where the task is one that people wait
// for (lines), else nothing. It is silent for the first two seconds.
type progress struct {
	w       io.Writer // nil where nobody watches
	lines   string    // begins each line; "" on a terminal
	unit    string    // what is counted: "datagrams"
	total   int64     // of what done is a part; 0 where nobody knows
	started time.Time
	shown   time.Time
	last    int // characters of the line on the terminal
}

func newProgress(w io.Writer, unit string, total int64) *progress {
	p := &progress{unit: unit, total: total, started: time.Now()}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

// newTaskProgress is for a command that people wait for, also where its
// messages go to a file.
func newTaskProgress(w io.Writer, command, unit string, total int64) *progress {
	p := newProgress(w, unit, total)
	if p.w == nil {
		p.w, p.lines = w, command+": "
	}
	return p
}

// show says that done of the total, and so many units, are behind us.
func (p *progress) show(done, count int64) {
	pause, patience := 200*time.Millisecond, 2*time.Second
	if p.lines != "" {
		pause, patience = 10*time.Second, 10*time.Second
	}
	if p.w == nil || time.Since(p.shown) < pause || time.Since(p.started) < patience {
		return
	}
	p.shown = time.Now()
	rate := float64(count) / time.Since(p.started).Seconds()
	text := fmt.Sprintf("%d %s", count, p.unit)
	if rate >= 1 {
		text += fmt.Sprintf(", %.0f/s", rate)
	}
	if p.total > 0 {
		part := min(max(done, 0), p.total)
		text = fmt.Sprintf("%3d %%  %s", int(float64(part)/float64(p.total)*100), text)
		if left := p.left(part); left > 0 && part < p.total {
			text += fmt.Sprintf(", %v left", left)
		}
		if p.lines == "" {
			text = bar(float64(part)/float64(p.total)) + " " + text
		}
	}
	if p.lines != "" {
		fmt.Fprintln(p.w, p.lines+text)
		return
	}
	fmt.Fprintf(p.w, "\r%-*s", p.last, text)
	p.last = utf8.RuneCountInString(text)
}

// left estimates how long the rest takes, to the second.
func (p *progress) left(done int64) time.Duration {
	if done == 0 {
		return 0
	}
	took := time.Since(p.started)
	return time.Duration(float64(took) * (float64(p.total)/float64(done) - 1)).Round(time.Second)
}

func bar(part float64) string {
	const width = 30
	filled := int(part * width)
	cells := make([]rune, width)
	for i := range cells {
		cells[i] = '·'
		if i < filled {
			cells[i] = '█'
		}
	}
	return string(cells)
}

// done ends the line.
func (p *progress) done() {
	if p.w != nil && p.lines == "" && !p.shown.IsZero() {
		fmt.Fprintln(p.w)
	}
}
