package wire_test

// disagreement is a value in which an oracle and we differ.
type disagreement struct {
	oracle, fixture string // fixture may end in *
	value           string // a column's name, or "flows" and so on: the number of records
	bytes           string // where it stands
	right           string // who is right: "we", or the oracle
	why             string // the RFC's words, or the oracle's mistake

	met int // how many values differ
}

var disagreements = []disagreement{}
