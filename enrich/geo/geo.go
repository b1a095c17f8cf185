// Package geo tells the country and the AS of addresses, by databases of the
// operator's own in MaxMind's format (.mmdb): GeoLite2 and GeoIP2 Country, City,
// ASN and ISP, DB-IP's and IPinfo's of the same format. Minamo comes with none:
// their licences forbid it.
//
// Files are looked at again every few seconds and taken anew when they changed,
// while flows go on; a file that cannot be read is reported, and what it said
// before stands until it can be.
package geo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Config tells where the databases are. Where several know an address the
// first counts: first those of Files, then those of Dir by their names.
type Config struct {
	Files []string
	Dir   string // all *.mmdb in it; it need not exist
}

// Interval is how often files are looked at.
const Interval = 5 * time.Second

// DatabaseStatus tells of one file, for people.
type DatabaseStatus struct {
	Path      string     `json:"path"`
	Type      string     `json:"type,omitempty" doc:"What the database calls itself, such as GeoLite2-ASN"`
	Built     *time.Time `json:"built,omitempty" doc:"When its maker made it"`
	Loaded    *time.Time `json:"loaded,omitempty" doc:"When it was read"`
	Countries bool       `json:"countries" doc:"It knows countries"`
	ASes      bool       `json:"ases" doc:"It knows AS numbers"`
	Problem   string     `json:"problem,omitempty" doc:"Why the file that is there now could not be read"`
}

// Databases annotates flows. Make one with Open; Run keeps it up to date.
type Databases struct {
	cfg Config
	log *slog.Logger

	mu    sync.Mutex // of files
	files []*file

	current atomic.Pointer[set]
}

// Names are the holders of ASes, as the databases have them at a time.
type Names struct{ holders map[uint32]string }

// ASName is the holder of an AS; "" where no database names him.
func (n *Names) ASName(asn uint32) string { return n.holders[asn] }

// set is what is asked at a time: it never changes, so that who is in the
// middle of a batch needs no lock.
type set struct {
	databases []*database
	names     *Names

	mu   sync.Mutex
	free []*cache // those that no batch uses just now
}

// file is a path, and what was found there.
type file struct {
	path     string
	modified time.Time
	size     int64
	loaded   time.Time
	db       *database // the last that could be read
	problem  string
}

// Open reads the databases that are there. What cannot be read is logged and
// told by Status; it is no error, for flows must go on.
func Open(cfg Config, log *slog.Logger) *Databases {
	d := &Databases{cfg: cfg, log: log}
	d.current.Store(&set{names: &Names{}})
	d.reload()
	return d
}

// Run looks at the files until the context ends.
func (d *Databases) Run(ctx context.Context) error {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.reload()
		}
	}
}

// Status tells of every file, in the order in which they are asked.
func (d *Databases) Status() []DatabaseStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]DatabaseStatus, len(d.files))
	for i, f := range d.files {
		list[i] = DatabaseStatus{Path: f.path, Problem: f.problem}
		if f.db != nil {
			built, loaded := f.db.built, f.loaded
			list[i].Type, list[i].Built, list[i].Loaded = f.db.kind, &built, &loaded
			list[i].Countries, list[i].ASes = f.db.countries, f.db.ases
		}
	}
	return list
}

// Names are those of the databases that are read now; others once they change.
func (d *Databases) Names() *Names { return d.current.Load().names }

// reload takes what is new.
func (d *Databases) reload() {
	d.mu.Lock()
	defer d.mu.Unlock()
	paths := slices.Clone(d.cfg.Files)
	if d.cfg.Dir != "" {
		found, _ := filepath.Glob(filepath.Join(d.cfg.Dir, "*.mmdb"))
		paths = append(paths, found...)
	}
	changed := len(paths) != len(d.files)
	files := make([]*file, len(paths))
	for i, path := range paths {
		if at := slices.IndexFunc(d.files, func(f *file) bool { return f.path == path }); at >= 0 {
			files[i] = d.files[at]
		} else {
			files[i] = &file{path: path}
		}
		if files[i].read(d.log) || i < len(d.files) && d.files[i] != files[i] {
			changed = true
		}
	}
	d.files = files
	if !changed {
		return
	}
	s := &set{names: &Names{map[uint32]string{}}}
	for _, f := range files {
		if f.db == nil {
			continue
		}
		s.databases = append(s.databases, f.db)
		for asn, name := range f.db.names {
			if _, known := s.names.holders[asn]; !known {
				s.names.holders[asn] = name
			}
		}
	}
	d.current.Store(s)
}

// read reads the file if it has changed, and tells whether there is a new database.
func (f *file) read(log *slog.Logger) bool {
	info, err := os.Stat(f.path)
	if err == nil && info.ModTime().Equal(f.modified) && info.Size() == f.size {
		return false
	}
	var db *database
	if err == nil {
		f.modified, f.size = info.ModTime(), info.Size()
		db, err = load(f.path)
	}
	if err != nil {
		problem := strings.TrimPrefix(err.Error(), f.path+": ")
		if problem != f.problem {
			log.Warn("a database of countries and ASes cannot be read", "path", f.path, "error", problem, "instead", f.standing())
		}
		f.problem = problem
		return false
	}
	f.db, f.loaded, f.problem = db, time.Now().UTC(), ""
	log.Info("read a database of countries and ASes", "path", f.path, "type", db.kind, "built", db.built.Format(time.DateOnly))
	return true
}

func (f *file) standing() string {
	if f.db == nil {
		return "nothing"
	}
	return fmt.Sprintf("what was read at %s", f.loaded.Format(time.RFC3339))
}

// Annotate fills src_country and dst_country, and src_as and dst_as where the
// exporter said none or 0.
func (d *Databases) Annotate(b *flow.Batch) {
	s := d.current.Load()
	if len(s.databases) == 0 {
		return
	}
	c := s.take()
	c.annotate(b, flow.SrcAddr, flow.SrcCountry, flow.SrcAS, flow.SrcASSource)
	c.annotate(b, flow.DstAddr, flow.DstCountry, flow.DstAS, flow.DstASSource)
	s.give(c)
}

// take and give lend a cache for a batch.
func (s *set) take() *cache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free = s.free[:n-1]
		return c
	}
	return newCache(s.databases)
}

func (s *set) give(c *cache) {
	s.mu.Lock()
	s.free = append(s.free, c)
	s.mu.Unlock()
}
