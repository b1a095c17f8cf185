// Package web holds the console, as npm built it, inside the binary. The
// server serves it; nothing else uses it.
//
// The bundle lies in dist, which is empty but for a marker until
// `npm run build` has run, so that the Go code builds without Node; there is
// then nothing to serve.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var bundle embed.FS

// Dist returns the console's files, index.html at the root; nil when the
// console was not built into this binary. Names under assets/ carry a hash of
// their content, so they may be cached for ever; index.html may not.
func Dist() fs.FS {
	files, err := fs.Sub(bundle, "dist")
	if err != nil { // "dist" is a valid path: it can't happen
		panic(err)
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil
	}
	return files
}
