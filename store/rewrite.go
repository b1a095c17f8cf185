package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"
)

// Readable makes sure that Read can have a file: some that DuckDB wrote hold
// numbers in a form that is not understood here (errWideDeltas). Of such a one
// it makes a copy in the directory temp, by DuckDB, and returns the copy's path;
// else the file's own. done removes the copy.
func Readable(ctx context.Context, path, temp string) (readable string, done func(), err error) {
	wide, err := isWide(path)
	if err != nil || !wide {
		return path, func() {}, err
	}
	dir, err := os.MkdirTemp(temp, "rewrite-")
	if err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(dir) }
	db, err := sql.Open("duckdb", "?memory_limit=384MB&threads=1&autoinstall_known_extensions=false&autoload_known_extensions=false&temp_directory="+dir)
	if err == nil {
		readable = filepath.Join(dir, filepath.Base(path))
		_, err = db.ExecContext(ctx, "SET TimeZone = 'UTC'; COPY (SELECT * FROM read_parquet("+quote(path)+", hive_partitioning = false)) TO "+quote(readable)+
			" (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v1)")
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		done()
		return "", nil, err
	}
	return readable, done, nil
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// isWide tells whether some column holds what errWideDeltas is about.
func isWide(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := vetFooter(f); err != nil {
		return false, err
	}
	meta, _, err := readFooter(f)
	if err != nil {
		return false, err
	}
	for g := range meta.RowGroups {
		for i := range meta.RowGroups[g].Columns {
			if wideDeltas(&meta.RowGroups[g].Columns[i].MetaData) {
				return true, nil
			}
		}
	}
	return false, nil
}
