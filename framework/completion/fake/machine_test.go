package fake_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/fake"
)

// patience bounds what is done in no time.
const patience = time.Minute

// rig is a port on a machine.
type rig struct {
	*fake.Machine
	t    *testing.T
	ctx  context.Context //nolint:containedctx // that of the test
	port *completion.Port
	w    *completion.Worker
}

func newRig(t *testing.T) *rig {
	t.Helper()
	m := fake.New()
	port, err := m.OpenPort(completion.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(func() {
		defer cancel()
		if err := port.Shutdown(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	return &rig{m, t, ctx, port, port.Workers()[0]}
}

// on runs f on the worker and lets happen what it has begun.
func (r *rig) on(f func()) {
	r.t.Helper()
	r.must(r.w.Call(f))
	r.must(r.Settle(r.ctx))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// result is how an operation has ended.
type result struct {
	value any
	n     int
	err   error
	ended bool
}

// begin starts an operation on the worker; the result is filled in when it has ended.
func (r *rig) begin(start func(*completion.Overlapped) error) *result {
	r.t.Helper()
	res := &result{}
	r.on(func() {
		o := r.w.CreateOverlapped()
		r.must(o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, n int, err error, o *completion.Overlapped, _ any) {
			*res = result{o.TakeValue(), n, err, true}
		}), nil))
		r.must(start(o))
	})
	return res
}

// TestTime lets an hour pass, and looks at who is called when.
func TestTime(t *testing.T) {
	r := newRig(t)
	if next, ok := r.Next(); ok {
		t.Errorf("something is to happen in %v", next)
	}
	var at []time.Duration
	r.on(func() {
		for _, d := range []time.Duration{time.Hour, time.Minute, time.Nanosecond} {
			r.w.AfterFunc(d, func() { at = append(at, r.w.Now()) })
		}
	})
	if next, ok := r.Next(); !ok || next != time.Nanosecond {
		t.Errorf("something is to happen in %v, %v", next, ok)
	}
	begun := r.Time()
	r.must(r.Advance(r.ctx, 30*time.Minute))
	r.must(r.Advance(r.ctx, 30*time.Minute))
	if want := []time.Duration{time.Nanosecond, time.Minute, time.Hour}; !slices.Equal(at, want) {
		t.Errorf("called at %v", at)
	}
	if took := r.Time().Sub(begun); took != time.Hour || r.port.Uptime() != time.Hour || !r.port.Time().Equal(r.Time()) {
		t.Errorf("%v have passed, for the port %v", took, r.port.Uptime())
	}
	if more, err := r.Step(r.ctx, time.Hour); more || err != nil {
		t.Errorf("something happened: %v", err)
	}
}

// TestAfterFunc has the test itself do something at a time, between what the port does.
func TestAfterFunc(t *testing.T) {
	r := newRig(t)
	var order []string
	note := func(what string) func() { return func() { order = append(order, what) } }
	r.on(func() { r.w.AfterFunc(2*time.Second, note("port")) })
	r.AfterFunc(3*time.Second, note("last"))
	r.AfterFunc(time.Second, func() {
		note("first")()
		r.AfterFunc(2*time.Second, note("very last"))
	})
	if next, ok := r.Next(); !ok || next != time.Second {
		t.Errorf("something is to happen in %v, %v", next, ok)
	}
	r.must(r.Advance(r.ctx, time.Hour))
	if want := []string{"first", "port", "last", "very last"}; !slices.Equal(order, want) {
		t.Errorf("called %v", order)
	}
}

// TestSettle waits for tasks that cause others, and for goroutines of the port.
func TestSettle(t *testing.T) {
	r := newRig(t)
	const n = 1000
	count := 0
	var next func()
	next = func() {
		if count++; count < n {
			r.port.Go(func() { _ = r.w.Post(next) })
		}
	}
	r.must(r.w.Post(next))
	r.must(r.Settle(r.ctx))
	if count != n {
		t.Errorf("%d tasks have run", count)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	release := make(chan struct{})
	r.port.Go(func() { <-release })
	if err := r.Settle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("settled: %v", err)
	}
	close(release)
	r.must(r.Settle(r.ctx))
}

// TestRun runs a function that waits for a time of the machine.
func TestRun(t *testing.T) {
	r := newRig(t)
	served := 0
	err := r.Run(r.ctx, time.Hour, func() error {
		done := make(chan struct{})
		if err := r.w.Call(func() { r.w.AfterFunc(time.Minute, func() { close(done) }) }); err != nil {
			return err
		}
		<-done
		return os.ErrExist
	}, func() bool {
		served++
		return served < 3
	})
	if !errors.Is(err, os.ErrExist) || served < 3 || r.Elapsed() != time.Minute {
		t.Errorf("%v after %v, served %d times", err, r.Elapsed(), served)
	}
}

// TestFiles uses the names of files in each way.
func TestFiles(t *testing.T) {
	r := newRig(t)
	r.must(r.port.MkdirAll("a/b", 0o700))
	r.WriteFile("a/x", []byte("one"))
	root, err := r.port.OpenRoot("a")
	r.must(err)
	changes := 0
	watched := r.begin(func(o *completion.Overlapped) error { return r.w.Watch(o, root, "x", func() { changes++ }) })
	opened := r.begin(func(o *completion.Overlapped) error { return r.w.OpenFile(o, root, "x", os.O_RDWR, 0) })
	h, ok := opened.value.(*completion.Handle)
	if !ok || watched.err != nil {
		t.Fatalf("opened %v, watched %v", opened.err, watched.err)
	}
	write := func(o *completion.Overlapped) error {
		ov, err := o.GetOverlapped()
		r.must(err)
		ov.Offset = 3
		return h.WriteFile(ov, []byte(" two"))
	}
	r.FailFile("a", "write", syscall.ENOSPC)
	if res := r.begin(write); !errors.Is(res.err, syscall.ENOSPC) || res.n != 0 {
		t.Errorf("wrote %d, %v", res.n, res.err)
	}
	r.MendFile("a")
	if res := r.begin(write); res.err != nil || res.n != 4 {
		t.Errorf("wrote %d, %v", res.n, res.err)
	}
	r.on(func() { _ = h.Close() })
	r.must(r.Advance(r.ctx, time.Second))
	if text, err := r.ReadFile("a/x"); err != nil || string(text) != "one two" || changes != 1 {
		t.Errorf("%q, %v after %d changes", text, err, changes)
	}

	r.must(root.Rename("x", "b/y"))
	listed := r.begin(func(o *completion.Overlapped) error { return r.w.List(o, root, "b") })
	if names, ok := listed.value.([]string); !ok || !slices.Equal(names, []string{"y"}) {
		t.Errorf("listed %v, %v", names, listed.err)
	}
	for what, err := range map[string]error{
		"a directory that has something in it is removed": root.Remove("b"),
		"a name leads out":                second(root.Stat("../a")),
		"an absolute name leads out":      second(root.Open("/a", 0, 0)),
		"a file is where no directory is": second(root.Open("c/d", os.O_CREATE|os.O_WRONLY, 0o600)),
		"a file has something beneath it": root.MkdirAll("b/y/z", 0o700),
		"what has gone is there":          second(r.Stat("a/x")),
		"a file is a directory":           second(r.port.OpenRoot("a/b/y")),
	} {
		if err == nil {
			t.Error(what)
		}
	}
	r.must(root.Remove("b/y"))
	r.must(root.Close())
	if _, err := r.ReadFile("a/b/y"); !errors.Is(err, fs.ErrNotExist) || len(r.Files()) > 0 {
		t.Errorf("%v, files %v", err, r.Files())
	}
}

func second[T any](_ T, err error) error { return err }

// TestConnect connects in both directions, and to where nobody is.
func TestConnect(t *testing.T) {
	r := newRig(t)
	server := completion.Address{AddrPort: netip.MustParseAddrPort("10.0.0.9:80")}
	connect := func() *result {
		return r.begin(func(o *completion.Overlapped) error { return r.w.Connect(o, server) })
	}
	l, err := r.Listen(server)
	r.must(err)
	res := connect()
	socket, ok := l.Accept()
	if res.err != nil || !ok || socket.Remote().Addr() != fake.Address {
		t.Fatalf("connected: %v, accepted: %v", res.err, ok)
	}
	s := res.value.(*completion.Socket) //nolint:forcetypeassert // otherwise the test panics, as it should
	received := r.begin(s.Recv)
	if received.ended {
		t.Error("something was received")
	}
	if n, err := socket.Send([]byte("hello")); n != 5 || err != nil {
		t.Errorf("sent %d, %v", n, err)
	}
	r.must(r.Settle(r.ctx))
	if received.n != 5 {
		t.Errorf("received %d, %v", received.n, received.err)
	}
	if _, err := socket.Receive(make([]byte, 1)); !errors.Is(err, fake.ErrEmpty) {
		t.Errorf("received: %v", err)
	}
	socket.Reset()
	if res := r.begin(s.Recv); !errors.Is(res.err, syscall.ECONNRESET) {
		t.Errorf("received: %v", res.err)
	}
	if err := socket.CloseSend(); !errors.Is(err, fake.ErrClosed) {
		t.Errorf("it is closed: %v", err)
	}
	l.Close()

	r.FailConnect(server, syscall.EHOSTUNREACH)
	if res := connect(); !errors.Is(res.err, syscall.EHOSTUNREACH) {
		t.Errorf("connected: %v", res.err)
	}
	r.FailConnect(server, nil)
	if res := connect(); res.ended {
		t.Errorf("somebody has answered: %v", res.err)
	}
	r.MendConnect(server)
	r.on(func() {
		o := r.w.CreateOverlapped()
		r.must(o.SetNotificationInterface(completion.CompletionFunc(func(bool, int, error, *completion.Overlapped, any) {}), nil))
		if err := r.w.Connect(o, server); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connected: %v", err)
		}
	})
}
