package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// Finding is something that Check has to tell of a file, or of a directory.
type Finding struct {
	Path    string
	Table   string // "" where it is in none
	Problem string
	Advice  string
	Damaged bool   // the file cannot be trusted: Repair sets it aside
	Rename  string // the file is sound, but belongs here: Repair moves it
	Note    bool   // nothing is wrong; it only should be known
	Rows    int64  // that are lost with it, as its name tells
}

// Checked is what Check has looked at.
type Checked struct {
	Files    int
	Rows     int64
	Bytes    int64
	Unsummed int64 // pages without a checksum: another program wrote them
	Findings []Finding
}

// Wrong tells whether anything is.
func (c *Checked) Wrong() bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return !f.Note })
}

// checker is one call of Check.
type checker struct {
	Checked
	ctx      context.Context
	dir      string
	total    int64
	progress func(done, total, rows int64)
}

// Check verifies all files of the data directory dir: that every one is what
// its name says, whole, and can be read to its last value; and what stands
// about that should not. It only reads, and works while a server runs: a file
// that is merged away meanwhile is passed over. progress is told bytes and rows.
func Check(ctx context.Context, dir string, progress func(done, total, rows int64)) (*Checked, error) {
	if progress == nil {
		progress = func(_, _, _ int64) {}
	}
	c := &checker{ctx: ctx, dir: dir, progress: progress}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("store: read the data directory: %w", err)
	}
	c.columns()
	tables, err := Tables(dir)
	if err != nil {
		return nil, err
	}
	all := make([][]Segment, len(tables))
	for i, table := range tables {
		if all[i], err = c.list(table); err != nil {
			return nil, err
		}
	}
	for i, table := range tables {
		for _, s := range all[i] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := c.file(table, s); err != nil {
				return nil, err
			}
		}
	}
	if err := c.leftovers(); err != nil {
		return nil, err
	}
	return &c.Checked, nil
}

func (c *checker) found(f Finding) { c.Findings = append(c.Findings, f) }

// columns checks columns.parquet.
func (c *checker) columns() {
	path := filepath.Join(c.dir, columnsFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		c.found(Finding{Path: path, Problem: "is missing", Advice: "a server writes it when it starts", Note: true})
		return
	}
	if _, err := readColumns(path); err != nil {
		c.found(Finding{Path: path, Problem: err.Error(), Advice: "a server writes it anew when it starts; columns of your own must be in its configuration then"})
	}
}

// list lists the files of a table, and tells of what is no file of it, stands
// in the wrong day, or overlaps another.
func (c *checker) list(table string) ([]Segment, error) {
	segments, err := segmentsOf(c.dir, table)
	if err != nil {
		return nil, err
	}
	_, covered, err := listOf(c.dir, table)
	if err != nil {
		return nil, err
	}
	for i, s := range segments {
		c.total += s.Bytes
		if day := filepath.Base(filepath.Dir(s.Path)); day != s.SealedFirst.Format(dayLayout) {
			c.found(Finding{Path: s.Path, Table: table, Problem: fmt.Sprintf("is in the directory %s, but was sealed on %s", day, s.SealedFirst.Format(dayLayout)),
				Advice: "move it into the directory of its day, or let minamo store check --repair do it", Rename: s.path(c.dir)})
		}
		if i > 0 && !s.SealedFirst.After(segments[i-1].SealedLast) {
			c.found(Finding{Path: s.Path, Table: table, Problem: "its seal range overlaps that of " + filepath.Base(segments[i-1].Path) + ", and neither holds the other",
				Advice: "no server makes such a file: if it was copied here, move it out and import it with minamo store import"})
		}
	}
	for _, s := range covered {
		c.found(Finding{Path: s.Path, Table: table, Problem: "is part of a merged file, and no reader counts it", Advice: "a merge is under way, or the next start deletes it", Note: true})
	}
	return segments, c.strangers(table)
}

// strangers tells of what is in a table's directory and is no segment.
func (c *checker) strangers(table string) error {
	root := tableDir(c.dir, table)
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		if entry.IsDir() {
			if path != root {
				if _, err := time.Parse(dayLayout, entry.Name()); err != nil {
					c.found(Finding{Path: path, Table: table, Problem: "is no day", Advice: "nothing in it is read by day; move it elsewhere"})
				}
			}
			return nil
		}
		if _, ok := parseSegment(path); !ok {
			c.found(Finding{Path: path, Table: table, Problem: "its name is not that of a segment: nobody reads it", Advice: "give it its name back, or move it elsewhere"})
		}
		return nil
	})
}

// leftovers tells of damaged/ and tmp/.
func (c *checker) leftovers() error {
	damaged, err := pile(filepath.Join(c.dir, "damaged"))
	if err != nil {
		return err
	}
	if damaged.Files > 0 {
		c.found(Finding{Path: filepath.Join(c.dir, "damaged"), Problem: fmt.Sprintf("%d files were set aside because they could not be read", damaged.Files),
			Advice: "restore them from a backup (docs/store.md), or delete them", Note: true})
	}
	temp, err := pile(filepath.Join(c.dir, "tmp"))
	if err != nil {
		return err
	}
	if temp.Files > 0 {
		c.found(Finding{Path: filepath.Join(c.dir, "tmp"), Problem: fmt.Sprintf("%d unfinished files", temp.Files), Advice: "a server is writing them, or the next start deletes them", Note: true})
	}
	return nil
}

// file checks one file of a table.
func (c *checker) file(table string, s Segment) error {
	rows, unsummed, err := verifyFile(c.ctx, table, s, func(rows int64) {
		c.progress(c.Bytes+int64(float64(s.Bytes)*float64(rows)/float64(max(s.Rows, 1))), c.total, c.Rows+rows)
	})
	var wrong *misnamedError
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return nil // merged meanwhile, or deleted
	case errors.Is(err, fs.ErrPermission):
		return err
	case errors.As(err, &wrong):
		wrong.right.Table = s.Table
		c.found(Finding{Path: s.Path, Table: table, Problem: err.Error(), Rename: wrong.right.path(c.dir),
			Advice: "rename it to " + filepath.Base(wrong.right.path(c.dir)) + ", or let minamo store check --repair do it"})
	case err != nil:
		f := Finding{Path: s.Path, Table: table, Problem: err.Error(), Damaged: true, Rows: s.Rows,
			Advice: "restore it from a backup, or set it aside with minamo store check --repair; and check the disk"}
		if table != flowsDir && table != longTable {
			f.Advice = "set it aside with minamo store check --repair: it is made anew of the flows that are kept"
		}
		c.found(f)
	}
	c.Files++
	c.Rows += rows
	c.Bytes += s.Bytes
	c.Unsummed += unsummed
	c.progress(c.Bytes, c.total, c.Rows)
	return nil
}

// verifyFile reads a file to its last value.
func verifyFile(ctx context.Context, table string, s Segment, progress func(rows int64)) (rows, unsummed int64, err error) {
	in, err := openVetted(s.Path)
	if err != nil {
		return 0, 0, err
	}
	defer in.file.Close()
	if in.meta.NumRows != s.Rows {
		return 0, 0, fmt.Errorf("it has %d rows, and its name says %d", in.meta.NumRows, s.Rows)
	}
	path, done, err := Readable(ctx, s.Path, "")
	if err != nil {
		return 0, 0, err
	}
	defer done()
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	v := verifier{file: f, meta: in.meta, pages: in.end, flows: table == flowsDir || table == longTable, segment: s}
	if path != s.Path {
		if v.meta, v.pages, err = readFooter(f); err != nil { // of the copy: its row groups may be others
			return 0, 0, err
		}
	}
	kinds, err := v.kinds(table)
	if err != nil {
		return 0, 0, err
	}
	err = readVectors(f, func(name string) (flow.Kind, bool) {
		kind, ok := kinds[name]
		return kind, ok
	}, func(rows int, vectors []flow.Vector) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.rows(rows, vectors); err != nil {
			return err
		}
		progress(v.read)
		return nil
	})
	if err == nil {
		err = v.end()
	}
	return v.read, in.unsummed, err
}

// verifier looks at the values of a file.
type verifier struct {
	file    *os.File
	meta    *format.FileMetaData
	pages   int64 // where they end
	segment Segment
	flows   bool // rows are flows
	read    int64

	group    int         // the row group at hand
	left     int64       // its rows that are still to come
	index    *groupIndex // that it has, if any
	indexer  indexer     // makes it anew
	levels   []uint8
	extremes map[string]*extremes
	ranged   bool
	first    int64 // the earliest and the latest time of flows
	last     int64
}

// extremes are the least and the greatest value of a column in a row group.
type extremes struct {
	kind                  flow.Kind
	units                 int64 // that make a millisecond, of a time in the file
	nulls                 int64
	any                   bool
	least, most           uint64 // times with the top bit flipped, so that they compare
	leastBytes, mostBytes []byte
}

// kinds tells what the columns are, by their types and, where we know them, by
// their names.
func (v *verifier) kinds(table string) (map[string]flow.Kind, error) {
	kinds := map[string]flow.Kind{}
	for i := range v.meta.Schema[1:] {
		e := &v.meta.Schema[1+i]
		kind, ok := kindOf(e)
		if !ok {
			return nil, fmt.Errorf("column %s has a type that none of ours has", e.Name)
		}
		kinds[e.Name] = kind
	}
	if v.flows {
		for name, kind := range kinds {
			if c, known := flow.Lookup(name); known {
				if want := flow.Schema[c].Kind; physical[kind].Type != physical[want].Type || kind != want && want != flow.MAC {
					return nil, fmt.Errorf("column %s is of kind %s, and should be %s", name, kind, want)
				}
				kinds[name] = flow.Schema[c].Kind
			}
		}
		for c := range flow.Required.All() {
			if _, there := kinds[c.String()]; !there && v.meta.NumRows > 0 {
				return nil, fmt.Errorf("it has no column %s, which every flow has", c)
			}
		}
		return kinds, nil
	}
	cube, _, known := rollup.Find(table)
	if !known {
		return kinds, nil // of a newer version
	}
	for _, want := range cube.Names() {
		if kind, there := kinds[want.Name]; there && physical[kind].Type != physical[want.Kind].Type {
			return nil, fmt.Errorf("column %s is of kind %s, and should be %s", want.Name, kind, want.Kind)
		} else if there {
			kinds[want.Name] = want.Kind
		}
	}
	return kinds, nil
}

// units are how many units of a column make a millisecond, if it has times.
func (v *verifier) units(name string) int64 {
	for i := range v.meta.Schema {
		if e := &v.meta.Schema[i]; e.Name == name {
			if units, ok := perMillisecond(e); ok {
				return units
			}
		}
	}
	return 1
}

// kindOf is the kind of column that an element of a schema stands for. MAC
// addresses and numbers of 64 bits look alike.
func kindOf(e *format.SchemaElement) (flow.Kind, bool) {
	for kind := range flow.Kind(len(physical)) {
		p := &physical[kind]
		if e.Type != p.Type || e.TypeLength.V != p.TypeLength.V {
			continue
		}
		if _, isTime := perMillisecond(e); kind == flow.Time && isTime || kind == flow.Address || kind == flow.Text {
			return kind, true
		}
		if width, ok := unsignedWidth(e); ok && width == map[flow.Kind]int{flow.Uint8: 8, flow.Uint16: 16, flow.Uint32: 32, flow.Uint64: 64}[kind] {
			return kind, true
		}
	}
	return 0, false
}

func unsignedWidth(e *format.SchemaElement) (int, bool) {
	if t, ok := e.LogicalType.Value.(*format.IntType); ok {
		return int(t.BitWidth), !t.IsSigned
	}
	if e.ConvertedType.Valid {
		width, ok := map[deprecated.ConvertedType]int{deprecated.Uint8: 8, deprecated.Uint16: 16, deprecated.Uint32: 32, deprecated.Uint64: 64}[e.ConvertedType.V]
		return width, ok
	}
	return 0, false
}

// rows takes the next rows, which are all of one row group.
func (v *verifier) rows(n int, vectors []flow.Vector) error {
	for v.left == 0 {
		if err := v.endGroup(); err != nil {
			return err
		}
		if v.group == len(v.meta.RowGroups) {
			return errors.New("it has more rows than its footer says")
		}
		group := &v.meta.RowGroups[v.group]
		v.left, v.extremes = group.NumRows, map[string]*extremes{}
		v.group++
		var err error
		if v.index, _, err = readIndex(v.file, v.pages, group); err != nil {
			return err
		}
		v.indexer.reset(int(group.NumRows))
	}
	for i := range vectors {
		x := v.extremes[vectors[i].Name]
		if x == nil {
			x = &extremes{kind: vectors[i].Kind, units: v.units(vectors[i].Name)}
			v.extremes[vectors[i].Name] = x
		}
		x.add(&vectors[i])
		if v.flows {
			if err := v.flowColumn(&vectors[i]); err != nil {
				return err
			}
		}
	}
	v.read += int64(n)
	v.left -= int64(n)
	return nil
}

// flowColumn checks what must hold for a column of flows.
func (v *verifier) flowColumn(x *flow.Vector) error {
	c, known := flow.Lookup(x.Name)
	if !known {
		return nil
	}
	if v.index != nil && (c == flow.SrcAddr || c == flow.DstAddr) {
		v.levels = v.levels[:0]
		for _, present := range x.Present {
			level := uint8(0)
			if present {
				level = 1
			}
			v.levels = append(v.levels, level)
		}
		v.indexer.add(x.Addrs, v.levels, int(v.meta.RowGroups[v.group-1].NumRows-v.left))
	}
	if flow.Required.Has(c) {
		if i := slices.Index(x.Present, false); i >= 0 {
			return fmt.Errorf("row %d has no %s, which every flow has", v.read+int64(i)+1, c)
		}
	}
	if c != flow.Start && c != flow.End {
		return nil
	}
	for _, ms := range x.Numbers {
		at := int64(ms)
		if !v.ranged {
			v.first, v.last, v.ranged = at, at, true
		}
		v.first, v.last = min(v.first, at), max(v.last, at)
	}
	return nil
}

// add widens the extremes by some rows.
func (x *extremes) add(v *flow.Vector) {
	for _, present := range v.Present {
		if !present {
			x.nulls++
		}
	}
	wide := func(b []byte) {
		if !x.any || bytes.Compare(b, x.leastBytes) < 0 {
			x.leastBytes = bytes.Clone(b)
		}
		if !x.any || bytes.Compare(b, x.mostBytes) > 0 {
			x.mostBytes = bytes.Clone(b)
		}
		x.any = true
	}
	switch v.Kind {
	case flow.Address:
		for i := range v.Addrs {
			wide(v.Addrs[i][:])
		}
	case flow.Text:
		for _, text := range v.Texts {
			wide(text)
		}
	default:
		var flip uint64
		if v.Kind == flow.Time {
			flip = 1 << 63
		}
		for _, n := range v.Numbers {
			n ^= flip
			if !x.any || n < x.least {
				x.least = n
			}
			if !x.any || n > x.most {
				x.most = n
			}
			x.any = true
		}
	}
}

// endGroup holds what the footer and the index say of a row group against its
// values: queries pass over rows by it.
func (v *verifier) endGroup() error {
	if v.group == 0 {
		return nil
	}
	if v.index != nil && !bytes.Equal(v.indexer.appendEntries(nil), v.index.told) {
		return fmt.Errorf("row group %d: its index does not tell where its addresses are: queries miss flows", v.group-1)
	}
	group := &v.meta.RowGroups[v.group-1]
	for i := range group.Columns {
		meta := &group.Columns[i].MetaData
		x := v.extremes[meta.PathInSchema[0]]
		if x == nil {
			continue
		}
		if err := x.within(&meta.Statistics); err != nil {
			return fmt.Errorf("row group %d, column %s: %w", v.group-1, meta.PathInSchema[0], err)
		}
	}
	return nil
}

func (x *extremes) within(s *format.Statistics) error {
	// Writers that do not count leave 0, ours count.
	if s.NullCount > 0 && s.NullCount != x.nulls {
		return fmt.Errorf("%d rows have no value, its footer says %d", x.nulls, s.NullCount)
	}
	if !x.any || s.MinValue == nil || s.MaxValue == nil {
		return nil
	}
	outside := false
	switch x.kind {
	case flow.Address, flow.Text:
		outside = bytes.Compare(x.leastBytes, s.MinValue) < 0 || bytes.Compare(x.mostBytes, s.MaxValue) > 0
	default:
		least, ok1 := statistic(x.kind, x.units, s.MinValue)
		most, ok2 := statistic(x.kind, x.units, s.MaxValue)
		if !ok1 || !ok2 {
			return errors.New("its footer has a least or a greatest value of another width")
		}
		outside = x.least < least || x.most > most
	}
	if outside {
		return errors.New("values are outside of what its footer says")
	}
	return nil
}

// statistic is a least or greatest number, as extremes keep them.
func statistic(kind flow.Kind, units int64, b []byte) (uint64, bool) {
	switch {
	case kind == flow.Time && len(b) == 8:
		return uint64(int64(binary.LittleEndian.Uint64(b))/units) ^ 1<<63, true
	case len(b) == 8:
		return binary.LittleEndian.Uint64(b), true
	case len(b) == 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return 0, false
}

// end holds the whole against the file's name.
func (v *verifier) end() error {
	if err := v.endGroup(); err != nil {
		return err
	}
	if v.read != v.segment.Rows {
		return fmt.Errorf("%d rows can be read, its name says %d", v.read, v.segment.Rows)
	}
	if !v.flows || !v.ranged {
		return nil
	}
	first, last := stampTime(v.first), stampTime(v.last)
	if first.Before(v.segment.Start) || last.After(v.segment.End) {
		right := v.segment
		right.Start, right.End = first, last
		return &misnamedError{right, fmt.Sprintf("its flows are from %s to %s, its name says %s to %s: queries miss some of them",
			first.Format(stampLayout), last.Format(stampLayout), v.segment.Start.Format(stampLayout), v.segment.End.Format(stampLayout))}
	}
	return nil
}

// misnamedError says that a sound file has another's name.
type misnamedError struct {
	right   Segment
	problem string
}

func (e *misnamedError) Error() string { return e.problem }

// Repair moves files that cannot be trusted to damaged/, out of every reader's
// way, and gives sound ones their names back. It needs the directory for
// itself: it fails where a server runs. It returns how many it has moved.
func Repair(dir string, findings []Finding) (aside, renamed int, err error) {
	l, err := lock(dir)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	for _, f := range findings {
		to := f.Rename
		if f.Damaged {
			// Parts of rollups of different tables can have the same name.
			to = filepath.Join(dir, "damaged", f.Table, filepath.Base(f.Path))
			if f.Table == flowsDir {
				to = filepath.Join(dir, "damaged", filepath.Base(f.Path))
			}
		}
		if to == "" {
			continue
		}
		if err := moveFile(f.Path, to); err != nil {
			return aside, renamed, err
		}
		if f.Damaged {
			aside++
		} else {
			renamed++
		}
	}
	return aside, renamed, nil
}

// moveFile moves a file durably, and overwrites none.
func moveFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return cmp.Or(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(from)))
}

// Named is a finding's path within the data directory.
func (f Finding) Named(dir string) string {
	if name, err := filepath.Rel(dir, f.Path); err == nil && !strings.HasPrefix(name, "..") {
		return name
	}
	return f.Path
}
