//go:build unix

package completion

import (
	"context"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestIdleConnection has many connections wait for something to receive, and looks
// what each takes of the memory of the program: on the heap, its overlapped
// included, and off it.
func TestIdleConnection(t *testing.T) {
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			n := connectionsToTry(t)
			w := openWorker(t, backend)
			idle := make([]idleConnection, n)
			armIdle(t, w, idle[:1]) // what there is but once
			before := footprint(t, w)
			armIdle(t, w, idle[1:])
			const most = 1 << 10
			each := (footprint(t, w) - before) / int64(n-1)
			t.Logf("%d connections take %d bytes each; sizes: socket %d, overlapped %d", n, each, unsafe.Sizeof(Socket{}), unsafe.Sizeof(Overlapped{}))
			if each >= most {
				t.Errorf("an idle connection takes %d bytes, %d or more", each, most)
			}
			runtime.KeepAlive(idle)
		})
	}
}

// idleConnection is a connection that somebody waits for.
type idleConnection struct {
	peer   int
	socket *Socket
	recv   *Overlapped
}

// connectionsToTry is 10,000, or as many as the limit of open files has room for.
func connectionsToTry(t *testing.T) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const wanted, others, fewest = 10_000, 200, 100
	n := int(min(uint64(limit.Cur), 2*wanted+others)-others) / 2 //nolint:unconvert // it is signed on some systems
	if n < fewest {
		t.Fatalf("a limit of %d open files is too low", limit.Cur)
	}
	return n
}

func openWorker(t *testing.T, backend string) *Worker {
	t.Helper()
	p, err := New(Options{Workers: 1, Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.workers[0]
}

type ignored struct{}

func (ignored) CompleteAsyncIO(bool, int, error, *Overlapped, any) {}

// armIdle makes connections and starts a receive on each.
func armIdle(t *testing.T, w *Worker, idle []idleConnection) {
	t.Helper()
	t.Cleanup(func() {
		for i := range idle {
			if peer := idle[i].peer; peer > 0 {
				closeFD(peer)
			}
		}
	})
	callWorker(t, w, func() {
		for i := range idle {
			if err := idle[i].arm(w); err != nil {
				t.Error(err)
				return
			}
		}
	})
	callWorker(t, w, func() {}) // all have been submitted
}

func (c *idleConnection) arm(w *Worker) error {
	pair, err := selfTestPair()
	if err != nil {
		return err
	}
	c.peer = pair[1]
	if c.socket, err = w.Attach(Accepted{fd: pair[0]}); err != nil {
		return err
	}
	c.recv = w.CreateOverlapped()
	if err := c.recv.SetNotificationInterface(ignored{}, nil); err != nil {
		return err
	}
	return c.socket.Recv(c.recv)
}

func callWorker(t *testing.T, w *Worker, f func()) {
	t.Helper()
	if err := w.Call(f); err != nil {
		t.Fatal(err)
	}
}

// footprint returns the memory that is in use: the heap, and the receive buffers.
func footprint(t *testing.T, w *Worker) (bytes int64) {
	t.Helper()
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	callWorker(t, w, func() { bytes = int64(w.buffers.backed * w.buffers.size) })
	return bytes + int64(m.HeapAlloc)
}

// TestCancelledTimers has a million timers started and cancelled.
func TestCancelledTimers(t *testing.T) {
	w := openWorker(t, "auto")
	const rounds, timers = 1000, 1000
	run := func() {
		callWorker(t, w, func() {
			armed := make([]*Timer, timers)
			for range rounds {
				for i := range armed {
					armed[i] = w.AfterFunc(time.Hour, func() { t.Error("a cancelled timer fired") })
				}
				for _, timer := range armed {
					if !timer.Stop() {
						t.Error("a timer was not armed")
					}
				}
			}
		})
	}
	run() // what there is but once
	before := footprint(t, w)
	run()
	grown := footprint(t, w) - before
	entries := 0
	callWorker(t, w, func() { entries = len(w.timers) })
	t.Logf("a million cancelled timers: %d bytes, %d entries", grown, entries)
	const slack = 16 << 10 // what the test and the runtime do meanwhile
	if grown > slack || entries > 1 {
		t.Errorf("a million cancelled timers left %d bytes and %d entries", grown, entries)
	}
}
