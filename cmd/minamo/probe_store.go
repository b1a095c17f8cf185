package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/enrich"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// local is the way of flows into a store of this process, on which they get
// what collected ones get.
type local struct {
	*collect.Local
	strict bool // what the store does not take is an error here; else it is only counted, and logged, there
}

func (l local) flows(b *flow.Batch, now time.Time) error {
	if err := l.Write(b, now); l.strict {
		return err
	}
	return nil
}

func (local) tick(time.Time) error { return nil }

// name tells what an interface is called.
func (l local) name(i probe.Interface) {
	l.Name(netflow.InterfaceName{Index: i.Index, Name: i.Name, Description: i.Description})
}

// localhost is the exporter where nobody says which.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// collector is one without sockets, before a sink in the data directory. It
// knows the exporters' names if it is told their file.
func (p *probing) collector(sink enrich.Sink, state string) (*collect.Collector, error) {
	own, err := networks.Open(networksFile(p.store))
	if err != nil {
		return nil, err
	}
	places := geo.Open(geo.Config{Dir: geoDir(p.store)}, quietLog(p.stderr))
	c := collect.New(collect.Config{Listen: []string{}, StateFile: state},
		&enrich.Pipeline{Annotators: []enrich.Annotator{own, places}, Next: sink}, quietLog(p.stderr))
	return c, c.Listen()
}

func (p *probing) local(c *collect.Collector) local {
	address := p.export.Source
	if !address.IsValid() {
		address = localhost
	}
	l := local{Local: c.Local(address, p.export.Domain)}
	for _, i := range p.export.Interfaces {
		l.name(i)
	}
	return l
}

// importing stores a file's flows, all at once at the end.
func (p *probing) importing() (*target, error) {
	im, err := store.BeginImport(p.store, quietLog(p.stderr))
	if err != nil {
		return nil, err
	}
	c, err := p.collector(im, "")
	if err != nil {
		return nil, errors.Join(err, im.Abort())
	}
	l := p.local(c)
	l.strict = true
	done := false
	return &target{
		destination: l,
		name:        p.store,
		end: func(w io.Writer) error {
			done = true
			if _, err := im.Commit(); err != nil {
				return err
			}
			p.tellStored(w, c.Flows())
			return nil
		},
		close: func() {
			if !done {
				im.Abort()
			}
		},
	}, nil
}

// storing stores interfaces' flows as a server does: each is there for everyone
// about a second after it ended.
func (p *probing) storing() (*target, error) {
	kept, err := store.Open(store.Config{Dir: p.store}, quietLog(p.stderr), p.registry)
	if err != nil {
		return nil, err
	}
	c, err := p.collector(kept, stateFile(p.store))
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var failed error
	running.Go(func() { failed = kept.Run(ctx) })
	running.Go(func() { c.Run(ctx) }) // which keeps the names of the interfaces
	finish := sync.OnceValue(func() error {
		stop()
		running.Wait()
		return errors.Join(failed, kept.Close())
	})
	return &target{
		destination: p.local(c),
		name:        p.store,
		end: func(w io.Writer) error {
			err := finish()
			p.tellStored(w, c.Flows()-kept.Stats().LostRows)
			if lost := kept.Stats().LostRows; lost > 0 && err == nil {
				err = fmt.Errorf("%d flows are lost: the disk did not take them", lost)
			}
			return err
		},
		close: func() { finish() },
	}, nil
}

func (p *probing) tellStored(w io.Writer, flows uint64) {
	fmt.Fprintf(w, "stored    %d flows; to see them: minamo flows --data %s\n", flows, p.store)
}
