//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// hostile is what ordinary clients notice of an attack on the only worker of a gateway.
func (b *bench) hostile() Case {
	c := Case{
		Name:    "hostile",
		About:   fmt.Sprintf("%d clients of a gateway with one worker, alone (calm) and during an attack", bystanderCount),
		Figures: []Figure{CalmP50, P50, CalmP99, P99, P99Growth, CalmLongest, Longest, Peak},
	}
	for _, a := range attacks() {
		if b.short {
			a.clients = min(a.clients, 50)
		}
		for _, backend := range []string{uring, epoll} {
			gateway := hostileGateway(a, backend)
			c.Entries = append(c.Entries, Entry{
				Name:    a.name + "-" + strings.TrimPrefix(backend, "io_"),
				Missing: func() error { return errors.Join(gateway.missing(), mayOpen(gateway, a.clients)) },
				Measure: func(ctx context.Context) (Sample, error) { return b.besideAttack(ctx, gateway, a) },
			})
		}
	}
	return c
}

// hostileGateway is fwx with one worker, and with the script that attacks aim at.
func hostileGateway(a attack, backend string) Contender {
	h := host{Name: "fwx-hostile", Backend: backend, Filter: hostileFilter, Workers: 1}
	if a.secure {
		h.Filter = "tls"
	}
	c := ours(h)
	c.tls = a.secure
	c.missing = func() error { return refused(backend) }
	return c
}

// besideAttack measures bystanders before an attack and while it goes on.
func (b *bench) besideAttack(ctx context.Context, c Contender, a attack) (Sample, error) {
	p, err := b.start(ctx, c, Setup{Connections: a.clients + bystanderCount, Script: hostileFilter}, b.backend)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	calm, err := b.watchBystanders(ctx, p, a.secure)
	if err != nil {
		return nil, p.explain(err)
	}
	attackers := startClients(ctx, a.clients, func(int) client { return &attacker{peer{address: p.address}, a.attempt} })
	err = sleep(ctx, b.duration) // the attack builds up
	var beside []time.Duration
	if err == nil {
		beside, err = b.watchBystanders(ctx, p, a.secure)
	}
	peak, err2 := p.peakMemory()
	_, err3 := attackers.stop()
	if err = errors.Join(err, err2, err3); err != nil {
		return nil, p.explain(err)
	}
	before, during := percentiles(calm), percentiles(beside)
	sample := Sample{
		CalmP50: micros(before.p50), CalmP99: micros(before.p99), CalmLongest: micros(slices.Max(calm)) / 1000,
		P99Growth: float64(during.p99) / float64(before.p99), Longest: micros(slices.Max(beside)) / 1000,
		Peak: float64(peak) / (1 << 20),
	}
	sample.add(during)
	return sample, nil
}

// bystanderCount is how many ordinary clients there are. Each makes a request every
// bystanderPause, so that what is measured is not their own queue.
const (
	bystanderCount = 8
	bystanderPause = 5 * time.Millisecond
)

// watchBystanders returns how long the requests of ordinary clients take within the
// duration. One that is not answered is broken off at the end and counts with the time it has waited.
func (b *bench) watchBystanders(ctx context.Context, p *process, secure bool) ([]time.Duration, error) {
	all := make([]*bystander, bystanderCount)
	running := startClients(ctx, bystanderCount, func(i int) client {
		all[i] = &bystander{client: &getter{peer{address: p.address}, "/"}}
		if secure { // what they would wait for is a handshake
			all[i].client = &caller{peer{address: p.address, secure: true}}
		}
		return all[i]
	})
	err := sleep(ctx, b.duration)
	_, err2 := running.stop()
	var took []time.Duration
	for _, one := range all {
		took = append(took, one.took...)
	}
	if len(took) == 0 {
		return nil, errors.Join(err, err2, errors.New("no bystander has made a request"))
	}
	return took, errors.Join(err, err2)
}

// bystander makes exchanges with pauses between them.
type bystander struct {
	client
	took []time.Duration // by each exchange
}

func (s *bystander) exchange(ctx context.Context) error {
	if err := sleep(ctx, bystanderPause); err != nil {
		return err
	}
	begun := time.Now()
	err := s.client.exchange(ctx)
	s.took = append(s.took, time.Since(begun))
	return err
}

// peakMemory is the most memory that has been resident in the contender at a time.
func (p *process) peakMemory() (int64, error) { return peakMemory(p.cmd.Process.Pid) }
