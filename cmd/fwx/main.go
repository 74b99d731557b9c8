// Fwx is a filtering gateway: traffic passes through filters written in Lua or
// Go, and all its I/O, sockets and files alike, completes on one completion
// port. See the README for a first filter in two minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"fwx/framework"
	"fwx/framework/strict"
)

// The exit codes of the program.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// command is one of the program's subcommands.
type command struct {
	name    string
	args    string // as the usage shows them
	summary string
	run     func(ctx context.Context, p program, args []string) error
}

func commands() []command {
	return []command{
		{"run", "[-c FILE]", "start the gateway; Ctrl-C or SIGTERM drains and ends it, SIGHUP reloads it", runGateway},
		{"check", "[-c FILE]", "report everything that is wrong with a configuration, and start nothing", runCheck},
		{"init", "DIR", "write a small project: a configuration, a filter with its test, settings for editors", runInit},
		{"test", "[OPTIONS] [PATH...]", "run the tests of scripts, *_test.lua, in files or folders", runTest},
		{"cert", "self-signed [OPTIONS] [NAME...]", "make a certificate to develop with, for names of hosts and addresses", runCert},
		{"console", "[OPTIONS] [COMMAND]", "look at a running gateway, and end connections; COMMAND help tells how", runConsole},
		{"filters", "", "list the kinds of filter and their settings", runFilters},
		{"port", "", "show which backend of the completion port this machine gets, and why", runPort},
		{"version", "", "print the version", runVersion},
	}
}

// statusFunc is told how the service does, for a supervisor.
type statusFunc = func(framework.ServiceStatus)

// program is where a command's output goes.
type program struct {
	out, err io.Writer
	status   statusFunc // nil: nobody wants to know
}

var (
	// errUsage ends a command whose words were off; what was wrong has been said.
	errUsage = errors.New("usage")
	// errReported ends a command that has failed and has said why.
	errReported = errors.New("reported")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the program at once.
	context.AfterFunc(ctx, stop)
	code := supervised(ctx, func(ctx context.Context, status statusFunc) int {
		return program{os.Stdout, os.Stderr, status}.main(ctx, os.Args[1:])
	})
	stop()
	os.Exit(code)
}

// main runs the command that args name and returns the exit code.
func (p program) main(ctx context.Context, args []string) int {
	if len(args) == 0 {
		p.usage(p.err)
		return exitUsage
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		p.usage(p.out)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return p.exitCode(c.run(ctx, p, args[1:]))
		}
	}
	fmt.Fprintf(p.err, "fwx: unknown command %q; see fwx --help\n", args[0])
	return exitUsage
}

func (p program) exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errReported):
		return exitError
	}
	if mistakes, ok := errors.AsType[strict.Errors](err); ok { // each has its file and line, as a compiler's have
		fmt.Fprintln(p.err, mistakes)
	} else {
		fmt.Fprintf(p.err, "fwx: %v\n", err)
	}
	return exitError
}

func (p program) usage(w io.Writer) {
	fmt.Fprint(w, "fwx is a filtering gateway with filters in Lua and Go.\n\nUsage: fwx COMMAND [OPTIONS]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-28s %s\n", c.name+" "+c.args, c.summary)
	}
	fmt.Fprint(w, "\nfwx COMMAND --help tells more about a command.\n")
}

// parse parses the options of a command, which takes no other arguments.
func (p program) parse(name string, args []string, define func(*flag.FlagSet)) error {
	rest, err := p.parseArguments(name, args, define)
	if err == nil && len(rest) > 0 {
		fmt.Fprintf(p.err, "fwx %s: unexpected argument %q; see fwx %s --help\n", name, rest[0], name)
		return errUsage
	}
	return err
}

// parseArguments parses the options of a command and returns its other arguments.
func (p program) parseArguments(name string, args []string, define func(*flag.FlagSet)) (rest []string, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(p.err)
	define(flags)
	for _, c := range commands() {
		if c.name == name {
			flags.Usage = func() { p.commandUsage(c, flags) }
		}
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	return flags.Args(), nil
}

func (p program) commandUsage(c command, flags *flag.FlagSet) {
	fmt.Fprintf(p.err, "Usage: fwx %s %s\n\n  %s\n", c.name, c.args, c.summary)
	options := 0
	flags.VisitAll(func(*flag.Flag) { options++ })
	if options > 0 {
		fmt.Fprint(p.err, "\nOptions:\n")
		flags.PrintDefaults()
	}
}

func noOptions(*flag.FlagSet) {}
