package framework

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestSessionValues(t *testing.T) {
	s := &Session{fw: new(Firewall)}
	if s.Get("x") != nil || !s.Set("x", 1) || s.Get("x") != 1 || !s.Set("x", nil) || s.Get("x") != nil {
		t.Error("a value does not come back, or does not go")
	}
	if n, ok := s.Incr("n", 2); n != 2 || !ok {
		t.Errorf("Incr gave %v, %t", n, ok)
	}
	if n, ok := s.Incr("n", -0.5); n != 1.5 || !ok {
		t.Errorf("Incr gave %v, %t", n, ok)
	}
	s.Set("text", "x")
	if n, ok := s.Incr("text", 1); n != 1 || !ok {
		t.Errorf("Incr of a text gave %v, %t", n, ok)
	}
	for i := range maxSessionValues - 2 {
		if !s.Set(strconv.Itoa(i), i) {
			t.Fatalf("value %d does not fit", i)
		}
	}
	if s.Set("one more", 1) || s.Get("one more") != nil {
		t.Error("there is no bound")
	}
	if _, ok := s.Incr("another", 1); ok {
		t.Error("there is no bound for Incr")
	}
	if !s.Set("n", 5) || s.Get("n") != 5 || !s.Set("n", nil) || !s.Set("one more", 1) {
		t.Error("a full session cannot be changed")
	}
}

// TestSessionBytes bounds what the values of a session take, and those of all sessions.
func TestSessionBytes(t *testing.T) {
	fw := new(Firewall)
	fw.sessions.sessions = make(map[netip.Addr]*Session)
	l := &listener{fw: fw}
	open := func(i int) *Session {
		return fw.sessions.open(l, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	half := strings.Repeat("x", maxSessionBytes/2)
	s := open(0)
	if !s.Set("a", half) || s.Set("b", half) || s.Get("b") != nil {
		t.Error("a session has no bound")
	}
	if s.Set("a", half+half) || s.Get("a") != half {
		t.Error("a value has no bound")
	}
	if !s.Set("a", 1) || !s.Set("b", []byte(half)) || !s.Set("b", nil) || !s.Set(half, "key") || s.Set("c", half) {
		t.Error("what is removed makes no room, or a key takes none")
	}
	all := make([]*Session, 2*maxSessionsBytes/maxSessionBytes*2)
	full := 0
	for i := range all {
		all[i] = open(i + 1)
		if !all[i].Set("a", half) {
			full++
		}
	}
	if total := fw.sessions.bytes.Load(); total > maxSessionsBytes || full == 0 {
		t.Errorf("all sessions hold %d bytes, %d are full", total, full)
	}
	last := all[len(all)-1]
	if last.Set("a", half) {
		t.Error("there was room")
	}
	for _, s := range all[:len(all)-1] {
		fw.sessions.close(s, l)
	}
	if !last.Set("a", half) {
		t.Error("sessions that have ended leave no room")
	}
	fw.sessions.close(last, l)
	fw.sessions.close(s, l)
	last.Set("a", nil) // it is used after its end
	if total := fw.sessions.bytes.Load(); total != 0 {
		t.Errorf("%d bytes are left", total)
	}
}

// TestSessions has clients of several addresses, each with several connections
// on both workers, that count in their session.
func TestSessions(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			const clients, each = 3, 10
			var mu sync.Mutex
			counts := make(map[netip.Addr]float64)
			f := &testFilter{mask: AcceptedConnection | ConnectionTerminating}
			f.onAttach = func(s *Session, _ *EventMask) error {
				s.Set("attached", s.ClientAddress()) // the session may be used at once
				return nil
			}
			f.onEvent = func(ev *Event) Verdict {
				s := ev.Connection.Session()
				if s.Get("attached") != ev.Connection.Client().Addr() {
					return Deny("another session")
				}
				if ev.Type == AcceptedConnection {
					n, _ := s.Incr("n", 1)
					mu.Lock()
					defer mu.Unlock()
					counts[s.ClientAddress()] = max(counts[s.ClientAddress()], n)
				}
				return Pass
			}
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			var clientsDone sync.WaitGroup
			for i := range clients * each {
				c := g.dialFrom(t, "127.0.0."+strconv.Itoa(2+i%clients))
				clientsDone.Go(func() {
					if _, err := c.Write([]byte("x")); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
						t.Error(err)
					}
				})
			}
			clientsDone.Wait()
			if f.detached.Load() != 0 {
				t.Error("a session ended before its connections")
			}
			g.resetAllForTest(t)
			g.stop(t)
			if f.attached.Load() != clients || f.detached.Load() != clients || f.ended.Load() != clients*each {
				t.Errorf("attached %d times, detached %d, ended %d", f.attached.Load(), f.detached.Load(), f.ended.Load())
			}
			for client, n := range counts {
				if n != each {
					t.Errorf("%v counted %v", client, n)
				}
			}
		})
	}
}

// resetAllForTest resets the connections there are.
func (g *gateway) resetAllForTest(t *testing.T) {
	t.Helper()
	for i, w := range g.port.Workers() {
		check(t, w.Call(func() {
			for c := range g.live[i].connections {
				c.Reset()
			}
		}))
	}
}
