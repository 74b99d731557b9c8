//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// hostile is what ordinary clients notice of an attack on the only worker of a gateway.
func (b *bench) hostile() Case {
	c := Case{
		Name:    "hostile",
		About:   fmt.Sprintf("%d clients of a gateway with one worker, alone (calm) and during an attack", bystanderCount),
		Figures: []Figure{CalmP50, P50, CalmP99, P99, P99Growth, CalmLongest, Longest, LongestCPU, Peak},
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
	to, err := startBackend(ctx, net.ListenConfig{Control: smallSendBuffer})
	if err != nil {
		return nil, err
	}
	defer func() { _ = to.close() }() // the attack is over
	p, err := b.start(ctx, c, Setup{Connections: a.clients + bystanderCount, Script: hostileFilter}, to)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	all := make([]*bystander, bystanderCount)
	bystanders := startClients(ctx, bystanderCount, func(i int) client {
		all[i] = newBystander(p, a.secure)
		return all[i]
	})
	err = sleep(ctx, b.duration)
	begun := time.Now()
	attackers := startClients(ctx, a.clients, func(int) client { return &attacker{peer{address: p.address}, a.attempt} })
	err = errors.Join(err, sleep(ctx, 2*b.duration)) // the attack builds up, and goes on
	_, err2 := bystanders.stop()
	peak, err3 := p.peakMemory()
	_, err4 := attackers.stop()
	if err = errors.Join(err, err2, err3, err4); err != nil {
		return nil, p.explain(err)
	}
	var calm, beside waits
	for _, one := range all {
		for _, w := range one.waits {
			if w.ended.Before(begun) {
				calm.add(w)
			} else {
				beside.add(w)
			}
		}
	}
	if len(calm.took) == 0 || len(beside.took) == 0 {
		return nil, p.explain(errors.New("no bystander has made a request"))
	}
	before, during := percentiles(calm.took), percentiles(beside.took)
	sample := Sample{
		CalmP50: micros(before.p50), CalmP99: micros(before.p99), CalmLongest: micros(slices.Max(calm.took)) / 1000,
		P99Growth: float64(during.p99) / float64(before.p99), Longest: micros(slices.Max(beside.took)) / 1000,
		LongestCPU: micros(beside.work) / 1000, Peak: float64(peak) / (1 << 20),
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

// bystander makes exchanges with pauses between them, and goes on when an attack begins. One
// that is not answered is broken off at the end and counts with the time it has waited.
type bystander struct {
	client
	process *process
	waits   []wait
}

// wait is how long an exchange took, and how much the contender has worked meanwhile, for
// whomever: a machine that does other things too does not lengthen that.
type wait struct {
	ended      time.Time
	took, work time.Duration
}

func newBystander(p *process, secure bool) *bystander {
	s := &bystander{client: &getter{peer{address: p.address}, "/"}, process: p}
	if secure { // what they would wait for is a handshake
		s.client = &caller{peer{address: p.address, secure: true}}
	}
	return s
}

func (s *bystander) exchange(ctx context.Context) error {
	if err := sleep(ctx, bystanderPause); err != nil {
		return err
	}
	before, err := processClock(s.process.cmd.Process.Pid)
	if err != nil {
		return err
	}
	begun := time.Now()
	exchangeErr := s.client.exchange(ctx)
	ended := time.Now()
	after, err := processClock(s.process.cmd.Process.Pid)
	s.waits = append(s.waits, wait{ended, ended.Sub(begun), after - before})
	return errors.Join(exchangeErr, err)
}

// waits is what there is of several.
type waits struct {
	took []time.Duration
	work time.Duration // the most
}

func (s *waits) add(w wait) {
	s.took = append(s.took, w.took)
	s.work = max(s.work, w.work)
}

// peakMemory is the most memory that has been resident in the contender at a time.
func (p *process) peakMemory() (int64, error) { return peakMemory(p.cmd.Process.Pid) }
