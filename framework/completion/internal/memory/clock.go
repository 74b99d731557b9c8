package memory

import (
	"context"
	"sync"
	"time"
)

// Clock is the time of a System that a test moves on: it stands still until then.
// It knows who works, and so when nothing more happens unless time passes.
type Clock struct {
	mu       sync.Mutex
	changed  *sync.Cond
	now      time.Duration // since Epoch
	busy     int           // goroutines that work
	sleepers map[*Sleeper]struct{}
}

// Epoch is when a Clock begins.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// NewClock returns a clock that shows Epoch.
func NewClock() *Clock {
	c := &Clock{sleepers: make(map[*Sleeper]struct{})}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Now returns the time since Epoch.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Enter counts a goroutine that works, until Leave.
func (c *Clock) Enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
}

// Leave counts it out.
func (c *Clock) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
}

func (c *Clock) leave() {
	c.busy--
	c.changed.Broadcast()
}

// Settle waits until nobody works, or ctx ends.
func (c *Clock) Settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.busy > 0 && ctx.Err() == nil {
		c.changed.Wait()
	}
	return ctx.Err()
}

// Next returns the first time at which somebody who sleeps is to wake; false if
// nobody is.
func (c *Clock) Next() (at time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.sleepers {
		if s.asleep && s.until >= 0 && (!ok || s.until < at) {
			at, ok = s.until, true
		}
	}
	return at, ok
}

// Set moves the time on and wakes those whose time has come.
func (c *Clock) Set(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, now)
	for s := range c.sleepers {
		if s.asleep && s.until >= 0 && s.until <= c.now {
			s.rouse()
		}
	}
}

// Sleeper is a goroutine that works when it does not sleep.
type Sleeper struct {
	clock  *Clock
	until  time.Duration // -1: only Wake ends it
	asleep bool
	rung   bool // Wake was called
}

// NewSleeper counts a goroutine that works; Close counts it out.
func (c *Clock) NewSleeper() *Sleeper {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &Sleeper{clock: c}
	c.sleepers[s] = struct{}{}
	c.busy++
	return s
}

// Sleep waits for Wake, or until the clock shows a time; -1: for ever.
func (s *Sleeper) Sleep(until time.Duration) {
	c := s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.rung && (until < 0 || until > c.now) {
		s.until, s.asleep = until, true
		c.leave()
		for s.asleep {
			c.changed.Wait()
		}
	}
	s.rung = false
}

// Wake ends a Sleep, or the next one. From then on the sleeper works.
func (s *Sleeper) Wake() {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.rung = true
	s.rouse()
}

func (s *Sleeper) rouse() {
	if s.asleep {
		s.asleep = false
		s.clock.busy++
		s.clock.changed.Broadcast()
	}
}

// Close counts the sleeper out.
func (s *Sleeper) Close() {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	delete(s.clock.sleepers, s)
	s.clock.leave()
}
