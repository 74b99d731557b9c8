package completiontest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"fwx/framework/completion"
)

// invariants are the eight promises of the port. That of I1, exactly one
// completion for each start, is checked at the end of every row.
var invariants = []row{
	{name: "I1 exactly one completion, whatever races", test: exactlyOne},
	{name: "I2 the notification is told what it is about", test: notificationArguments},
	{name: "I3 a failed start is not notified, an immediate success is queued", test: starts},
	{name: "I4 the buffer belongs to the port until its completion", test: bufferOwnership},
	{name: "I5 cancel is a request", test: cancelIsARequest},
	{name: "I6 the end of a file is an error", test: endOfFile},
	{name: "I7 a panic loses nothing", test: panics},
	{name: "I8 shutdown drains", test: shutdownDrains},
}

// exactlyOne lets receives race with data, cancels and closes.
func exactlyOne(r *rig) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	for range 200 {
		a, b := r.pair()
		recv, send := r.op(), r.op()
		recv.begin(a.Recv)
		order := random.Perm(3)
		pause := time.Duration(random.IntN(50)) * time.Microsecond
		r.on(func() {
			for _, what := range order {
				switch what {
				case 0:
					_ = send.start(sending(b, []byte("x")))
				case 1:
					_ = recv.o.Cancel() // it may have ended
				case 2:
					spin(pause)
				}
			}
		})
		r.on(func() { _ = a.Close() })
		if res := recv.wait(); res.err == nil && string(res.data) != "x" || res.err != nil && !errors.Is(res.err, completion.ErrOperationAborted) {
			r.Fatalf("a receive ended with %q, %v", res.data, res.err)
		}
		r.close(b)
		_ = send.wait()
	}
}

// spin passes some time on the thread of a worker.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
		runtime.Gosched()
		if time.Since(start) == 0 {
			return // the clock of a test stands still
		}
	}
}

func notificationArguments(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(a.Recv)
	if res := r.op().begin(sending(b, []byte("four"))).ok(); res.n != 4 {
		r.Errorf("sent %d bytes", res.n)
	}
	if res := recv.ok(); res.n != 4 || string(res.data) != "four" {
		r.Errorf("received %d bytes, %q", res.n, res.data)
	}
	recv.begin(a.Recv)
	r.must(recv.cancel())
	if res := recv.wait(); res.n != 0 || res.err == nil {
		r.Errorf("cancelled: %d bytes, %v", res.n, res.err)
	}
}

func starts(r *rig) {
	a, b := r.pair()
	r.is(r.op().try(sending(a, nil)), completion.ErrInvalidArgument)
	r.close(a)
	r.is(r.op().try(a.Recv), completion.ErrHandleClosed)
	r.is(r.op().try(sending(a, []byte("x"))), completion.ErrHandleClosed)
	r.is(r.op().try(func(o *completion.Overlapped) error { return r.w.RunBlocking(o, nil) }), completion.ErrInvalidArgument)

	// What could end within its start: the rig notices a notification there.
	r.op().begin(b.Recv).ok() // the end of the stream is there already
	name := r.content([]byte("data"))
	h := r.file(name, os.O_RDWR)
	for range 100 {
		r.op().begin(reading(h, 0, make([]byte, 4))).ok()
		r.op().begin(func(o *completion.Overlapped) error {
			return r.w.RunBlocking(o, func() (any, error) { return nil, nil })
		}).ok()
	}
}

// bufferOwnership sends and receives through buffers that would show an early
// reuse, while the garbage collector runs.
func bufferOwnership(r *rig) {
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				time.Sleep(time.Millisecond) // lets the clock of a test go on
			}
		}
	})
	defer collector.Wait()
	defer close(stop)

	name := r.content(bytes.Repeat([]byte{1}, 64<<10))
	h := r.file(name, os.O_RDWR)
	a, b := r.pair()
	for i := range 60 {
		fill := byte(i + 2)
		// The only reference to each buffer is that of the port.
		writes := r.op().begin(writing(h, 0, bytes.Repeat([]byte{fill}, 64<<10)))
		sends := r.op().begin(sending(a, bytes.Repeat([]byte{fill}, 8<<10)))
		writes.ok()
		got := make([]byte, 64<<10)
		r.op().begin(reading(h, 0, got)).ok()
		r.same(got, fill)
		sends.ok()
		var received []byte
		for len(received) < 8<<10 {
			received = append(received, r.op().begin(b.Recv).ok().data...)
		}
		r.same(received, fill)
	}
	// Closing does not end an operation: its buffer stays the port's.
	recv := r.op().begin(a.Recv)
	r.on(func() {
		_ = a.Close()
		if !recv.o.InFlight() {
			r.Error("Close has ended the operation itself")
		}
	})
	recv.aborted()
}

// same checks that every byte is the same.
func (r *rig) same(got []byte, fill byte) {
	r.Helper()
	for i, c := range got {
		if c != fill {
			r.Fatalf("byte %d is %#x, want %#x", i, c, fill)
		}
	}
}

func cancelIsARequest(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(a.Recv)
	r.on(func() {
		if err := recv.o.Cancel(); err != nil {
			r.Error(err)
		}
		if recv.start(a.Recv) == nil {
			r.Error("the overlapped could be started before its completion")
		}
	})
	recv.aborted()
	r.is(recv.cancel(), completion.ErrNotFound)

	// Nothing of the cancelled receive is left to steal the data of the next.
	r.op().begin(sending(b, []byte("later"))).ok()
	if res := recv.begin(a.Recv).ok(); string(res.data) != "later" {
		r.Errorf("received %q", res.data)
	}
	// An operation that a thread has begun wins.
	running, release := make(chan struct{}), make(chan struct{})
	task := r.op().begin(func(o *completion.Overlapped) error {
		return r.w.RunBlocking(o, func() (any, error) {
			close(running)
			<-release
			return "won", nil
		})
	})
	receive(r, running)
	r.must(task.cancel())
	close(release)
	if res := task.ok(); res.value != "won" {
		r.Errorf("value %v", res.value)
	}
}

func endOfFile(r *rig) {
	h := r.file(r.content([]byte("12345678")), os.O_RDONLY)
	buf := make([]byte, 8)
	if res := r.op().begin(reading(h, 4, buf)).ok(); res.n != 4 {
		r.Errorf("a read across the end: %d bytes", res.n)
	}
	for _, offset := range []int64{8, 9, 1 << 40} {
		res := r.op().begin(reading(h, offset, buf)).wait()
		r.is(res.err, completion.ErrHandleEOF)
		if res.n != 0 {
			r.Errorf("%d bytes at %d", res.n, offset)
		}
	}
}

func panics(r *rig) {
	a, b := r.pair()
	recv := r.op()
	recv.keep = true
	recv.then = func(result) { panic("in a notification") }
	r.on(func() {
		timer := r.w.NewTimer(func() { panic("in a timer") })
		timer.Reset(0)
		if err := r.w.Post(func() { panic("in a task") }); err != nil {
			r.Error(err)
		}
	})
	recv.begin(a.Recv)
	r.op().begin(sending(b, []byte("x"))).ok()
	r.eventually("the panics are counted", func() bool { return r.port.Panics() == 3 })
	for _, text := range []string{"in a notification", "in a timer", "in a task"} {
		if !strings.Contains(r.log.String(), text) {
			r.Errorf("the log lacks %q", text)
		}
	}
	// The worker and the socket live on.
	r.op().begin(sending(b, []byte("y"))).ok()
	if res := r.op().begin(a.Recv).ok(); string(res.data) != "y" {
		r.Errorf("received %q", res.data)
	}
}

func shutdownDrains(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(a.Recv)
	late := make(chan error, 1)
	recv.then = func(res result) {
		if !errors.Is(res.err, completion.ErrOperationAborted) {
			r.Errorf("at shutdown a receive ended with %v", res.err)
		}
		late <- recv.start(a.Recv)
	}
	r.shutdown()
	r.is(receive(r, late), completion.ErrPortClosed)
	r.is(r.w.Post(func() {}), completion.ErrPortClosed)
	if !a.Closed() || !b.Closed() {
		r.Error("a socket that nobody closed has outlived the port")
	}
}
