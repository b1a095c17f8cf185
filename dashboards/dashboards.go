// Package dashboards keeps arrangements of panels that people made in the
// console: which questions, drawn how, beside each other. The server serves
// them by name; nothing else reads them.
//
// Each is a JSON file of its own in one directory. A write is durable before it
// is answered, and refused when somebody else has written since the writer
// read: nobody's work is overwritten unseen.
package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/internal/durable"
)

// Dashboard is an arrangement of panels.
type Dashboard struct {
	Name        string    `json:"name" doc:"Of its address: a to z, 0 to 9 and -"`
	Title       string    `json:"title" maxLength:"80"`
	Description string    `json:"description,omitempty" maxLength:"400"`
	Panels      []Panel   `json:"panels" maxItems:"60"`
	Updated     time.Time `json:"updated,omitzero" doc:"When it was written. A writer gives the one that he read; it is refused if somebody else has written since"`
}

// Panel is a question and how its answer is drawn.
type Panel struct {
	ID     string `json:"id" minLength:"1" maxLength:"40" doc:"Unique in its dashboard"`
	Title  string `json:"title,omitempty" maxLength:"80" doc:"Empty: what it asks"`
	View   string `json:"view" minLength:"1" maxLength:"4096" doc:"The query of an Explore address"`
	Width  int    `json:"width" minimum:"1" maximum:"12" doc:"Of 12 columns"`
	Height int    `json:"height,omitempty" minimum:"0" maximum:"60" doc:"Of its chart, in steps of 20 pixels; 0 is as usual"`
}

// Most is how many dashboards are kept.
const Most = 500

// Errors that a caller tells apart.
var (
	ErrUnknown = errors.New("there is no dashboard of this name")
	ErrChanged = errors.New("somebody else has written this dashboard since: load it again, then change it")
	ErrFull    = fmt.Errorf("there are %d dashboards already: delete some first", Most)
)

// wrong is a dashboard that cannot be kept, and why.
type wrong struct{ error }

// IsWrong tells whether an error is the writer's fault.
func IsWrong(err error) bool { return errors.As(err, new(wrong)) }

// Store keeps dashboards in a directory. It is safe for concurrent use.
type Store struct {
	dir string

	mu sync.Mutex
}

// Open makes the directory if need be.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Store{dir: dir}, nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,59}$`)

func (s *Store) path(name string) string { return filepath.Join(s.dir, name+".json") }

// List returns all, by name. Files that cannot be read are returned as an
// error beside the others.
func (s *Store) List() ([]Dashboard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	all := []Dashboard{}
	var failed []error
	for _, file := range files {
		d, err := s.read(strings.TrimSuffix(filepath.Base(file), ".json"))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Dashboard) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(failed...)
}

// Get returns one, or ErrUnknown.
func (s *Store) Get(name string) (Dashboard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read(name)
}

func (s *Store) read(name string) (Dashboard, error) {
	if !nameForm.MatchString(name) {
		return Dashboard{}, ErrUnknown
	}
	text, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Dashboard{}, ErrUnknown
	}
	if err != nil {
		return Dashboard{}, err
	}
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return Dashboard{}, fmt.Errorf("%s: %w", s.path(name), err)
	}
	d.Name = name
	if d.Panels == nil {
		d.Panels = []Panel{}
	}
	return d, nil
}

// Put writes a dashboard that its writer read when it was d.Updated, the zero
// time for a new one, and returns it as it is kept.
func (s *Store) Put(d Dashboard, now time.Time) (Dashboard, error) {
	if err := d.check(); err != nil {
		return Dashboard{}, wrong{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.read(d.Name)
	switch {
	case errors.Is(err, ErrUnknown):
		files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
		if err != nil {
			return Dashboard{}, err
		}
		if len(files) >= Most {
			return Dashboard{}, ErrFull
		}
		if !d.Updated.IsZero() {
			return Dashboard{}, ErrChanged // it was deleted
		}
	case err != nil:
		return Dashboard{}, err
	case !kept.Updated.Equal(d.Updated):
		return Dashboard{}, ErrChanged
	}
	d.Updated = now.UTC().Round(0)
	if !d.Updated.After(kept.Updated) {
		d.Updated = kept.Updated.Add(time.Millisecond) // two writes within a tick of the clock, or a clock that went back
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return Dashboard{}, err
	}
	return d, durable.WriteFile(s.path(d.Name), text)
}

// Delete forgets one, or returns ErrUnknown.
func (s *Store) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !nameForm.MatchString(name) {
		return ErrUnknown
	}
	err := os.Remove(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrUnknown
	}
	return err
}

// check says what is wrong with a dashboard.
func (d *Dashboard) check() error {
	if !nameForm.MatchString(d.Name) {
		return fmt.Errorf("the name %q: expected up to 60 of a to z, 0 to 9 and -", d.Name)
	}
	if len(d.Panels) > 60 {
		return fmt.Errorf("%d panels: there may be 60", len(d.Panels))
	}
	if err := line("title", d.Title, 80); err != nil {
		return err
	}
	if err := line("description", d.Description, 400); err != nil {
		return err
	}
	ids := map[string]bool{}
	for i, p := range d.Panels {
		switch {
		case p.ID == "" || len(p.ID) > 40:
			return fmt.Errorf("panel %d: its id needs 1 to 40 bytes", i+1)
		case ids[p.ID]:
			return fmt.Errorf("panel %d: another has the id %q", i+1, p.ID)
		case p.View == "" || len(p.View) > 4096:
			return fmt.Errorf("panel %d: its view needs 1 to 4096 bytes", i+1)
		case p.Width < 1 || p.Width > 12:
			return fmt.Errorf("panel %d: a width of %d columns: expected 1 to 12", i+1, p.Width)
		case p.Height < 0 || p.Height > 60:
			return fmt.Errorf("panel %d: a height of %d: expected 0 to 60", i+1, p.Height)
		}
		ids[p.ID] = true
		if err := line("title", p.Title, 80); err != nil {
			return fmt.Errorf("panel %d: %w", i+1, err)
		}
		if err := line("view", p.View, 4096); err != nil {
			return fmt.Errorf("panel %d: %w", i+1, err)
		}
	}
	return nil
}

// line wants text of one line.
func line(what, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return fmt.Errorf("the %s is longer than %d characters", what, most)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("the %s has characters that are no text", what)
	}
	return nil
}
