package framework

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/completion"
)

// dataFilters are filters of which each has to give what its name says.
var dataFilters = []struct {
	name   string
	onData func(c *Connection, dir Direction, chunk []byte) Verdict // nil: no filter
	want   func(sent []byte) []byte                                 // of what has gone up and come down again
}{
	{"none", nil, bytes.Clone},
	{"pass", func(*Connection, Direction, []byte) Verdict { return Pass }, bytes.Clone},
	{"as long", func(_ *Connection, _ Direction, chunk []byte) Verdict { return Replace(bytes.Clone(chunk)) }, bytes.Clone},
	{"longer", func(_ *Connection, dir Direction, chunk []byte) Verdict {
		if dir == Downstream {
			return Pass
		}
		return Replace(double(chunk))
	}, double},
	{"shorter", func(_ *Connection, dir Direction, chunk []byte) Verdict {
		if dir == Downstream {
			return Pass
		}
		return Replace(bytes.ReplaceAll(chunk, []byte{7}, nil))
	}, func(sent []byte) []byte { return bytes.ReplaceAll(sent, []byte{7}, nil) }},
	{"empty", func(*Connection, Direction, []byte) Verdict { return Replace(nil) }, func([]byte) []byte { return nil }},
	{"drop", func(*Connection, Direction, []byte) Verdict { return Drop }, func([]byte) []byte { return nil }},
	{"drop down", func(_ *Connection, dir Direction, _ []byte) Verdict {
		if dir == Downstream {
			return Drop
		}
		return Pass
	}, func([]byte) []byte { return nil }},
	{"hold for a timer", func(c *Connection, dir Direction, _ []byte) Verdict {
		c.Worker().AfterFunc(time.Microsecond, func() { resume(c, dir, Pass) })
		return Hold
	}, bytes.Clone},
	{"hold for a task", func(c *Connection, dir Direction, chunk []byte) Verdict {
		_ = c.Worker().Post(func() { resume(c, dir, Replace(bytes.Clone(chunk))) }) // the port is open
		return Hold
	}, bytes.Clone},
	{"hold for Go", func(c *Connection, dir Direction, chunk []byte) Verdict {
		replaced := make([]byte, len(chunk))
		work := func() error { copy(replaced, chunk); return nil }
		if err := c.Go(work, func(error) { resume(c, dir, Replace(replaced)) }); err != nil {
			return Fail(err.Error())
		}
		return Hold
	}, bytes.Clone},
}

func double(chunk []byte) []byte {
	out := make([]byte, 0, 2*len(chunk))
	for _, b := range chunk {
		out = append(out, b, b)
	}
	return out
}

// resume resumes a chunk that is held.
func resume(c *Connection, dir Direction, v Verdict) {
	if err := c.Resume(dir, v); err != nil && !c.Ended() {
		panic(err)
	}
}

func TestPump(t *testing.T) {
	const buffer = 16 << 10
	sizes := []int{0, 1, buffer - 1, buffer, buffer + 1, 3 << 20}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serve(t, echo)
			for _, test := range dataFilters {
				t.Run(test.name, func(t *testing.T) {
					f := &testFilter{onData: test.onData}
					g := startGateway(t, gatewayConfig(backend, server, f))
					for _, size := range sizes {
						sent := random(size)
						got, err := exchange(g.dial(t), sent)
						if want := test.want(sent); err != nil || !bytes.Equal(got, want) {
							t.Errorf("size %d: got %d bytes, %v, want %d", size, len(got), err, len(want))
						}
					}
					eventually(t, "all connections end", func() bool { return g.Connections() == 0 })
					if n := f.ended.Load(); n != int64(len(sizes)) {
						t.Errorf("%d connections ended of %d", n, len(sizes))
					}
				})
			}
		})
	}
}

// TestPumpUnix has unix sockets on both sides, named relative to the configuration.
func TestPumpUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not on this system: unix sockets")
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			dir := must(os.MkdirTemp("", "fwx"))(t)     //nolint:usetesting // the path of T.TempDir is too long for a socket
			t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is of the system's temporary files
			serveOn(t, "unix", filepath.Join(dir, "server"), func(c net.Conn) { _ = echoOn(c) })

			config := gatewayConfig(backend, "unix:server", &testFilter{onEvent: func(ev *Event) Verdict {
				if c := ev.Connection; c.Client().IsValid() || c.Session().ClientAddress().IsValid() {
					return Deny(fmt.Sprint(c.Client(), c.Session().ClientAddress()))
				}
				return Pass
			}})
			config.Dir = dir
			config.Listeners[0].Listen = "unix:in"
			g := startGateway(t, config)
			if got := g.ListenAddress("in").String(); got != "unix:"+filepath.Join(dir, "in") {
				t.Errorf("listens on %s", got)
			}
			sent := random(1 << 20)
			got, err := exchange(dial(t, "unix", filepath.Join(dir, "in")), sent)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			g.stop(t)
			if _, err := os.Lstat(filepath.Join(dir, "in")); !os.IsNotExist(err) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
}

func TestPumpIPv6(t *testing.T) {
	if ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		ln.Close()
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			server := serveOn(t, "tcp", "[::1]:0", func(c net.Conn) { _ = echoOn(c) })
			config := gatewayConfig(backend, server)
			config.Listeners[0].Listen = "[::1]:0"
			g := startGateway(t, config)
			if got, err := exchange(g.dial(t), []byte("hello")); string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestWriteBetween is row C16: each chunk is written to a file, and goes on only
// when that has completed.
func TestWriteBetween(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var written, early atomic.Int64
			sent := random(2 << 20)
			server := serve(t, func(c *net.TCPConn) {
				var n int64
				buffer := make([]byte, 64<<10)
				for {
					k, err := c.Read(buffer)
					if n += int64(k); n > written.Load() {
						early.Add(1)
					}
					if err != nil {
						return
					}
				}
			})
			path := filepath.Join(t.TempDir(), "spool")
			w := &spool{path: path, written: &written}
			g := startGateway(t, gatewayConfig(backend, server, &testFilter{onData: w.data}))
			if _, err := exchange(g.dial(t), sent); err != nil {
				t.Error(err)
			}
			if got := must(os.ReadFile(path))(t); !bytes.Equal(got, sent) {
				t.Errorf("the file has %d bytes that are not those sent", len(got))
			}
			if early.Load() != 0 {
				t.Error("the server got a chunk before it was written")
			}
		})
	}
}

// spool writes chunks to a file before they go on, with the means of the SDK.
type spool struct {
	path    string
	handle  *completion.Handle
	offset  int64
	written *atomic.Int64
}

func (s *spool) data(c *Connection, dir Direction, chunk []byte) Verdict {
	if err := s.write(c, dir, chunk); err != nil {
		return Fail(err.Error())
	}
	return Hold
}

func (s *spool) write(c *Connection, dir Direction, chunk []byte) error {
	o := c.Worker().CreateOverlapped()
	if s.handle == nil {
		err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			s.handle, _ = o.TakeValue().(*completion.Handle)
			if err == nil {
				err = s.write(c, dir, chunk)
			}
			if err != nil {
				resume(c, dir, Fail(err.Error()))
			}
		}), nil)
		if err != nil {
			return err
		}
		return c.Worker().OpenFile(o, nil, s.path, os.O_CREATE|os.O_WRONLY, 0o600)
	}
	err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, n int, err error, _ *completion.Overlapped, _ any) {
		if err != nil {
			resume(c, dir, Fail(err.Error()))
			return
		}
		s.offset += int64(n)
		s.written.Add(int64(n))
		resume(c, dir, Pass)
	}), nil)
	if err != nil {
		return err
	}
	ov, err := o.GetOverlapped()
	if err != nil {
		return err
	}
	ov.Offset = s.offset
	return s.handle.WriteFile(ov, chunk)
}
