// Package fake is a machine in memory, for tests: a completion port whose files,
// sockets and time are not those of the system. Nothing on it touches a disk or a
// network, and its clock stands still until [Machine.Advance] moves it, so that an
// hour passes at once and a test is the same each time.
//
//	m := fake.New()
//	fw, err := framework.New(framework.Config{OpenPort: m.OpenPort, …}, nil)
//
// What a program does by the port happens on the machine; what it does past the port
// (with package os or time, say) does not.
//
// A test acts, waits by [Machine.Settle] until nothing more happens by itself, and
// looks. What is done on goroutines that the port does not know of is not waited for.
package fake

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/memory"
	"fwx/framework/completion/internal/seam"
)

// Machine is a machine in memory. Its methods are for the goroutine of the test.
type Machine struct {
	system *memory.System
	clock  *memory.Clock
	alarms []alarm // by their times
}

// alarm is a function that is called when a time has come.
type alarm struct {
	at time.Duration
	f  func()
}

// Address is the address of a machine, from which it connects to others.
var Address = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// New returns a machine without files. Its clock shows 2026-01-01 00:00:00 UTC.
func New() *Machine {
	m := &Machine{system: memory.New(), clock: memory.NewClock()}
	m.system.Clock, m.system.Home = m.clock, Address
	return m
}

// OpenPort makes a completion port on the machine, with one worker unless the options
// want more: with one, everything happens in the same order each time. Options.Backend
// means nothing. The port is to be shut down as any other.
func (m *Machine) OpenPort(options completion.Options) (*completion.Port, error) {
	options.Workers = max(options.Workers, 1)
	return completion.NewForTest(options, seam.Hooks{Memory: m.system})
}

// Time returns the time of day.
func (m *Machine) Time() time.Time { return m.system.Time() }

// Elapsed returns how far the clock has moved.
func (m *Machine) Elapsed() time.Duration { return m.clock.Now() }

// Settle waits until nothing more happens unless time passes or the test does
// something. It returns the error of ctx if that ends before.
func (m *Machine) Settle(ctx context.Context) error { return m.clock.Settle(ctx) }

// Next returns how long it is until the next thing happens for which a time has been
// set; false if there is none, so that nothing will happen however much time passes.
// It is asked after Settle: who works has set no time yet.
func (m *Machine) Next() (time.Duration, bool) {
	at, ok := m.clock.Next()
	if len(m.alarms) > 0 && (!ok || m.alarms[0].at < at) {
		at, ok = m.alarms[0].at, true
	}
	return at - m.clock.Now(), ok
}

// AfterFunc has f called when a time has passed, on the goroutine that lets it pass: for
// what the test itself does then.
func (m *Machine) AfterFunc(d time.Duration, f func()) {
	a := alarm{m.clock.Now() + d, f}
	i, _ := slices.BinarySearchFunc(m.alarms, a.at+1, func(x alarm, at time.Duration) int { return cmp.Compare(x.at, at) })
	m.alarms = slices.Insert(m.alarms, i, a)
}

// ring calls the functions whose time has come.
func (m *Machine) ring() {
	for len(m.alarms) > 0 && m.alarms[0].at <= m.clock.Now() {
		f := m.alarms[0].f
		m.alarms = slices.Delete(m.alarms, 0, 1)
		f()
	}
}

// Step lets time pass until the next thing happens for which a time has been set, but
// at most for d. It reports whether something has happened.
func (m *Machine) Step(ctx context.Context, d time.Duration) (bool, error) {
	if err := m.Settle(ctx); err != nil {
		return false, err
	}
	next, ok := m.Next()
	ok = ok && next <= d
	if ok {
		d = next
	}
	m.clock.Set(m.clock.Now() + d)
	m.ring()
	return ok, m.Settle(ctx)
}

// Advance lets time pass, and everything happen for which the time comes.
func (m *Machine) Advance(ctx context.Context, d time.Duration) error {
	end := m.Elapsed() + d
	for {
		if more, err := m.Step(ctx, end-m.Elapsed()); err != nil || !more {
			return err
		}
	}
}

// grace is how long Run waits, by the real clock, for a function that the machine
// does not know of, before it lets time pass.
const grace = 100 * time.Millisecond

// Run calls a function that waits for the machine, such as Firewall.Start, on a
// goroutine of its own. When nothing happens by itself any more, it calls serve, which
// does what the test has to do meanwhile and reports whether that was anything; nil:
// nothing. Otherwise it lets time pass, up to limit in all.
func (m *Machine) Run(ctx context.Context, limit time.Duration, f func() error, serve func() bool) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	end := m.Elapsed() + limit
	for {
		if err := m.Settle(ctx); err != nil {
			return err
		}
		if serve != nil && serve() {
			continue
		}
		select {
		case err := <-done:
			return errors.Join(err, m.Settle(ctx))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(grace):
		}
		if _, ok := m.Next(); !ok || m.Elapsed() >= end {
			continue // it needs something else
		}
		if _, err := m.Step(ctx, end-m.Elapsed()); err != nil {
			return err
		}
	}
}
