// Minamo receives NetFlow, IPFIX and sFlow, keeps the flows, and shows what
// the network is doing. This package is its commands; serve.go is where the
// pieces are put together.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "development"

// command is one word after `minamo`. run returns the exit status: 0 done, 1
// failed, 2 called wrongly.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

var commands = []command{
	{"serve", "receive flows, store them, serve the console", serveCommand},
	{"flows", "ask the stored flows, in nfdump's manner", flowsCommand},
	{"report", "who, how much, and how it went: standard reports and your own", reportCommand},
	{"proof", "are the numbers right? flows against interface counters", proofCommand},
	{"store", "look after the stored flows: stats, check, compact, export, import", storeCommand},
	{"decode", "print the flows in capture files, one JSON object a line", decodeCommand},
	{"demo", "a living network that does not exist, with the server beside it", demoCommand},
	{"probe", "meter packets, of interfaces or a capture; export their flows or store them", probeCommand},
	{"plan", "which sampling rate on which router keeps limits of flows per second", planCommand},
	{"replay", "send the export datagrams in a capture file again", replayCommand},
	{"config", "print the default configuration, or check a file", configCommand},
	{"version", "print the version", versionCommand},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return 2
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 {
			return run(ctx, []string{args[1], "--help"}, stdout, stderr)
		}
		usage(stdout)
		return 0
	case "--version":
		return versionCommand(ctx, nil, stdout, stderr)
	}
	fmt.Fprintf(stderr, "minamo: there is no command %q\n\n", args[0])
	usage(stderr)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Minamo: see the flow.\n\nUsage: minamo COMMAND [OPTIONS]\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(t, "  %s\t%s\n", c.name, c.summary)
	}
	t.Flush()
	fmt.Fprint(w, "\n`minamo COMMAND --help` tells more.\n")
}

func versionCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintf(stderr, "minamo version: unexpected %q\n", strings.Join(args, " "))
		return 2
	}
	fmt.Fprintln(stdout, "minamo", version)
	return 0
}
