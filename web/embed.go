// Package web holds the console, as npm built it, inside the binary. The
// server serves it; nothing else uses it.
//
// The bundle lies in dist, which is empty but for a marker until
// `npm run build` has run, so that the Go code builds without Node. Dist then
// says that there is nothing to serve.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var bundle embed.FS

// Dist returns the console's files, index.html at the root, and whether the
// console was built into this binary. Names under assets/ carry a hash of
// their content, so they may be cached for ever; index.html may not.
func Dist() (files fs.FS, built bool) {
	files, err := fs.Sub(bundle, "dist")
	if err != nil { // "dist" is a valid path: it can't happen
		panic(err)
	}
	_, err = fs.Stat(files, "index.html")
	return files, err == nil
}
