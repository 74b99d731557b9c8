package framework

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/fwxtest"
)

// diary notes what filters are told, in order.
type diary struct {
	mu   sync.Mutex
	list []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, fmt.Sprintf(format, args...))
}

func (d *diary) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

// filter returns a filter that notes everything.
func (d *diary) filter(name string, mask EventMask) *testFilter {
	return &testFilter{
		mask:     mask,
		onInit:   func(*Firewall) error { d.add("%s init", name); return nil },
		onAttach: func(*Session, *EventMask) error { d.add("%s attach", name); return nil },
		onEvent:  func(ev *Event) Verdict { d.add("%s %v", name, ev.Type); return Pass },
		onData: func(_ *Connection, dir Direction, chunk []byte) Verdict {
			d.add("%s %v %s", name, dir, chunk)
			return Pass
		},
		onGone:   func() { d.add("%s gone", name) },
		onDetach: func() { d.add("%s detach", name) },
	}
}

var allEvents = AcceptedConnection | ConnectTCP | ConnectionTerminating

func TestLife(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			server := serve(t, echo)
			a, b := d.filter("a", allEvents), d.filter("b", ConnectTCP)
			g := newGateway(t, gatewayConfig(backend, server, a, b))
			g.start(t)
			must(exchange(g.dial(t), []byte("x")))(t)
			g.stop(t)
			want := []string{
				"a init", "b init",
				"a attach", "a accepted", "b attach", "a connect", "b connect",
				"a upstream x", "b upstream x", "b downstream x", "a downstream x",
				"a gone", "b gone", "a terminating", "a detach", "b detach",
			}
			if diff := cmp.Diff(want, d.lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMasks sees that filters attach only for what they want (C28, C30, C31, C39).
func TestMasks(t *testing.T) {
	tests := []struct {
		name   string
		mask   EventMask
		attach EventMask // what AttachToSession changes it to; 0: nothing
		want   []string
	}{
		{"nothing", none, 0, nil},
		{"terminating only", ConnectionTerminating, 0, nil},
		{"accepted", AcceptedConnection, 0, []string{"accepted", "accepted"}},
		{"with the end", ConnectTCP | ConnectionTerminating, 0, []string{"connect", "terminating", "connect", "terminating"}},
		{"none for this session", ConnectTCP, none, nil},
		{"others for this session", AcceptedConnection, ConnectTCP, []string{"connect", "connect"}},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					d := &diary{}
					f := &testFilter{mask: test.mask, onEvent: func(ev *Event) Verdict {
						d.add("%v", ev.Type)
						return Pass
					}}
					f.onAttach = func(_ *Session, mask *EventMask) error {
						if *mask != test.mask {
							t.Errorf("the mask given is %x", *mask)
						}
						if test.attach != 0 {
							*mask = test.attach
						}
						return nil
					}
					g := startGateway(t, gatewayConfig(backend, server, f))
					first := g.dial(t) // it keeps the session
					must(first.Write([]byte("x")))(t)
					must(io.ReadFull(first, make([]byte, 1)))(t)
					must(exchange(g.dial(t), []byte("x")))(t)
					eventually(t, "the second ends", func() bool { return g.Connections() == 1 })
					first.Close()
					g.stop(t)
					got := d.lines()
					slices.SortStableFunc(got, func(a, b string) int { return slices.Index(test.want, a) - slices.Index(test.want, b) })
					want := slices.Clone(test.want)
					slices.SortStableFunc(want, func(a, b string) int { return slices.Index(test.want, a) - slices.Index(test.want, b) })
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
					attached := int64(1)
					if test.mask == none || test.mask == ConnectionTerminating {
						attached = 0
					}
					if f.attached.Load() != attached || f.detached.Load() != attached {
						t.Errorf("attached %d times, detached %d", f.attached.Load(), f.detached.Load())
					}
				})
			}
		})
	}
}

func TestAttachFails(t *testing.T) {
	attaches := map[string]func(*Session, *EventMask) error{
		"error": func(*Session, *EventMask) error { return errors.New("no memory") },
		"panic": func(*Session, *EventMask) error { panic("no memory") },
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for name, onAttach := range attaches {
				t.Run(name, func(t *testing.T) {
					d := &diary{}
					bad := &testFilter{onAttach: onAttach}
					g := startGateway(t, gatewayConfig(backend, serve(t, echo), d.filter("a", allEvents), bad, d.filter("c", allEvents)))
					for range 2 {
						g.refused(t)
					}
					g.stop(t)
					if bad.attached.Load() != 2 || bad.ended.Load() != 0 {
						t.Errorf("attach was tried %d times, and the end told %d times", bad.attached.Load(), bad.ended.Load())
					}
					if n := strings.Count(strings.Join(d.lines(), "\n"), "terminating"); n != 4 {
						t.Errorf("the end was told %d times: %v", n, d.lines())
					}
					if !g.log.has(`attach to session`) {
						t.Error("nothing is logged")
					}
				})
			}
		})
	}
}

func TestDeny(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			for _, in := range []EventMask{AcceptedConnection, ConnectTCP} {
				for _, hold := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v held %t", in, hold), func(t *testing.T) {
						d, ends := &diary{}, &ends{}
						f := &testFilter{mask: allEvents, onEvent: func(ev *Event) Verdict {
							_ = ends.event(ev)
							switch {
							case ev.Type != in:
								return Pass
							case hold:
								ev.Connection.Worker().AfterFunc(1, func() { check(t, ev.Resume(Deny("bad"))) })
								return Hold
							default:
								return Deny("bad")
							}
						}}
						g := startGateway(t, gatewayConfig(backend, serve(t, echo), f, d.filter("behind", in|ConnectionTerminating)))
						g.refused(t)
						if e := ends.one(t); e != (end{Denied, "bad", 0, 0}) {
							t.Errorf("ended %+v", e)
						}
						g.stop(t)
						// The filter behind is told of the end, and of nothing else.
						want := []string{"behind init", "behind attach", "behind terminating", "behind detach"}
						if diff := cmp.Diff(want, d.lines()); diff != "" {
							t.Error(diff)
						}
					})
				}
			}
		})
	}
}

// TestVerdicts sees what becomes of verdicts that end the connection, or do not
// suit, in a chunk and in an event, at once and after a Hold.
func TestVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		verdict Verdict
		panics  bool
		want    end // in a chunk
		event   end
	}{
		{"deny", Deny("bad"), false, end{outcome: Denied, reason: "bad"}, end{outcome: Denied, reason: "bad"}},
		{"fail", Fail("bad"), false, end{outcome: Failed, reason: `filter "a": bad`}, end{outcome: Failed, reason: `filter "a": bad`}},
		{"panic", Pass, true, end{outcome: Failed, reason: `filter "a": it panicked`}, end{outcome: Failed, reason: `filter "a": it panicked`}},
		{"replace", Replace([]byte("y")), false, end{}, end{outcome: Failed, reason: `filter "a": verdict "replace" does not suit an event`}},
		{"drop", Drop, false, end{}, end{outcome: Failed, reason: `filter "a": verdict "drop" does not suit an event`}},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			for _, test := range tests {
				for _, held := range []bool{false, true} {
					if held && test.panics {
						continue
					}
					run := func(t *testing.T, onEvent func(*Event) Verdict, onData func(*Connection, Direction, []byte) Verdict, want end) {
						t.Helper()
						ends := &ends{}
						f := &testFilter{onData: onData, onEvent: func(ev *Event) Verdict {
							_ = ends.event(ev)
							return onEvent(ev)
						}}
						g := startGateway(t, gatewayConfig(backend, server, f))
						g.attempt(t)
						got := ends.one(t)
						got.up, got.down = 0, 0
						if got != want {
							t.Errorf("ended %+v, want %+v", got, want)
						}
						if test.panics && !g.log.has("a filter panicked") {
							t.Error("the panic is not logged")
						}
					}
					answer := func() Verdict {
						if test.panics {
							panic("on purpose")
						}
						return test.verdict
					}
					t.Run(fmt.Sprintf("%s in a chunk, held %t", test.name, held), func(t *testing.T) {
						run(t, func(*Event) Verdict { return Pass }, func(c *Connection, dir Direction, _ []byte) Verdict {
							if held {
								c.Worker().AfterFunc(1, func() { resume(c, dir, test.verdict) })
								return Hold
							}
							return answer()
						}, test.want)
					})
					t.Run(fmt.Sprintf("%s in an event, held %t", test.name, held), func(t *testing.T) {
						run(t, func(ev *Event) Verdict {
							if ev.Type != ConnectTCP {
								return Pass
							}
							if held {
								ev.Connection.Worker().AfterFunc(1, func() { check(t, ev.Resume(test.verdict)) })
								return Hold
							}
							return answer()
						}, nil, test.event)
					})
				}
			}
		})
	}
}

// TestHoldEvents holds every event, in each of two filters.
func TestHoldEvents(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			hold := func(name string) *testFilter {
				return &testFilter{mask: allEvents, onEvent: func(ev *Event) Verdict {
					d.add("%s %v", name, ev.Type)
					ev.Connection.Worker().AfterFunc(1, func() {
						d.add("%s resumes", name)
						check(t, ev.Resume(Pass))
					})
					return Hold
				}}
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), hold("a"), hold("b")))
			if got, err := exchange(g.dial(t), []byte("x")); string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			g.stop(t)
			want := make([]string, 0, 12)
			for _, event := range []string{"accepted", "connect", "terminating"} {
				want = append(want, "a "+event, "a resumes", "b "+event, "b resumes")
			}
			if diff := cmp.Diff(want, d.lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadContext(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var list []error
			want := func(err, want error) {
				if !errors.Is(err, want) {
					list = append(list, fmt.Errorf("got %w, want %w", err, want))
				}
			}
			f := &testFilter{mask: allEvents}
			f.onEvent = func(ev *Event) Verdict {
				c := ev.Connection
				want(ev.Resume(Pass), ErrBadContext) // nothing is held
				want(c.Resume(Upstream, Pass), ErrBadContext)
				if ev.Type == ConnectionTerminating {
					want(c.AttachDataFilter(testData{f}), ErrTerminating)
					return Pass
				}
				if err := c.AttachDataFilter(nil); err == nil {
					want(err, errors.New("an error"))
				}
				c.Worker().AfterFunc(1, func() {
					want(c.AttachDataFilter(testData{f}), ErrBadContext) // outside the handler
					want(ev.Resume(Hold), ErrBadContext)
					want(ev.Resume(Pass), nil)
				})
				return Hold
			}
			f.onData = func(c *Connection, dir Direction, _ []byte) Verdict {
				want(c.AttachDataFilter(testData{f}), ErrBadContext)
				want(c.Resume(dir, Pass), ErrBadContext)
				c.Worker().AfterFunc(1, func() {
					want(c.Resume(1-dir, Pass), ErrBadContext)
					want(c.Resume(dir, Hold), ErrBadContext)
					want(c.Resume(dir, Pass), nil)
					want(c.Resume(dir, Pass), ErrBadContext)
				})
				return Hold
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			if got, err := exchange(g.dial(t), []byte("x")); string(got) != "x" {
				t.Errorf("got %q, %v", got, err)
			}
			g.stop(t)
			if err := errors.Join(list...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPanics sees that a filter that panics anywhere harms its connection only.
func TestPanics(t *testing.T) {
	boom := func() { panic("on purpose") }
	filters := map[string]*testFilter{
		"session detach":   {onDetach: boom},
		"data detach":      {onGone: boom, onData: func(*Connection, Direction, []byte) Verdict { return Pass }},
		"terminating":      {mask: allEvents, onEvent: func(ev *Event) Verdict { return panicsIn(ev, ConnectionTerminating) }},
		"accepted":         {mask: allEvents, onEvent: func(ev *Event) Verdict { return panicsIn(ev, AcceptedConnection) }},
		"work in Go":       {onData: func(c *Connection, dir Direction, _ []byte) Verdict { return goes(c, dir, boom, nil) }},
		"completion of Go": {onData: func(c *Connection, dir Direction, _ []byte) Verdict { return goes(c, dir, nil, boom) }},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			for name, f := range filters {
				t.Run(name, func(t *testing.T) {
					f.ended.Store(0)
					last, ends := passing()
					last.mask = allEvents
					g := newGateway(t, gatewayConfig(backend, server, last, f))
					g.Firewall.patience = time.Millisecond // what waits for a filter that panicked is given up
					g.start(t)
					g.attempt(t)
					ends.one(t)
					g.stop(t)
					if f.ended.Load() != 1 {
						t.Errorf("the end was told %d times", f.ended.Load())
					}
				})
			}
		})
	}
}

func panicsIn(ev *Event, in EventMask) Verdict {
	if ev.Type == in {
		panic("on purpose")
	}
	return Pass
}

func goes(c *Connection, dir Direction, work, done func()) Verdict {
	call := func(f func()) {
		if f != nil {
			f()
		}
	}
	err := c.Go(func() error { call(work); return nil }, func(err error) {
		call(done)
		if err == nil {
			panic("the work did not panic")
		}
		resume(c, dir, Fail(err.Error()))
	})
	if err != nil {
		return Fail(err.Error())
	}
	return Hold
}

// TestChainOrder is row C40: by class in both directions, and inside a class by
// the order of the listener.
func TestChainOrder(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			d := &diary{}
			filters := make([]Filter, 0, 6)
			for _, name := range []string{"m1", "ext", "nat", "m2", "emu", "m3"} {
				filters = append(filters, d.filter(name, ConnectTCP))
			}
			config := gatewayConfig(backend, serve(t, echo), filters...)
			for i, class := range []PriorityClass{ClassMiddle, ClassExternal, ClassNAT, ClassMiddle, ClassEmulation, ClassMiddle} {
				config.Filters[i].Class = class
			}
			g := startGateway(t, config)
			must(exchange(g.dial(t), []byte("x")))(t)
			g.stop(t)
			var got []string
			for _, line := range d.lines() {
				if name, ok := strings.CutSuffix(line, "stream x"); ok {
					got = append(got, name)
				}
			}
			want := []string{
				"nat up", "m1 up", "m2 up", "m3 up", "ext up", "emu up",
				"emu down", "ext down", "m3 down", "m2 down", "m1 down", "nat down",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// interrupted is a session filter that holds an event for as long as its
// connection lasts.
type interrupted struct{ testFilter }

func (f *interrupted) AttachToSession(*Session, *EventMask) (SessionFilter, error) { return f, nil }

func (f *interrupted) Interrupt(c *Connection) { _ = c.event.Resume(Pass) } // held

// TestInterrupt ends connections whose event is held.
func TestInterrupt(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			held := make(chan *Connection, 1)
			f := &interrupted{}
			f.mask = allEvents
			f.onEvent = func(ev *Event) Verdict {
				if ev.Type != ConnectTCP {
					return Pass
				}
				held <- ev.Connection
				return Hold
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			g.dial(t)
			c := <-held
			check(t, c.Worker().Post(c.Reset))
			fwxtest.Eventually(t, time.Minute, "the connection has ended", func() bool { return g.Connections() == 0 })
			g.stop(t)
		})
	}
}

// TestUnusedFilter sees that a filter that no listener names is not started.
func TestUnusedFilter(t *testing.T) {
	d := &diary{}
	config := gatewayConfig("auto", serve(t, echo), d.filter("used", allEvents))
	config.Filters = append(config.Filters, FilterConfig{Name: "unused", Filter: d.filter("unused", allEvents)})
	g := startGateway(t, config)
	g.stop(t)
	if got := d.lines(); len(got) != 1 || got[0] != "used init" {
		t.Errorf("told: %q", got)
	}
}
