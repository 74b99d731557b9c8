package balance

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"fwx/framework/completion"
)

// target is a server of the configuration, and where it is just now.
type target struct {
	Target

	upstream  *Upstream
	addresses []completion.Address
	life      time.Duration     // how long they may be used; 0: nobody knows
	timer     *completion.Timer // looks the name up again
	failing   bool              // it could not be; said once
}

const (
	// unknownLife is how long an answer is used whose source does not tell, as a file
	// of hosts.
	unknownLife = 30 * time.Second
	// minLife and maxLife bound what the DNS tells.
	minLife = 5 * time.Second
	maxLife = time.Hour
	// retryLookup is how long it is until a look-up that has failed is tried again.
	retryLookup = 10 * time.Second
	// lookupLimit bounds one.
	lookupLimit = 15 * time.Second
	// maxAddresses bounds the addresses of a name.
	maxAddresses = 256
)

func newTarget(u *Upstream, t Target) *target {
	target := &target{Target: t, upstream: u}
	if t.Host == "" {
		target.addresses = []completion.Address{t.Address}
	}
	return target
}

// Resolve looks the names of the servers up for the first time, before Begin.
func (u *Upstream) Resolve(ctx context.Context) error {
	for _, t := range u.targets {
		if t.Host == "" {
			continue
		}
		answer, err := u.lookup(ctx, t.Host)
		if err != nil {
			return fmt.Errorf("upstream %q: server %q: %w", u.config.Name, t.Text, err)
		}
		t.take(answer)
	}
	return nil
}

// take takes an answer; it reports whether the addresses are others than before. They
// are kept in order, since a DNS server may give them in any.
func (t *target) take(a Answer) (changed bool) {
	t.life = a.Life
	addresses := make([]completion.Address, 0, len(a.Addresses))
	for _, ip := range a.Addresses[:min(len(a.Addresses), maxAddresses)] {
		addresses = append(addresses, completion.Address{AddrPort: netip.AddrPortFrom(ip.Unmap(), t.Port)})
	}
	slices.SortFunc(addresses, func(a, b completion.Address) int { return a.Compare(b.AddrPort) })
	addresses = slices.Compact(addresses)
	changed = !slices.Equal(t.addresses, addresses)
	t.addresses = addresses
	return changed
}

// begin has a name looked up again when its time has come.
func (t *target) begin() {
	t.timer = t.upstream.home.NewTimer(t.refresh)
	if t.Host != "" {
		t.wait()
	}
}

func (t *target) wait() {
	switch {
	case t.failing:
		t.timer.Reset(retryLookup)
	case t.life == 0:
		t.timer.Reset(unknownLife)
	default:
		t.timer.Reset(min(max(t.life, minLife), maxLife))
	}
}

// refresh looks the name up, off the worker.
func (t *target) refresh() {
	u := t.upstream
	u.home.Port().Go(func() {
		ctx, cancel := context.WithTimeout(u.ctx, lookupLimit)
		defer cancel()
		answer, err := u.lookup(ctx, t.Host)
		_ = u.home.Post(func() { t.answered(answer, err) }) // an error means that the service ends
	})
}

// answered takes what the look-up has found. If it has failed the servers stay.
func (t *target) answered(a Answer, err error) {
	u := t.upstream
	if u.retired {
		return
	}
	if err != nil {
		if !t.failing {
			t.failing = true
			u.logger.Warn("a name cannot be looked up; its servers stay", "upstream", u.config.Name, "name", t.Host, "error", err)
		}
		t.wait()
		return
	}
	if t.failing {
		t.failing = false
		u.logger.Info("a name can be looked up again", "upstream", u.config.Name, "name", t.Host)
	}
	if t.take(a) {
		u.arrange()
	}
	t.wait()
}
