package query

import (
	"fmt"
	"strings"

	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/flow"
)

// SetRates replaces the sampling rates that count in place of what flows claim.
// Answers from flows have them at once; those from rollups as soon as the store
// has made them anew (store.Rework).
func (e *Engine) SetRates(list []rates.Override) {
	sql := ratesSQL(list)
	if old := e.rates.Swap(&sql); old == nil && sql != "" || old != nil && *old != sql {
		e.named.Add(1)
	}
}

// byHand is the sampling rate that counts, as SQL; "" where it is the flow's own.
func (e *Engine) byHand() string {
	if sql := e.rates.Load(); sql != nil {
		return *sql
	}
	return ""
}

func ratesSQL(list []rates.Override) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("CASE")
	for _, o := range list {
		conditions := []string{fmt.Sprintf("%s = %s", columnSQL(flow.Exporter), addrLiteral(flow.AddrFrom(o.Exporter)))}
		if o.Interface != 0 {
			conditions = append(conditions, fmt.Sprintf("%s = %d", columnSQL(flow.InIf), o.Interface))
		}
		if o.From != nil {
			conditions = append(conditions, fmt.Sprintf("%s >= %d", columnSQL(flow.Start), o.From.UnixMilli()))
		}
		if o.To != nil {
			conditions = append(conditions, fmt.Sprintf("%s < %d", columnSQL(flow.Start), o.To.UnixMilli()))
		}
		fmt.Fprintf(&b, " WHEN %s THEN %d::UINTEGER", strings.Join(conditions, " AND "), o.Rate)
	}
	b.WriteString(" ELSE sampling_rate END")
	return b.String()
}
