//go:build linux

// Command bench measures fwx beside other proxies, on loopback and in one run:
// it starts a server, the contenders and the load, takes the contenders in turn
// for some rounds, and prints medians, ratios and spread.
//
//	go run ./bench                                  # everything, for more than an hour
//	go run ./bench -only small-64,haproxy-tcp,fwx-*  # one case, some contenders
//	go run ./bench -short                           # only checks that all of it runs
//
// docs/performance.md tells what the cases and figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == hostCommand {
		runHost(os.Args[2])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// settings are the options of the command.
type settings struct {
	only     []string
	rounds   int
	duration time.Duration
	short    bool
	json     bool
	list     bool
	dir      string
}

func parseSettings(args []string) (settings, error) {
	s := settings{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "measure only these `NAMES` of cases and contenders; * stands for anything")
	flags.IntVar(&s.rounds, "rounds", 5, "how many runs each median is of")
	flags.DurationVar(&s.duration, "duration", 2*time.Second, "how long each run is measured, after its warm-up")
	flags.BoolVar(&s.short, "short", false, "one short round with fewer connections: checks that every case runs")
	flags.BoolVar(&s.json, "json", false, "print JSON, with the figures of every run")
	flags.BoolVar(&s.list, "list", false, "list the cases and their contenders")
	flags.StringVar(&s.dir, "dir", os.TempDir(), "where files are made; its file system is measured by the file cases")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.rounds < 1:
		return s, fmt.Errorf("-rounds %d: at least 1", s.rounds)
	case s.duration <= 0:
		return s, fmt.Errorf("-duration %v: more than 0", s.duration)
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	if s.short {
		s.rounds, s.duration = 1, 100*time.Millisecond
	}
	return s, nil
}

func run(ctx context.Context, args []string) error {
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	cases, err := pick(allCases(b), s.only)
	if err == nil {
		if s.list {
			listCases(os.Stdout, cases)
		} else {
			err = b.measureAll(ctx, cases)
		}
	}
	return errors.Join(err, b.close())
}
