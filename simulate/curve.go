package simulate

import (
	"math"
	"time"
)

// curve is how traffic goes up and down with the hours; its mean over a week is
// about 1.
type curve int

const (
	evening   curve = iota // people at home
	workday                // people at work
	allDay                 // the whole world's visitors
	night                  // backups
	constant               // machines
	newcomers              // what a scenario adds
)

// byHour are the curves' values at full local hours; between them they are
// joined by straight lines.
var byHour = [...][24]float64{
	evening:   {1.05, .65, .40, .28, .24, .26, .36, .55, .68, .74, .80, .88, .98, .94, .90, .94, 1.05, 1.22, 1.45, 1.72, 1.95, 2.05, 1.90, 1.50},
	workday:   {.18, .15, .14, .14, .15, .18, .30, .70, 1.50, 2.30, 2.45, 2.35, 1.80, 2.30, 2.40, 2.35, 2.20, 1.80, 1.10, .70, .50, .40, .30, .22},
	allDay:    {.80, .72, .66, .64, .66, .70, .78, .88, .98, 1.05, 1.10, 1.12, 1.14, 1.12, 1.10, 1.10, 1.12, 1.16, 1.22, 1.28, 1.30, 1.25, 1.10, .92},
	night:     {1.2, 5.0, 6.0, 5.6, 3.4, 1.0, .1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .2, .6},
	constant:  {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	newcomers: {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
}

// at is the curve's value at a local time.
func (c curve) at(t time.Time) float64 {
	hour, minute := t.Hour(), float64(t.Minute())/60
	v := byHour[c][hour]*(1-minute) + byHour[c][(hour+1)%24]*minute
	if day := t.Weekday(); day == time.Saturday || day == time.Sunday {
		switch c {
		case workday:
			v = .12 + v*.15
		case evening:
			v = v*.85 + .35 // people are at home all day
		case night:
			v *= .6 // not all back up
		}
	}
	return v
}

// wobble is a relation's own ups and downs: a factor that wanders around 1, from
// minute to minute.
type wobble struct{ x float64 }

func (w *wobble) next(gauss float64) float64 {
	const memory, strength = .92, .22
	w.x = memory*w.x + math.Sqrt(1-memory*memory)*gauss
	return math.Exp(strength*w.x - strength*strength/2)
}
