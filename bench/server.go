//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
)

// server is what contenders stand before. It counts what gets through to it, which is what
// rates are made of.
type server interface {
	address() string
	counts(ctx context.Context) (counts, error)
}

// counts is what a server has done so far.
type counts struct {
	requests int64 // that have been answered, but for those that waited
	waited   int64 // requests for which a filter has waited for a file
	bytes    int64 // of bodies, both ways
}

func (c counts) since(before counts) counts {
	return counts{c.requests - before.requests, c.waited - before.waited, c.bytes - before.bytes}
}

// any reports whether there was anything.
func (c counts) any() bool { return c != counts{} }

// short is nginx as a server of short answers. It takes so little of the processors itself
// that what a contender does for a request shows, and it is what gateways stand before.
type short struct {
	process *process
	asked   int64 // its count of requests has those for the count
}

var shortNeeds = append([]need{{"nginx", "nginx"}}, wrkNeeds...)

// startShort starts the server for that many connections.
func (b *bench) startShort(ctx context.Context, connections int) (*short, error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, err
	}
	p, err := launchAnywhere(ctx, nginx("server"), Setup{Dir: dir, Connections: connections})
	if err != nil {
		return nil, fmt.Errorf("the server: %w", err)
	}
	return &short{process: p}, nil
}

func (s *short) address() string { return s.process.address }

func (s *short) counts(ctx context.Context) (counts, error) {
	text, err := get(ctx, "http://"+s.address()+"/status")
	if err != nil {
		return counts{}, err
	}
	n, err := parseStatus(text)
	s.asked++
	return counts{requests: n - s.asked}, err
}

// parseStatus finds the number of requests in nginx's page of its status.
func parseStatus(text []byte) (requests int64, err error) {
	var accepted, handled int64
	_, numbers, _ := bytes.Cut(text, []byte("server accepts handled requests\n"))
	if _, err := fmt.Fscan(bytes.NewReader(numbers), &accepted, &handled, &requests); err != nil {
		return 0, fmt.Errorf("the status of nginx: %w: %q", err, text)
	}
	return requests, nil
}
