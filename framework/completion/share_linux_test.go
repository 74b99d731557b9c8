package completion_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// hogs is how many handlers are due together in TestTurnIsShared, each of which holds its
// worker for longer than a queue's share of a turn.
const hogs = 20

// holdWorker is what each of them does.
func holdWorker() {
	began := time.Now()
	for time.Since(began) < 6*time.Millisecond {
		runtime.Gosched()
	}
}

// pipeReader has a pipe whose next byte calls got, and returns what sends it.
func pipeReader(w *completion.Worker, got func()) (send func()) {
	var fds [2]int
	must(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	h, err := w.HookToCompletionPort(fds[0])
	must(err)
	ov, err := overlappedFor(w, completion.CompletionFunc(func(bool, int, error, *completion.Overlapped, any) {
		must(unix.Close(fds[1]))
		got()
	})).GetOverlapped()
	must(err)
	must(h.ReadFile(ov, make([]byte, 1)))
	return func() {
		_, err := unix.Write(fds[1], []byte("x"))
		must(err)
	}
}

// posted returns what posts a task.
func posted(w *completion.Worker, got func()) (send func()) { return func() { must(w.Post(got)) } }

// TestTurnIsShared sees that no queue of a worker is drained to its end while another one
// has work: what comes when the first of many slow handlers runs waits for a few of them.
func TestTurnIsShared(t *testing.T) {
	for _, row := range []struct {
		name string
		// start makes the handlers due at once. other returns what sends something to a
		// neighbour that is told by another queue.
		start func(w *completion.Worker, hog func())
		other func(w *completion.Worker, got func()) (send func())
	}{
		{"tasks", func(w *completion.Worker, hog func()) {
			for range hogs {
				must(w.Post(hog))
			}
		}, pipeReader},
		{"timers", func(w *completion.Worker, hog func()) {
			for range hogs {
				w.AfterFunc(0, hog)
			}
		}, pipeReader},
		{"notifications", func(w *completion.Worker, hog func()) {
			notify := completion.CompletionFunc(func(bool, int, error, *completion.Overlapped, any) { hog() })
			for range hogs {
				o := overlappedFor(w, notify)
				must(w.RunBlocking(o, func() (any, error) { return nil, nil }))
				_ = o.Cancel() // it may have begun
			}
		}, posted},
		{"completions", func(w *completion.Worker, hog func()) {
			var all []func()
			for range hogs {
				all = append(all, pipeReader(w, hog))
			}
			for _, send := range all {
				send()
			}
		}, posted},
	} {
		for _, backend := range completion.Backends() {
			t.Run(row.name+"/"+backend, func(t *testing.T) {
				w := open(t, backend)
				var ran atomic.Int32
				waited := make(chan int32, 1)
				done := make(chan struct{})
				check(t, w.Call(func() {
					send := row.other(w, func() { waited <- ran.Load() })
					row.start(w, func() {
						if ran.Add(1) == 1 {
							send()
						}
						holdWorker()
						if ran.Load() == hogs {
							close(done)
						}
					})
				}))
				<-done
				if n := <-waited; n > hogs/2 {
					t.Errorf("the neighbour has waited for %d of %d handlers", n, hogs)
				}
			})
		}
	}
}
