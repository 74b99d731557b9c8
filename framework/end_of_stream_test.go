package framework

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// keeper is a data filter that keeps what it is given until the end of the stream.
type keeper struct {
	kept [2][]byte
	end  func(k *keeper, c *Connection, dir Direction) Verdict
}

func (k *keeper) Data(_ *Connection, dir Direction, chunk []byte) Verdict {
	k.kept[dir] = append(k.kept[dir], chunk...)
	return Drop
}

func (k *keeper) End(c *Connection, dir Direction) Verdict { return k.end(k, c, dir) }

func (k *keeper) all(dir Direction, with string) Verdict {
	return Replace(append(k.kept[dir], with...))
}

// TestEnd has filters that answer the end of a stream, nearest to the client first.
func TestEnd(t *testing.T) {
	kept := func(with string) func(*keeper, *Connection, Direction) Verdict {
		return func(k *keeper, _ *Connection, dir Direction) Verdict { return k.all(dir, with) }
	}
	held := func(k *keeper, c *Connection, dir Direction) Verdict {
		c.Worker().AfterFunc(time.Microsecond, func() { resume(c, dir, k.all(dir, "h")) })
		return Hold
	}
	heldForNothing := func(_ *keeper, c *Connection, dir Direction) Verdict {
		c.Worker().AfterFunc(time.Microsecond, func() { resume(c, dir, Pass) })
		return Hold
	}
	injects := func(k *keeper, c *Connection, dir Direction) Verdict {
		if err := c.Send(dir, []byte("<")); err != nil {
			return Fail(err.Error())
		}
		return k.all(dir, ">")
	}
	answer := func(v Verdict) func(*keeper, *Connection, Direction) Verdict {
		return func(*keeper, *Connection, Direction) Verdict { return v }
	}
	long := strings.Repeat("x", 100<<10)
	tests := []struct {
		name string
		ends []func(*keeper, *Connection, Direction) Verdict
		want string // of "ab"; "!": a reset
	}{
		{"one", []func(*keeper, *Connection, Direction) Verdict{kept("1")}, "ab11"},
		{"two", []func(*keeper, *Connection, Direction) Verdict{kept("1"), kept("2")}, "ab1221"},
		{"large", []func(*keeper, *Connection, Direction) Verdict{kept(long)}, "ab" + long + long},
		{"hold", []func(*keeper, *Connection, Direction) Verdict{held, kept("2"), held}, "ab" + "h2h" + "h2h"},
		{"hold for nothing", []func(*keeper, *Connection, Direction) Verdict{heldForNothing}, ""},
		{"send", []func(*keeper, *Connection, Direction) Verdict{injects}, "<<ab>>"},
		{"pass", []func(*keeper, *Connection, Direction) Verdict{answer(Pass)}, ""},
		{"drop", []func(*keeper, *Connection, Direction) Verdict{answer(Drop)}, ""},
		{"empty", []func(*keeper, *Connection, Direction) Verdict{kept("1"), answer(Replace(nil))}, "1"},
		{"deny", []func(*keeper, *Connection, Direction) Verdict{answer(Deny("no"))}, "!"},
		{"panic", []func(*keeper, *Connection, Direction) Verdict{func(*keeper, *Connection, Direction) Verdict { panic("no") }}, "!"},
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					var filters []Filter
					for _, end := range test.ends {
						filters = append(filters, &testFilter{onEvent: func(ev *Event) Verdict {
							if ev.Type != ConnectTCP {
								return Pass
							}
							if err := ev.Connection.AttachDataFilter(&keeper{end: end}); err != nil {
								return Fail(err.Error())
							}
							return Pass
						}})
					}
					g := startGateway(t, gatewayConfig(backend, server, filters...))
					got, err := exchange(g.dial(t), []byte("ab"))
					if test.want == "!" {
						if err == nil || len(got) > 0 {
							t.Errorf("got %q, %v, want a reset", got, err)
						}
						return
					}
					if err != nil || !bytes.Equal(got, []byte(test.want)) {
						t.Errorf("got %.50q, %v, want %.50q", got, err, test.want)
					}
				})
			}
		})
	}
}
