package main

import (
	"context"
	"fmt"
	"io"

	"github.com/minamo-flow/minamo/config"
)

const configUsage = `Usage: minamo config default        print the default configuration, with explanations
       minamo config check FILE     tell what is wrong in a file, by line and column

A file needs only what differs from the default: minamo serve --config FILE
`

func configCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "default":
		fmt.Fprint(stdout, config.DefaultText)
		return 0
	case len(args) == 2 && args[0] == "check":
		cfg, err := config.Load(args[1])
		if err == nil {
			err = cfg.CheckFiles()
		}
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		fmt.Fprintf(stdout, "%s is right\n", args[1])
		return 0
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		fmt.Fprint(stdout, configUsage)
		return 0
	}
	fmt.Fprint(stderr, configUsage)
	return 2
}
