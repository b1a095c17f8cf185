// Package enrich completes flows with what the operator knows and the exporter
// does not: which of his networks an address is in, which country, which AS.
//
// It stands between collect and store. What it adds are numbers, each in a
// column of its own; names belong to the numbers, are kept in small tables, and
// are looked up when somebody asks, so that a network renamed today is called
// so for yesterday too. What the exporter said is never overwritten.
package enrich

import "github.com/minamo-flow/minamo/flow"

// Annotator fills columns of all rows of a batch. It is safe for concurrent
// use: there is a reader for each socket.
type Annotator interface {
	Annotate(*flow.Batch)
}

// Sink takes complete batches, as collect's.
type Sink interface {
	Write(*flow.Batch) error
}

// Pipeline is a Sink that has its annotators complete a batch, in their order,
// before the next takes it.
type Pipeline struct {
	Annotators []Annotator
	Next       Sink
}

// Write fails as the next sink does.
func (p *Pipeline) Write(b *flow.Batch) error {
	for _, a := range p.Annotators {
		a.Annotate(b)
	}
	return p.Next.Write(b)
}
