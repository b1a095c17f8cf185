package quality

import (
	"net/netip"
	"sync"
	"time"
)

// judged keeps verdicts until there is another minute.
type judged struct {
	mu   sync.Mutex
	kept map[time.Duration]kept
}

type kept struct {
	to       time.Time
	verdicts map[netip.Addr]Verdict
}

// Latest judges the time of that length up to the newest minute, and tells when
// that is. Its answer is shared: leave it as it is.
func (r *Recorder) Latest(length time.Duration) (verdicts map[netip.Addr]Verdict, from, to time.Time, err error) {
	to = r.Newest()
	if to.IsZero() {
		to = r.cfg.Clock().Truncate(time.Minute)
	}
	from = to.Add(-length)
	r.judged.mu.Lock()
	defer r.judged.mu.Unlock()
	if k, ok := r.judged.kept[length]; ok && k.to.Equal(to) {
		return k.verdicts, from, to, nil
	}
	if verdicts, err = r.Assess(from, to); err != nil {
		return nil, from, to, err
	}
	if r.judged.kept == nil {
		r.judged.kept = map[time.Duration]kept{}
	}
	r.judged.kept[length] = kept{to, verdicts}
	return verdicts, from, to, nil
}
