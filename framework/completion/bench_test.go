//go:build linux

package completion_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// chain runs steps one after the other on a worker: each begins when the one
// before has completed.
type chain struct {
	w     *completion.Worker
	begin func()
	left  int
	done  chan struct{}
}

// CompleteTask begins the first step.
func (c *chain) CompleteTask(any) { c.begin() }

// next begins the next step, if there is one.
func (c *chain) next() {
	if c.left--; c.left > 0 {
		c.begin()
		return
	}
	c.done <- struct{}{}
}

// run does n steps.
func (c *chain) run(n int) {
	c.left = n
	if err := c.w.PostTaskCompletion(c, nil); err != nil {
		panic(err)
	}
	<-c.done
}

// CompleteAsyncIO releases what was received and goes on.
func (c *chain) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	if err != nil {
		panic(err)
	}
	if b := o.TakeBuffer(); b != nil {
		b.Release()
	}
	c.next()
}

// silent is a notification that only looks for errors.
type silent struct{}

func (silent) CompleteAsyncIO(_ bool, _ int, err error, _ *completion.Overlapped, _ any) {
	if err != nil {
		panic(err)
	}
}

// overlappedFor makes an overlapped on a worker.
// open makes a port of one worker.
func open(tb testing.TB, backend string) *completion.Worker {
	tb.Helper()
	p, err := completion.New(completion.Options{Workers: 1, Backend: backend})
	check(tb, err)
	tb.Cleanup(func() { check(tb, p.Shutdown(context.Background())) })
	return p.Workers()[0]
}

// steps are what the benchmarks repeat. Each sets itself up on the worker.
var steps = []struct {
	name  string
	setUp func(tb testing.TB, c *chain)
}{
	{"file read 4 KiB", fileStep(true)},
	{"file write 4 KiB", fileStep(false)},
	{"send and recv 64 B", exchangeStep},
	{"pipe write and read 64 B", pipeStep},
	{"timer", timerStep},
	{"post", postStep},
	{"append 64 B", appendStep},
}

func fileStep(read bool) func(testing.TB, *chain) {
	return func(tb testing.TB, c *chain) {
		tb.Helper()
		fd, err := unix.Open(filepath.Join(tb.TempDir(), "file"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
		check(tb, err)
		buf := make([]byte, 4096)
		check(tb, c.w.Call(func() {
			h, err := c.w.HookToCompletionPort(fd)
			must(err)
			o := overlappedFor(c.w, c)
			transfer := h.WriteFile
			if read {
				transfer = h.ReadFile
			}
			c.begin = func() {
				ov, err := o.GetOverlapped()
				must(err)
				must(transfer(ov, buf))
			}
		}))
		_, err = unix.Pwrite(fd, buf, 0)
		check(tb, err)
	}
}

// acceptOne accepts one connection and hands its socket to got.
func acceptOne(w *completion.Worker, got func(*completion.Socket)) completion.Address {
	l, err := w.Listen(mustParse("127.0.0.1:0"))
	must(err)
	must(l.Accept(overlappedFor(w, completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
		must(err)
		accepted, _ := o.TakeValue().(completion.Accepted)
		s, err := w.Attach(accepted)
		must(err)
		must(l.Close())
		got(s)
	}))))
	return l.Address()
}

func mustParse(s string) completion.Address {
	a, err := completion.ParseAddress(s)
	must(err)
	return a
}

func exchangeStep(tb testing.TB, c *chain) {
	tb.Helper()
	connected := make(chan struct{}, 2)
	var client, server *completion.Socket
	check(tb, c.w.Call(func() {
		address := acceptOne(c.w, func(s *completion.Socket) {
			server = s
			connected <- struct{}{}
		})
		must(c.w.Connect(overlappedFor(c.w, completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			must(err)
			client, _ = o.TakeValue().(*completion.Socket)
			connected <- struct{}{}
		})), address))
	}))
	<-connected
	<-connected
	data := make([]byte, 64)
	check(tb, c.w.Call(func() {
		send, recv := overlappedFor(c.w, silent{}), overlappedFor(c.w, c)
		c.begin = func() {
			must(server.Recv(recv))
			must(client.Send(send, data))
		}
	}))
}

func pipeStep(tb testing.TB, c *chain) {
	tb.Helper()
	var fds [2]int
	check(tb, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	in, out := make([]byte, 64), make([]byte, 64)
	check(tb, c.w.Call(func() {
		r, err := c.w.HookToCompletionPort(fds[0])
		must(err)
		w, err := c.w.HookToCompletionPort(fds[1])
		must(err)
		read, write := overlappedFor(c.w, c), overlappedFor(c.w, silent{})
		c.begin = func() {
			ov, err := read.GetOverlapped()
			must(err)
			must(r.ReadFile(ov, in))
			ov, err = write.GetOverlapped()
			must(err)
			must(w.WriteFile(ov, out))
		}
	}))
}

func timerStep(tb testing.TB, c *chain) {
	tb.Helper()
	check(tb, c.w.Call(func() {
		t := c.w.NewTimer(c.next)
		c.begin = func() { t.Reset(0) }
	}))
}

// poster is a chain as a task that ends a step.
type poster chain

func (p *poster) CompleteTask(any) { (*chain)(p).next() }

func postStep(tb testing.TB, c *chain) {
	tb.Helper()
	c.begin = func() { must(c.w.PostTaskCompletion((*poster)(c), nil)) }
}

func appendStep(tb testing.TB, c *chain) {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "log")
	opened := make(chan *completion.Appender, 1)
	check(tb, c.w.Call(func() {
		must(c.w.OpenAppender(overlappedFor(c.w, completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			must(err)
			a, _ := o.TakeValue().(*completion.Appender)
			opened <- a
		})), nil, name, 0o600))
	}))
	a := <-opened
	record := make([]byte, 64)
	check(tb, c.w.Call(func() {
		o := overlappedFor(c.w, c)
		c.begin = func() {
			for range 16 { // a batch, so that most of it is not the hop through the loop
				if queued, err := a.Append(o, record); err != nil || !queued {
					must(err)
					return
				}
			}
			must(c.w.PostTaskCompletion((*poster)(c), nil))
		}
	}))
}

// BenchmarkPort measures what an operation costs, its notification included.
func BenchmarkPort(b *testing.B) {
	for _, backend := range completion.Backends() {
		for _, step := range steps {
			b.Run(backend+"/"+step.name, func(b *testing.B) {
				c := &chain{w: open(b, backend), done: make(chan struct{})}
				step.setUp(b, c)
				c.run(100)
				b.ReportAllocs()
				b.ResetTimer()
				c.run(b.N)
			})
		}
	}
}

// TestNoAllocations checks that an operation allocates nothing once things are
// under way.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const runs, length = 20, 200
	for _, backend := range completion.Backends() {
		for _, step := range steps {
			t.Run(backend+"/"+step.name, func(t *testing.T) {
				c := &chain{w: open(t, backend), done: make(chan struct{})}
				step.setUp(t, c)
				c.run(1000)
				if n := allocationsPerRun(runs, func() { c.run(length) }); n > 0 {
					t.Errorf("%d allocations in %d operations", n, length)
				}
			})
		}
	}
}

// allocationsPerRun is testing.AllocsPerRun, but for the one processor which that leaves
// to Go's scheduler: a worker keeps it while it waits, and each operation of the pool would
// take the 10 ms after which it is asked for.
func allocationsPerRun(runs uint64, f func()) uint64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / runs
}

// BenchmarkEcho measures a round trip through a socket of the port, with a
// client of the standard library.
func BenchmarkEcho(b *testing.B) {
	for _, backend := range completion.Backends() {
		b.Run(backend, func(b *testing.B) {
			w := open(b, backend)
			conn := dial(b, serveEcho(b, w))
			defer conn.Close()
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(b, conn, buf)
			}
		})
	}
}

// echo sends back what it receives.
type echo struct {
	s          *completion.Socket
	recv, send *completion.Overlapped
	buffer     *completion.Buffer
}

// serveEcho echoes one connection.
func serveEcho(tb testing.TB, w *completion.Worker) (address completion.Address) {
	tb.Helper()
	check(tb, w.Call(func() {
		address = acceptOne(w, func(s *completion.Socket) {
			e := &echo{s: s}
			e.recv, e.send = overlappedFor(w, e), overlappedFor(w, e)
			must(s.Recv(e.recv))
		})
	}))
	return address
}

// CompleteAsyncIO sends what was received, or receives again.
func (e *echo) CompleteAsyncIO(success bool, bytes int, _ error, o *completion.Overlapped, _ any) {
	switch {
	case !success || o == e.recv && bytes == 0:
		if !e.s.Closed() {
			must(e.s.Close())
		}
	case o == e.recv:
		e.buffer = o.TakeBuffer()
		must(e.s.Send(e.send, e.buffer.Bytes()))
	default:
		e.buffer.Release()
		must(e.s.Recv(e.recv))
	}
}

func dial(tb testing.TB, address completion.Address) net.Conn {
	tb.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", address.String())
	check(tb, err)
	return conn
}

func roundTrip(tb testing.TB, conn net.Conn, buf []byte) {
	tb.Helper()
	_, err := conn.Write(buf)
	check(tb, err)
	_, err = conn.Read(buf)
	check(tb, err)
}

// BenchmarkPostFromGoroutines measures tasks that come from elsewhere.
func BenchmarkPostFromGoroutines(b *testing.B) {
	for _, backend := range completion.Backends() {
		b.Run(backend, func(b *testing.B) {
			w := open(b, backend)
			var ran sync.WaitGroup
			task := func() { ran.Done() }
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ran.Add(1)
					check(b, w.Post(task))
				}
			})
			ran.Wait()
		})
	}
}

// transfer is one of several file operations in flight.
type transfer struct {
	c     *chain
	o     *completion.Overlapped
	begin func(*completion.Overlapped)
}

// CompleteAsyncIO begins the next, as long as there is one.
func (t *transfer) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	must(err)
	if t.c.left--; t.c.left >= 0 {
		t.begin(o)
	} else if t.c.left == -filesInFlight {
		t.c.done <- struct{}{}
	}
}

const filesInFlight = 16

// BenchmarkFileInFlight measures file operations with 16 in flight.
func BenchmarkFileInFlight(b *testing.B) {
	for _, backend := range completion.Backends() {
		for _, name := range []string{"read", "write"} {
			b.Run(backend+"/"+name, func(b *testing.B) {
				w := open(b, backend)
				c := &chain{w: w, done: make(chan struct{})}
				fd, err := unix.Open(filepath.Join(b.TempDir(), "file"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
				check(b, err)
				_, err = unix.Pwrite(fd, make([]byte, filesInFlight*4096), 0)
				check(b, err)
				transfers := make([]*transfer, filesInFlight)
				check(b, w.Call(func() {
					h, err := w.HookToCompletionPort(fd)
					must(err)
					do := h.ReadFile
					if name == "write" {
						do = h.WriteFile
					}
					for i := range transfers {
						buf := make([]byte, 4096)
						t := &transfer{c: c}
						t.o = overlappedFor(w, t)
						t.begin = func(o *completion.Overlapped) {
							ov, err := o.GetOverlapped()
							must(err)
							ov.Offset = int64(i) * 4096
							must(do(ov, buf))
						}
						transfers[i] = t
					}
				}))
				c.begin = func() {
					for _, t := range transfers {
						t.begin(t.o)
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				c.run(b.N)
			})
		}
	}
}
