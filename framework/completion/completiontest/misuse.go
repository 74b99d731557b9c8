package completiontest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"fwx/framework/completion"
)

var misuseRows = []row{
	{name: "misuse/another goroutine, under the race detector", test: misuse},
	{name: "misuse/an operation that its handle has not", test: wrongKind},
	{name: "misuse/a handler that blocks", firm: true, test: handlerBlocks},
	{name: "misuse/what a handler may start, end and set", firm: true, test: handlerCalls},
	{name: "misuse/a handler that closes what others use", firm: true, test: handlerCloses},
	{name: "misuse/a handler that waits for its worker", test: handlerWaits, options: completion.Options{Workers: 2}},
	{name: "misuse/starts after shutdown", firm: true, test: startsAfterShutdown},
}

func misuse(r *rig) {
	a, _ := r.pair()
	p := r.op()
	err := func() (err error) {
		defer func() {
			if recover() != nil {
				err = errPanicked
			}
		}()
		if !raceEnabled {
			return errPanicked // it would be a race
		}
		return a.Recv(p.o)
	}()
	r.is(err, errPanicked)
}

var errPanicked = errors.New("panicked")

// wrongKind starts what a handle of its kind cannot do: each start is refused or
// completes with an error.
func wrongKind(r *rig) {
	fails := func(what string, begin func(*completion.Overlapped) error) {
		r.Helper()
		p := r.op()
		if p.try(begin) == nil && p.wait().err == nil {
			r.Errorf("%s succeeded", what)
		}
	}
	read, write := r.pipe()
	fails("a write to the reading end of a pipe", writing(read, 0, []byte("x")))
	fails("a read of the writing end of a pipe", reading(write, 0, make([]byte, 1)))
	fails("the sync of a pipe", read.Sync)
	name := r.content([]byte("x"))
	fails("a write to a file that is open for reading", writing(r.file(name, os.O_RDONLY), 0, []byte("y")))
	fails("a read of a file that is open for writing", reading(r.file(name, os.O_WRONLY), 0, make([]byte, 1)))
	if r.kit.memory() == nil {
		fails("a write to a directory", writing(r.file(r.TempDir(), os.O_RDONLY), 0, []byte("x")))
	}
	r.on(func() {
		_, err := r.w.HookToCompletionPort(-1)
		r.isHere(err, errBadDescriptor)
	})
	// The handles are as good as before.
	p := r.op().begin(reading(read, 0, make([]byte, 1)))
	r.op().begin(writing(write, 0, []byte("x"))).ok()
	p.ok()
}

// handlerBlocks has a handler hold its worker up, while more comes to an end than it
// can be told of.
func handlerBlocks(r *rig) {
	const n = 50
	a, b := r.pair()
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	begun, release := make(chan struct{}), make(chan struct{})
	blocks := r.op()
	blocks.then = func(result) {
		close(begun)
		<-release
	}
	reads, recv, send := r.someOps(n), r.op(), r.op()
	r.on(func() {
		err := errors.Join(blocks.start(h.Sync), recv.start(b.Recv), send.start(sending(a, []byte("x"))))
		for _, p := range reads {
			err = errors.Join(err, p.start(reading(h, 0, make([]byte, 1))))
		}
		if err != nil {
			r.Error(err)
		}
	})
	receive(r, begun)
	ran := make(chan int, n)
	for i := range n {
		r.must(r.w.Post(func() { ran <- i }))
	}
	close(release)
	for i := range n {
		if got := receive(r, ran); got != i {
			r.Errorf("task %d ran as number %d", got, i)
		}
	}
	for _, p := range append(reads, recv, send) {
		p.ok()
	}
}

// handlerCalls has a notification call back into the port in every way that
// concerns its own overlapped.
func handlerCalls(r *rig) {
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	again := reading(h, 0, make([]byte, 1))
	p, done := r.op(), make(chan struct{})
	first := true
	p.then = func(res result) {
		if res.err != nil || !first {
			close(done)
			return
		}
		first = false
		r.isHere(p.o.Cancel(), completion.ErrNotFound)
		if p.o.TakeBuffer() != nil || p.o.TakeValue() != nil {
			r.Error("a read has brought a buffer or a value")
		}
		r.isHere(p.o.SetNotificationInterface(nil, nil), completion.ErrInvalidArgument)
		r.isHere(p.o.SetNotificationInterface(p, p.user), nil)
		_, err := p.o.GetOverlapped()
		r.isHere(err, nil)
		r.isHere(p.start(reading(h, -1, make([]byte, 1))), completion.ErrInvalidArgument)
		r.isHere(p.start(reading(h, 0, nil)), completion.ErrInvalidArgument)
		r.isHere(p.start(again), nil)
		r.isHere(p.start(again), completion.ErrBusy)
		r.isHere(p.o.SetNotificationInterface(p, nil), completion.ErrBusy)
		_, err = p.o.GetOverlapped()
		r.isHere(err, completion.ErrBusy)
		if p.o.Data() != nil {
			r.Error("there is data while a read is in flight")
		}
	}
	p.begin(again)
	receive(r, done)
	r.on(func() {
		if string(p.o.Data()) != "x" {
			r.Errorf("read %q", p.o.Data())
		}
	})

	// A task that starts, cancels and posts, and a timer that stops itself.
	other, fired, posted := r.op(), make(chan bool, 2), make(chan struct{})
	_, b := r.pair()
	r.on(func() {
		r.isHere(other.start(b.Recv), nil)
		r.isHere(other.o.Cancel(), nil)
		_ = other.o.Cancel() // it may have ended
		var t *completion.Timer
		t = r.w.AfterFunc(0, func() {
			fired <- t.Armed() || t.Stop()
			r.isHere(r.w.Post(func() { close(posted) }), nil)
		})
	})
	other.aborted()
	if receive(r, fired) {
		r.Error("a timer is armed while it fires")
	}
	receive(r, posted)
}

// handlerCloses has a notification close its own handle and another, with
// operations in flight on both.
func handlerCloses(r *rig) {
	read, write := r.pipe()
	a, b := r.pair()
	first, behind, recv := r.op(), r.op(), r.op()
	closed := make(chan struct{})
	first.then = func(res result) {
		r.isHere(res.err, nil)
		r.isHere(read.Close(), nil)
		r.isHere(read.Close(), completion.ErrHandleClosed)
		r.isHere(b.Close(), nil)
		r.isHere(first.start(reading(read, 0, make([]byte, 1))), completion.ErrHandleClosed)
		r.isHere(first.start(b.Recv), completion.ErrHandleClosed)
		r.isHere(b.CloseSend(), completion.ErrHandleClosed)
		close(closed)
	}
	first.begin(reading(read, 0, make([]byte, 1)))
	behind.begin(reading(read, 0, make([]byte, 1)))
	recv.begin(b.Recv)
	r.op().begin(writing(write, 0, []byte("x"))).ok()
	receive(r, closed)
	behind.aborted()
	recv.aborted()
	if res := r.op().begin(a.Recv).ok(); res.n != 0 {
		r.Errorf("the peer of a closed socket receives %d bytes", res.n)
	}
}

// handlerWaits has a handler call what would wait for its own worker.
func handlerWaits(r *rig) {
	for _, w := range r.port.Workers() {
		r.onWorker(w, func() {
			for _, other := range r.port.Workers() {
				r.isHere(other.Call(func() { r.Error("called") }), completion.ErrOnWorker)
			}
			r.isHere(r.port.Shutdown(context.Background()), completion.ErrOnWorker)
		})
	}
	r.on(func() {}) // the port lives on
}

// startsAfterShutdown has a notification that comes at shutdown try to begin
// everything anew.
func startsAfterShutdown(r *rig) {
	a, _ := r.pair()
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	l := r.listen(loopback)
	folder := r.TempDir()
	address, err := completion.ParseAddress(loopback)
	r.must(err)
	recv, done := r.op(), make(chan struct{})
	recv.then = func(result) {
		defer close(done)
		w := r.w
		for what, begin := range map[string]func(*completion.Overlapped) error{
			"Recv": a.Recv, "Send": sending(a, []byte("x")), "Accept": l.Accept,
			"ReadFile": reading(h, 0, make([]byte, 1)), "WriteFile": writing(h, 0, []byte("x")), "Sync": h.Sync,
			"Truncate":    func(o *completion.Overlapped) error { return h.Truncate(o, 1) },
			"Handle.Stat": h.Stat,
			"OpenFile":    func(o *completion.Overlapped) error { return w.OpenFile(o, nil, folder, os.O_RDONLY, 0) },
			"Stat":        func(o *completion.Overlapped) error { return w.Stat(o, nil, folder) },
			"List":        func(o *completion.Overlapped) error { return w.List(o, nil, folder) },
			"Rename":      func(o *completion.Overlapped) error { return w.Rename(o, nil, folder, folder+"2") },
			"Remove":      func(o *completion.Overlapped) error { return w.Remove(o, nil, folder) },
			"Watch":       func(o *completion.Overlapped) error { return w.Watch(o, nil, filepath.Join(folder, "x"), func() {}) },
			"RunBlocking": r.blocking(func() (any, error) { return nil, nil }),
			"Connect":     func(o *completion.Overlapped) error { return w.Connect(o, l.Address()) },
			"OpenAppender": func(o *completion.Overlapped) error {
				return w.OpenAppender(o, nil, filepath.Join(folder, "x"), 0o600)
			},
			"Listen":       func(*completion.Overlapped) error { return closed(w.Listen(address)) },
			"ListenPacket": func(*completion.Overlapped) error { return closed(w.ListenPacket(address)) },
			"Hook":         func(*completion.Overlapped) error { return closed(w.HookToCompletionPort(-1)) },
			"Post":         func(*completion.Overlapped) error { return w.Post(func() {}) },
		} {
			if err := recv.start(begin); !errors.Is(err, completion.ErrPortClosed) {
				r.Errorf("%s after shutdown: %v", what, err)
			}
		}
		w.AfterFunc(0, func() { r.Error("a timer fired after shutdown") })
		w.AfterFunc(time.Hour, func() {})
	}
	recv.begin(a.Recv)
	r.shutdown()
	receive(r, done)
}

// closed is for a function that must have failed.
func closed[T io.Closer](c T, err error) error {
	if err == nil {
		_ = c.Close() // it should not be open
	}
	return err
}
