package completiontest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fwx/framework/completion"
)

// patience bounds every wait: what takes longer does not happen.
const patience = time.Minute

// rig is a port with one worker in use, and the operations that a row makes on
// it. At its end the port is shut down, and each operation must have completed
// exactly as often as it was started.
type rig struct {
	testing.TB
	open Open
	port *completion.Port
	w    *completion.Worker
	log  *logs

	ops    []*op
	isDown bool

	kit *kit // what a Setup has made the port with; nil if it was another's
}

func newRig(tb testing.TB, open Open, options completion.Options) *rig {
	tb.Helper()
	r := &rig{TB: tb, open: open, log: &logs{}, kit: kitOf(tb)}
	if options.Workers == 0 {
		options.Workers = 1
	}
	tb.TempDir() // asked for first, it is removed last, when the port has closed what is in it
	options.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	r.port = open(tb, options)
	r.w = r.port.Workers()[0]
	tb.Cleanup(func() {
		if !r.isDown {
			r.shutdown()
		}
		r.count()
	})
	return r
}

// shutdown ends the port, which must succeed.
func (r *rig) shutdown() {
	r.Helper()
	r.isDown = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.port.Shutdown(ctx); err != nil {
		r.Errorf("Shutdown: %v", err)
	}
}

// count checks that each operation has completed as often as it was started.
func (r *rig) count() {
	r.Helper()
	for _, p := range r.ops {
		p.mu.Lock()
		if p.started != p.completed {
			r.Errorf("operation %d: started %d times, completed %d times", *p.user, p.started, p.completed)
		}
		p.mu.Unlock()
	}
}

// must fails the row for an error.
func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// supported skips the row for what the system does not have, and fails it for
// another error.
func (r *rig) supported(err error) {
	r.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		r.Skip("not on this system: ", err)
	}
	r.must(err)
}

// is fails the row if err is not want.
func (r *rig) is(err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("error %v, want %v", err, want)
	}
}

// on runs f on the rig's worker.
func (r *rig) on(f func()) {
	r.Helper()
	r.onWorker(r.w, f)
}

func (r *rig) onWorker(w *completion.Worker, f func()) {
	r.Helper()
	done := false
	r.must(w.Call(func() {
		f()
		done = true
	}))
	if !done {
		r.Fatal("a function panicked on the worker: " + r.log.String())
	}
}

// result is what a notification was told.
type result struct {
	success bool
	n       int
	err     error
	data    []byte // received
	value   any
}

// op is an operation of a row, and its notification.
type op struct {
	r    *rig
	o    *completion.Overlapped
	user *int // its user context
	then func(result)
	last func(*completion.Overlapped) error // its last start
	keep bool                               // leave the buffer and the value in the overlapped

	starting bool // on the worker: a start runs

	mu        sync.Mutex
	started   int
	completed int
	results   chan result
}

const maxResults = 1 << 12

// op makes an operation.
func (r *rig) op() *op {
	r.Helper()
	return r.opOn(r.w)
}

func (r *rig) opOn(w *completion.Worker) *op {
	r.Helper()
	id := len(r.ops)
	p := &op{r: r, user: &id, results: make(chan result, maxResults)}
	r.ops = append(r.ops, p)
	r.onWorker(w, func() {
		p.o = w.CreateOverlapped()
		if err := p.o.SetNotificationInterface(p, p.user); err != nil {
			r.Error(err)
		}
	})
	return p
}

// someOps makes n operations.
func (r *rig) someOps(n int) []*op {
	r.Helper()
	ops := make([]*op, n)
	for i := range ops {
		ops[i] = r.op()
	}
	return ops
}

// CompleteAsyncIO checks what every notification must be, and passes it on.
func (p *op) CompleteAsyncIO(success bool, n int, err error, o *completion.Overlapped, user any) {
	switch {
	case p.starting:
		p.r.Error("the notification was called inside the start")
	case o != p.o:
		p.r.Error("the notification has another overlapped")
	case user != any(p.user):
		p.r.Errorf("user context %v, want %v", user, p.user)
	case success != (err == nil):
		p.r.Errorf("success %t with error %v", success, err)
	case o.InFlight():
		p.r.Error("the overlapped is in flight in its notification")
	}
	p.mu.Lock()
	p.completed++
	if p.completed > p.started {
		p.r.Errorf("operation %d: completed %d times, started %d times", *p.user, p.completed, p.started)
	}
	p.mu.Unlock()
	if p.retries(n, err) {
		return
	}
	res := result{success: success, n: n, err: err}
	if !p.keep {
		res.value = o.TakeValue()
		if b := o.TakeBuffer(); b != nil {
			res.data = append([]byte(nil), b.Bytes()...)
			b.Release()
		}
	}
	if p.then != nil {
		p.then(res)
		return
	}
	p.results <- res
}

// start starts the operation, on the worker.
func (p *op) start(begin func(*completion.Overlapped) error) error {
	// A start that succeeds has been counted before its notification can come.
	p.mu.Lock()
	p.started++
	p.mu.Unlock()
	p.starting, p.last = true, begin
	err := p.r.kit.refusing(p.o, begin)
	p.starting = false
	if err != nil {
		p.mu.Lock()
		p.started--
		p.mu.Unlock()
	}
	return err
}

// try starts the operation from the row.
func (p *op) try(begin func(*completion.Overlapped) error) (err error) {
	p.r.Helper()
	p.r.onWorker(p.o.Worker(), func() { err = p.start(begin) })
	return err
}

// begin starts the operation from the row, which must succeed.
func (p *op) begin(begin func(*completion.Overlapped) error) *op {
	p.r.Helper()
	p.r.must(p.try(begin))
	return p
}

// wait returns the next completion.
func (p *op) wait() result {
	p.r.Helper()
	return receive(p.r, p.results)
}

// cancel asks for the end of the operation.
func (p *op) cancel() (err error) {
	p.r.Helper()
	p.r.onWorker(p.o.Worker(), func() { err = p.o.Cancel() })
	return err
}

// aborted checks that the next completion is that of a cancelled operation.
func (p *op) aborted() {
	p.r.Helper()
	if res := p.wait(); !errors.Is(res.err, completion.ErrOperationAborted) {
		p.r.Fatalf("completed with %d bytes, %v; want %v", res.n, res.err, completion.ErrOperationAborted)
	}
}

// ok checks that the next completion is a success.
func (p *op) ok() result {
	p.r.Helper()
	res := p.wait()
	p.r.must(res.err)
	return res
}

// receive takes a value from a channel that must have one soon.
func receive[T any](r *rig, ch <-chan T) T {
	r.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		r.Fatal("timed out")
		panic("unreachable")
	}
}

// eventually waits for a condition.
func (r *rig) eventually(what string, cond func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatal("timed out: " + what)
		}
	}
}

// overlapped returns the OVERLAPPED of o for an offset.
func overlapped(o *completion.Overlapped, offset int64) (*completion.OVERLAPPED, error) {
	ov, err := o.GetOverlapped()
	if err == nil {
		ov.Offset = offset
	}
	return ov, err
}

// reading and writing are starts of file operations.
func reading(h *completion.Handle, offset int64, buf []byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error {
		ov, err := overlapped(o, offset)
		if err != nil {
			return err
		}
		return h.ReadFile(ov, buf)
	}
}

func writing(h *completion.Handle, offset int64, buf []byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error {
		ov, err := overlapped(o, offset)
		if err != nil {
			return err
		}
		return h.WriteFile(ov, buf)
	}
}

func sending(s *completion.Socket, data []byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return s.Send(o, data) }
}

// file opens a file of the test's directory.
func (r *rig) file(name string, flag int) *completion.Handle {
	r.Helper()
	res := r.op().begin(func(o *completion.Overlapped) error {
		return o.Worker().OpenFile(o, nil, name, flag, 0o600)
	}).ok()
	h, ok := res.value.(*completion.Handle)
	if !ok {
		r.Fatalf("OpenFile gave a %T", res.value)
	}
	return h
}

// content makes a file and returns its name.
func (r *rig) content(data []byte) string {
	r.Helper()
	name := filepath.Join(r.TempDir(), "file")
	r.must(r.write(name, data))
	return name
}

// close closes a handle or socket on the worker.
func (r *rig) close(c io.Closer) {
	r.Helper()
	r.on(func() {
		if err := c.Close(); err != nil {
			r.Error(err)
		}
	})
}

// logs gathers what the port logs.
type logs struct {
	mu   sync.Mutex
	text []byte
}

// Write adds to the log.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

// String returns what has been logged.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// hook hooks a descriptor.
func (r *rig) hook(fd int) *completion.Handle {
	r.Helper()
	var h *completion.Handle
	var err error
	r.on(func() { h, err = r.w.HookToCompletionPort(fd) })
	r.must(err)
	return h
}
