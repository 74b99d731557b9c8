//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// window is what happened while a contender was watched.
type window struct {
	counts
	took time.Duration
	cpu  usage
}

func (w window) rate() float64 { return float64(w.requests) / w.took.Seconds() }

// perRequest is the CPU time of each request.
func (w window) perRequest() Sample {
	n := float64(w.requests)
	return Sample{CPU: micros(w.cpu.total) / n, User: micros(w.cpu.user) / n, System: micros(w.cpu.system) / n}
}

// perGiB is how fast bodies went, and the CPU time of each GiB.
func (w window) perGiB() Sample {
	perGiB := float64(w.bytes) / (1 << 30) * 1000
	return Sample{
		MiB:    float64(w.bytes) / (1 << 20) / w.took.Seconds(),
		CPUGiB: micros(w.cpu.total) / perGiB, UserGiB: micros(w.cpu.user) / perGiB, SystemGiB: micros(w.cpu.system) / perGiB,
	}
}

func (s Sample) add(l latencies) {
	s[P50], s[P99], s[P999] = micros(l.p50), micros(l.p99), micros(l.p999)
}

// underLoad starts a contender and a load and watches the contender once all is warm.
func (b *bench) underLoad(ctx context.Context, c Contender, s Setup, to server, begin func(address string) (load, error)) (window, latencies, error) {
	p, err := b.start(ctx, c, s, to)
	if err != nil {
		return window{}, latencies{}, err
	}
	defer p.stop()
	l, err := begin(p.address)
	if err != nil {
		return window{}, latencies{}, err
	}
	w, err := b.watch(ctx, p)
	for until := time.Now().Add(patience); err == nil && !w.any() && time.Now().Before(until); {
		w, err = b.observe(ctx, p) // a short window can fall between two answers of a slow contender
	}
	took, err2 := l.stop()
	if err == nil && !w.any() {
		err = errors.New("nothing was answered")
	}
	return w, took, p.explain(errors.Join(err, err2))
}

// patience is how long something may take that takes no time on a machine that is not
// overloaded.
const patience = 30 * time.Second

// watch waits until the first answer, and half of the duration for everything to get warm,
// and then watches for the duration.
func (b *bench) watch(ctx context.Context, p *process) (window, error) {
	begun, err := p.server.counts(ctx)
	if err != nil {
		return window{}, err
	}
	var countErr error
	err = await(ctx, "the first answer", func() bool {
		var now counts
		now, countErr = p.server.counts(ctx)
		return countErr != nil || now.since(begun).any()
	})
	if err = errors.Join(err, countErr); err == nil {
		err = sleep(ctx, b.duration/2)
	}
	if err != nil {
		return window{}, err
	}
	return b.observe(ctx, p)
}

// observe tells what happens within the duration.
func (b *bench) observe(ctx context.Context, p *process) (window, error) {
	begun, err := p.server.counts(ctx)
	if err != nil {
		return window{}, err
	}
	at := time.Now()
	before, err := p.usage()
	if err == nil {
		err = sleep(ctx, b.duration)
	}
	if err != nil {
		return window{}, err
	}
	done, countErr := p.server.counts(ctx)
	took := time.Since(at)
	after, err := p.usage()
	return window{counts: done.since(begun), took: took, cpu: after.since(before)}, errors.Join(err, countErr)
}

// memory measures by how much a contender grows with each idle connection.
func (b *bench) memory(ctx context.Context, c Contender, connections int, secure bool) (Sample, error) {
	p, err := b.start(ctx, c, Setup{Connections: connections}, b.backend)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	before, err := p.memory()
	if err != nil {
		return nil, err
	}
	stop, err := openIdle(ctx, p.address, secure, connections)
	defer stop()
	if err == nil {
		err = sleep(ctx, b.duration) // what was needed only for the request can go
	}
	if err != nil {
		return nil, p.explain(err)
	}
	after, err := p.memory()
	return Sample{Memory: float64(after-before) / 1024 / float64(connections)}, err
}

// mayOpen tells why a contender, or this program, may not open as many files as some
// connections take, nil if they may.
func mayOpen(c Contender, connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	const others = 500
	if wanted := uint64(c.files*connections + others); limit.Cur < wanted {
		return fmt.Errorf("%d connections need %d open files, and the limit is %d (ulimit -n)", connections, wanted, limit.Cur)
	}
	return nil
}

// await waits for a condition; what names it.
func await(ctx context.Context, what string, cond func() bool) error {
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has not come within %v", what, patience)
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
