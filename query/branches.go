package query

import (
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// branches cuts a filter such as `ip 192.0.2.1`, which looks for an address in
// one column or in another, into filters for each column that exclude each
// other. DuckDB's scan takes a condition on one column, and then unpacks the
// others only where it holds; of an OR over two it knows nothing and unpacks
// every value of every column. Filters of another form are one branch.
func (f *Filter) branches() []*Filter {
	if f == nil || f.root == nil {
		return []*Filter{f}
	}
	terms := []expr{f.root}
	if all, ok := f.root.(junction); ok && all.operator == " AND " {
		terms = all.terms
	}
	for i, term := range terms {
		choice, ok := term.(junction)
		if !ok || choice.operator != " OR " || !isAddressChoice(choice) {
			continue
		}
		var branches []*Filter
		for k, one := range choice.terms {
			parts := []expr{one}
			for _, before := range choice.terms[:k] {
				parts = append(parts, negation{before})
			}
			for j, other := range terms {
				if j != i {
					parts = append(parts, other)
				}
			}
			branches = append(branches, &Filter{f.text, join(" AND ", parts...)})
		}
		return branches
	}
	return []*Filter{f}
}

// isAddressChoice tells whether each of the terms looks for certain addresses
// in one column: then few flows match, and it pays to look twice.
func isAddressChoice(choice junction) bool {
	for _, term := range choice.terms {
		var v value
		switch t := term.(type) {
		case comparison:
			if t.operator != "=" {
				return false
			}
			v = t.value
		case membership:
			if len(t.ranges) > 0 {
				return false
			}
			v = t.value
		default:
			return false
		}
		if len(v.columns) != 1 || v.format != column(v.columns[0]).format || flow.Schema[v.columns[0]].Kind != flow.Address {
			return false
		}
	}
	return true
}

// from is what stands behind FROM for the flows that a request counts, and
// that meet a further condition.
func (r *Request) from(further string) (relation string) {
	if further != "" {
		further = " AND " + further
	}
	branches := r.Filter.branches()
	if r.few || len(branches) == 1 {
		return "flows WHERE " + r.where() + further
	}
	parts := make([]string, len(branches))
	for i, filter := range branches {
		one := *r
		one.Filter = filter
		parts[i] = "SELECT * FROM flows WHERE " + one.where() + further
	}
	return "(" + strings.Join(parts, "\nUNION ALL ") + ") AS matching"
}
