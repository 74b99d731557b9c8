package scripting

import "iter"

// carrier is what the interpreter runs on: a coroutine of Go, which carries one fiber
// after the other. A switch to it and back is no business of Go's scheduler, because the
// worker's goroutine is locked to its thread: all carriers of a worker run on that one
// thread, one at a time.
type carrier struct {
	fiber *fiber // that it carries
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// run is the life of the coroutine.
func (c *carrier) run(yield func(struct{}) bool) {
	c.yield = yield
	for {
		c.fiber.execute()
		if !yield(struct{}{}) {
			return
		}
	}
}

// maxIdleCarriers bounds the carriers that are kept for the next fibers.
const maxIdleCarriers = 64

func (s *state) takeCarrier() *carrier {
	if n := len(s.carriers); n > 0 {
		c := s.carriers[n-1]
		s.carriers = s.carriers[:n-1]
		return c
	}
	c := &carrier{}
	c.next, c.stop = iter.Pull(c.run)
	return c
}

func (s *state) releaseCarrier(c *carrier) {
	c.fiber = nil
	if s.closing || len(s.carriers) >= maxIdleCarriers {
		c.stop()
		return
	}
	s.carriers = append(s.carriers, c)
}
