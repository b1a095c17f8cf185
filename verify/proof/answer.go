package proof

import (
	"math"
	"time"
)

// Answer is a Finding as programs are told it: by the API, and by minamo proof.
type Answer struct {
	Direction Direction `json:"direction" enum:"in,out"`
	Ratio     *float64  `json:"ratio" doc:"Flows by counters; null where nothing was counted"`
	Error     float64   `json:"error" doc:"How far off that may be because of sampling (95 %), as a part of it; 1 is no knowledge at all"`
	Verdict   Verdict   `json:"verdict" enum:"healthy,idle,unknown,not_metered,rate_not_applied,rate_wrong,rate_applied_twice,double_count,direction_missing,half_missing,loss,load_loss,sawtooth,silent,protocol_missing,renumbered,too_high,too_low"`
	Wrong     bool      `json:"wrong" doc:"It is an alarm"`
	Words     string    `json:"words" doc:"What is found"`
	Mend      string    `json:"mend" doc:"What to do; empty: nothing"`
	Implied   *uint32   `json:"implied_rate" doc:"The sampling rate that would make it right; null: that is not it"`
	From      time.Time `json:"judged_from" doc:"The time that was judged"`
	To        time.Time `json:"judged_to"`
	Since     time.Time `json:"since" doc:"Since when it is so, as far as the range tells"`
}

// Answer tells a finding to programs.
func (f *Finding) Answer() Answer {
	a := Answer{
		Direction: f.Direction, Error: min(f.Error, 1), Verdict: f.Verdict, Wrong: f.Verdict.Wrong(), Words: f.Words, Mend: f.Mend,
		From: f.From, To: f.To, Since: f.Since,
	}
	if !math.IsInf(f.Ratio, 0) && !f.To.IsZero() {
		a.Ratio = &f.Ratio
	}
	if f.Implied > 0 {
		a.Implied = &f.Implied
	}
	return a
}
