package main

import (
	"os"

	"github.com/minamo-flow/minamo/query"
)

// parseFilter parses a filter of the command line, which may include files.
func parseFilter(text string) (*query.Filter, error) {
	return query.ParseFilterIncluding(text, func(file string) (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	})
}
