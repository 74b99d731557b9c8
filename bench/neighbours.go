//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// stall is how long each read of the file that hangs takes.
const stall = 200 * time.Millisecond

// neighbours is what connections get to feel of others whose filter reads a file that hangs.
func (b *bench) neighbours() Case {
	const each = 32
	return Case{
		Name: "neighbours",
		About: fmt.Sprintf("%d connections, alone (calm) and beside %d whose filter in Lua reads files that take %v each",
			each, each, stall),
		Figures: []Figure{CalmRate, Requests, CalmP50, P50, CalmP99, P99, P99Growth, CalmP999, P999, Stalled},
		Entries: proxies([]string{"haproxy-lua", "nginx-lua", "fwx-uring-lua", "fwx-epoll-lua"}, 2*each, wrkNeeds,
			func(ctx context.Context, c Contender) (Sample, error) { return b.besideStalled(ctx, c, each) }),
	}
}

func (b *bench) besideStalled(ctx context.Context, c Contender, each int) (Sample, error) {
	p, err := b.start(ctx, c, Setup{Connections: 2 * each, Script: waiting}, b.backend)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	calm, before, err := b.bystanders(ctx, p, each)
	if err != nil {
		return nil, p.explain(err)
	}
	files := make([]string, each)
	for i := range files {
		files[i] = filepath.Join(p.cmd.Dir, "wait"+strconv.Itoa(i))
		if err := syscall.Mkfifo(files[i], 0o600); err != nil {
			return nil, err
		}
	}
	stalled := startClients(ctx, each, func(i int) client { return &staller{peer{address: p.address}, files[i]} })
	beside, during, err := b.bystanders(ctx, p, each)
	_, err2 := stalled.stop()
	if err = errors.Join(err, err2); err != nil {
		return nil, p.explain(err)
	}
	sample := Sample{
		CalmRate: calm.rate(), CalmP50: micros(before.p50), CalmP99: micros(before.p99), CalmP999: micros(before.p999),
		Requests:  beside.rate(),
		P99Growth: float64(during.p99) / float64(before.p99),
		Stalled:   float64(beside.waited) / beside.took.Seconds(),
	}
	sample.add(during)
	return sample, nil
}

// bystanders watches connections on which nothing hangs. If none of them is answered, the
// time that they were watched stands for all percentiles.
func (b *bench) bystanders(ctx context.Context, p *process, connections int) (window, latencies, error) {
	if err := sleep(ctx, b.duration/2); err != nil { // those that hang begin
		return window{}, latencies{}, err
	}
	l, err := b.startWrk(ctx, "http://"+p.address, connections)
	if err != nil {
		return window{}, latencies{}, err
	}
	var w window
	if err = sleep(ctx, b.duration/2); err == nil {
		w, err = b.observe(ctx, p)
	}
	took, err2 := l.stop()
	if took.p50 == 0 {
		took = latencies{w.took, w.took, w.took}
	}
	return w, took, errors.Join(err, err2)
}

// staller makes requests for which a filter reads a FIFO, and writes what is read after the
// time that it is to take.
type staller struct {
	peer
	fifo string
}

func (s *staller) exchange(ctx context.Context) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	if err := s.request(http.MethodGet, "/"+filepath.Base(s.fifo), ""); err != nil {
		return err
	}
	file, err := openForReader(ctx, s.fifo)
	if err != nil {
		return err
	}
	err = sleep(ctx, stall)
	if err == nil {
		_, err = file.Write([]byte("x"))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return s.answer()
}

// openForReader opens a FIFO to write to it once somebody reads it.
func openForReader(ctx context.Context, path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // our own FIFO
		if !errors.Is(err, syscall.ENXIO) {
			return file, err
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
}
