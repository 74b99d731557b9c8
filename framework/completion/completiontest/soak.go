package completiontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/memory"
	"fwx/framework/completion/internal/seam"
)

// soakChances are those of the soak: everything, but seldom.
var soakChances = chances{
	delay: 20, piece: 60, refuse: 5, finish: 30, cancel: 400, starve: 20, short: 20, disk: 10, reset: 4,
	longest: 100 * time.Microsecond,
}

// Soak starts as many operations as asked for, of all kinds at once, cancels
// some, and checks that each that was accepted completes once, is the right
// one, and has the right bytes, and that nobody touches a buffer afterwards.
func (s Setup) Soak(t *testing.T, operations int) {
	t.Helper()
	options := completion.Options{Workers: 2, Backend: s.Backend, MaxBuffers: 64}
	hooks := seam.Hooks{}
	if s.Backend == FakeBackend {
		hooks.Memory = memory.New()
	}
	plans := make([]*plan, options.Workers)
	if s.Faults {
		hooks.RingEntries = 32
		for i := range plans {
			plans[i] = newPlan(Seed(), i, soakChances)
			plans[i].anyUser, plans[i].refusing = true, true
		}
		hooks.Faults = func(worker int) seam.Faults { return plans[worker] }
	}
	port, err := completion.NewForTest(options, hooks)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	soakers := make([]*soaker, options.Workers)
	for i, w := range port.Workers() {
		soakers[i] = newSoaker(t, w, operations/options.Workers)
		soakers[i].begin()
	}
	late := time.After(15 * time.Minute) // far longer than a busy machine takes
	for _, k := range soakers {
		select {
		case <-k.done:
		case <-late:
			t.Errorf("worker %d has not ended: %s", k.w.Index(), k.status())
		}
	}
	took := time.Since(begun)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := port.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	total := 0
	for i, k := range soakers {
		total += k.accepted
		t.Logf("worker %d: %s", i, k.status())
		if k.accepted != k.completed {
			t.Errorf("worker %d: %d operations were accepted, %d have completed", i, k.accepted, k.completed)
		}
		if s.Faults {
			t.Logf("worker %d: faults %v", i, plans[i].count)
		}
	}
	if port.Panics() > 0 {
		t.Errorf("%d handlers have panicked", port.Panics())
	}
	t.Logf("%d operations in %v", total, took.Round(time.Millisecond))
	if t.Failed() {
		t.Logf("seed %d: -faults.seed=%d or %s=%d brings it back", Seed(), Seed(), seedVariable, Seed())
	}
}

// soaker is the soak of one worker. All of it runs there.
type soaker struct {
	t      *testing.T
	w      *completion.Worker
	random *rand.Rand
	folder string

	left, accepted, completed    int
	refused, aborted, reconnects int
	kinds                        map[string]int
	actors                       int
	failures                     int
	done                         chan struct{}
	once                         sync.Once
}

func newSoaker(t *testing.T, w *completion.Worker, operations int) *soaker {
	t.Helper()
	folder := t.TempDir()
	if err := w.Port().MkdirAll(folder, 0o700); err != nil { // in the memory of the fake it is not there
		t.Fatal(err)
	}
	return &soaker{
		t: t, w: w, left: operations, folder: folder, kinds: make(map[string]int), done: make(chan struct{}),
		random: rand.New(rand.NewPCG(Seed(), uint64(w.Index()))), //nolint:gosec // so that it can be had again
	}
}

func (k *soaker) status() string {
	return fmt.Sprintf("%d accepted, %d completed, %d refused, %d aborted, %d reconnects, %d actors left, %v",
		k.accepted, k.completed, k.refused, k.aborted, k.reconnects, k.actors, k.kinds)
}

const (
	soakFiles, soakSockets, soakOthers = 12, 12, 3
	soakRegion                         = 16 << 10
)

func (k *soaker) begin() {
	k.t.Helper()
	err := k.w.Call(func() {
		for i := range soakFiles {
			f := &fileActor{name: filepath.Join(k.folder, fmt.Sprintf("file%d", i)), buf: make([]byte, soakRegion), content: make([]byte, soakRegion)}
			f.op = k.op("file", f.ended, f.next)
			spoil(f.buf)
			k.actors++
			f.next()
		}
		for range soakSockets {
			k.actors++
			newSocketActor(k).open()
		}
		for range soakOthers {
			k.actors += 3
			k.timers()
			k.posts()
			k.blocking()
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *soaker) errorf(format string, args ...any) {
	if k.failures++; k.failures < 10 {
		k.t.Errorf(format, args...)
	}
}

// retire ends an actor.
func (k *soaker) retire() {
	if k.actors--; k.actors == 0 {
		k.once.Do(func() { close(k.done) })
	}
}

func (k *soaker) took(kind string) {
	k.accepted++
	k.left--
	k.kinds[kind]++
}

// soakOp is an operation of the soak, and its notification.
type soakOp struct {
	k        *soaker
	kind     string
	o        *completion.Overlapped
	inFlight bool
	starting bool
	ended    func(n int, err error)
	again    *completion.Timer // after a start that was refused
	cancel   *completion.Timer
}

func (k *soaker) op(kind string, ended func(int, error), next func()) *soakOp {
	p := &soakOp{k: k, kind: kind, o: k.w.CreateOverlapped(), ended: ended, again: k.w.NewTimer(next)}
	p.cancel = k.w.NewTimer(func() { _ = p.o.Cancel() }) // it may have ended
	if err := p.o.SetNotificationInterface(p, p); err != nil {
		k.errorf("%v", err)
	}
	return p
}

// start starts the operation and sometimes cancels it. If there is no room it
// is for again to try once more.
func (p *soakOp) start(begin func(*completion.Overlapped) error) bool {
	p.inFlight, p.starting = true, true
	err := begin(p.o)
	p.starting = false
	if err != nil {
		p.inFlight = false
		p.k.refused++
		if !errors.Is(err, completion.ErrTooManyOperations) {
			p.k.errorf("a start of %s: %v", p.kind, err)
		}
		p.again.Reset(50 * time.Microsecond)
		return false
	}
	p.k.took(p.kind)
	switch p.k.random.IntN(24) {
	case 0:
		if err := p.o.Cancel(); err != nil && !errors.Is(err, completion.ErrNotFound) {
			p.k.errorf("Cancel: %v", err)
		}
	case 1:
		p.cancel.Reset(time.Duration(p.k.random.IntN(200)) * time.Microsecond)
	}
	return true
}

// CompleteAsyncIO checks that it is told of the operation that was started.
func (p *soakOp) CompleteAsyncIO(success bool, n int, err error, o *completion.Overlapped, user any) {
	switch {
	case !p.inFlight:
		p.k.errorf("%s: a completion without a start", p.kind)
	case p.starting:
		p.k.errorf("%s: completed inside its start", p.kind)
	case o != p.o || user != any(p):
		p.k.errorf("%s: the overlapped or the user context is another's", p.kind)
	case success != (err == nil):
		p.k.errorf("%s: success %t with %v", p.kind, success, err)
	}
	p.inFlight = false
	p.k.completed++
	if errors.Is(err, completion.ErrOperationAborted) {
		p.k.aborted++
	}
	p.ended(n, err)
}

// soakBuffer is the size of the largest buffer of the soak.
const soakBuffer = 32 << 10

// spoilt is what buffers have while no operation owns them.
var spoilt = bytes.Repeat([]byte{0xEE}, soakBuffer)

// spoil makes a buffer show who uses it when it is not his.
func spoil(buf []byte) { copy(buf, spoilt) }

func (k *soaker) untouched(buf []byte) {
	if i := difference(buf, spoilt[:len(buf)]); i >= 0 {
		k.errorf("byte %d of a buffer was changed after its completion", i)
	}
}

// fileActor writes to a file, and reads what it should have.
type fileActor struct {
	op      *soakOp
	name    string
	h       *completion.Handle
	buf     []byte
	content []byte // of the file
	known   bool   // all of content is there
	at, n   int
	what    string
}

func (f *fileActor) next() {
	k := f.op.k
	k.untouched(f.buf)
	switch {
	case k.left <= 0:
		if f.h != nil {
			_ = f.h.Close() // it was open
		}
		k.retire()
		return
	case f.h == nil:
		f.what = "open"
		f.op.start(func(o *completion.Overlapped) error {
			return k.w.OpenFile(o, nil, f.name, os.O_RDWR|os.O_CREATE, 0o600)
		})
		return
	case !f.known:
		f.what, f.at, f.n = "write", 0, soakRegion
	default:
		f.at = k.random.IntN(soakRegion)
		f.n = 1 + k.random.IntN(soakRegion-f.at)
		f.what = [...]string{"read", "read", "write", "write", "write", "sync"}[k.random.IntN(6)]
	}
	var begin func(*completion.Overlapped) error
	switch f.what {
	case "read":
		begin = reading(f.h, int64(f.at), f.buf[:f.n])
	case "write":
		mark := byte(k.random.Uint32())
		for i := range f.buf[:f.n] {
			f.buf[i] = mark + byte(i)
		}
		begin = writing(f.h, int64(f.at), f.buf[:f.n])
	default:
		begin = f.h.Sync
		if k.random.IntN(32) > 0 { // real storage is slow
			begin = reading(f.h, 0, f.buf[:1])
			f.what, f.at, f.n = "read", 0, 1
		}
	}
	if !f.op.start(begin) {
		spoil(f.buf[:f.n])
	}
}

func (f *fileActor) ended(n int, err error) {
	k := f.op.k
	switch {
	case f.what == "open":
		if err == nil {
			f.h, _ = f.op.o.TakeValue().(*completion.Handle)
		}
	case f.what == "read" && err == nil:
		if n < 1 || n > f.n || string(f.buf[:n]) != string(f.content[f.at:f.at+n]) {
			k.errorf("a read of %d bytes at %d of %s has %d others", f.n, f.at, f.name, n)
		}
	case f.what == "write" && err == nil:
		if n != f.n {
			k.errorf("a write of %d bytes has written %d", f.n, n)
		}
		copy(f.content[f.at:], f.buf[:n])
		f.known = f.known || n == soakRegion
	case f.what == "write":
		f.known = false
	}
	if err != nil && !errors.Is(err, completion.ErrOperationAborted) && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
		k.errorf("a %s of a file: %v", f.what, err)
	}
	spoil(f.buf)
	f.next()
}

// socketActor sends a pattern through a pair of sockets that it makes anew
// whenever one is reset.
type socketActor struct {
	k                           *soaker
	l                           *completion.Listener
	in, out                     *completion.Socket
	accept, connect, recv, send *soakOp
	buf                         []byte
	sent, got                   int
	ending                      bool
}

func newSocketActor(k *soaker) *socketActor {
	a := &socketActor{k: k, buf: make([]byte, soakBuffer)}
	spoil(a.buf)
	a.accept = k.op("accept", a.accepted, a.open)
	a.connect = k.op("connect", a.connected, a.open)
	a.recv = k.op("recv", a.received, a.recvNext)
	a.send = k.op("send", a.hasSent, a.sendNext)
	return a
}

func (a *socketActor) open() {
	if a.k.left <= 0 {
		a.k.retire()
		return
	}
	address, err := completion.ParseAddress(loopback)
	if err == nil {
		a.l, err = a.k.w.Listen(address)
	}
	if err != nil {
		a.k.errorf("%v", err)
		a.k.retire()
		return
	}
	a.sent, a.got, a.ending = 0, 0, false
	if !a.accept.start(a.l.Accept) {
		a.accept.again.Stop()
		a.end()
		return
	}
	started := a.connect.start(func(o *completion.Overlapped) error { return a.k.w.Connect(o, a.l.Address()) })
	if !started {
		a.connect.again.Stop()
		a.end()
	}
}

func (a *socketActor) accepted(_ int, err error) {
	if err == nil {
		value, _ := a.accept.o.TakeValue().(completion.Accepted)
		if a.in, err = a.k.w.Attach(value); err != nil {
			a.k.errorf("Attach: %v", err)
		}
	}
	a.ready(err)
}

func (a *socketActor) connected(_ int, err error) {
	if err == nil {
		a.out, _ = a.connect.o.TakeValue().(*completion.Socket)
	}
	a.ready(err)
}

// ready begins when both ends are there.
func (a *socketActor) ready(err error) {
	switch {
	case err != nil || a.ending:
		a.end()
	case a.in != nil && a.out != nil:
		_ = a.l.Close() // it was open
		a.l = nil
		a.sendNext()
		if !a.ending {
			a.recvNext()
		}
	}
}

func (a *socketActor) sendNext() {
	if a.ending || a.k.left <= 0 {
		a.end()
		return
	}
	a.k.untouched(a.buf)
	piece := a.buf[:1+a.k.random.IntN(len(a.buf))>>a.k.random.IntN(10)]
	fillPattern(piece, a.sent)
	if !a.send.start(sending(a.out, piece)) {
		spoil(piece)
	}
}

func (a *socketActor) hasSent(n int, err error) {
	spoil(a.buf)
	a.sent += n
	if err != nil && !errors.Is(err, completion.ErrOperationAborted) {
		a.broken(err)
		return
	}
	a.sendNext()
}

func (a *socketActor) recvNext() {
	if a.ending {
		a.end()
		return
	}
	a.recv.start(a.in.Recv)
}

func (a *socketActor) received(n int, err error) {
	if b := a.recv.o.TakeBuffer(); b != nil {
		if len(b.Bytes()) != n {
			a.k.errorf("a receive of %d bytes has a buffer of %d", n, len(b.Bytes()))
		}
		if i := wrongByte(b.Bytes(), a.got); i >= 0 {
			a.k.errorf("byte %d of a connection is %#x", a.got+i, b.Bytes()[i])
		}
		a.got += n
		b.Release()
	} else if n > 0 {
		a.k.errorf("%d bytes were received into nothing", n)
	}
	switch {
	case err != nil && !errors.Is(err, completion.ErrOperationAborted):
		a.broken(err)
	case err == nil && n == 0: // the end of the stream
		a.end()
	default:
		a.recvNext()
	}
}

func (a *socketActor) broken(err error) {
	if !errors.Is(err, errConnectionReset) && !errors.Is(err, errBrokenPipe) {
		a.k.errorf("a connection: %v", err)
	}
	a.end()
}

// end closes what is open, and opens it anew when nothing is in flight any more.
func (a *socketActor) end() {
	if !a.ending {
		a.ending = true
		a.recv.again.Stop()
		a.send.again.Stop()
	}
	if a.l != nil {
		_ = a.l.Close() // it was open
		a.l = nil
	}
	for _, s := range []**completion.Socket{&a.in, &a.out} {
		if *s != nil {
			_ = (*s).Close() // it was open
			*s = nil
		}
	}
	if a.accept.inFlight || a.connect.inFlight || a.recv.inFlight || a.send.inFlight || a.accept.again.Armed() {
		return
	}
	if a.got > a.sent {
		a.k.errorf("%d bytes were received of %d", a.got, a.sent)
	}
	a.k.reconnects++
	a.accept.again.Reset(10 * time.Microsecond)
}

// timers arms a timer again and again; sometimes it is stopped in time.
func (k *soaker) timers() {
	var t *completion.Timer
	armed := false
	next := func() {
		if k.left <= 0 {
			k.retire()
			return
		}
		armed = true
		k.took("timer")
		t.Reset(time.Duration(k.random.IntN(300)) * time.Microsecond)
		if k.random.IntN(10) == 0 {
			if !t.Stop() {
				k.errorf("an armed timer could not be stopped")
			}
			t.Reset(0)
		}
	}
	t = k.w.NewTimer(func() {
		if !armed {
			k.errorf("a timer fired twice")
		}
		armed = false
		k.completed++
		next()
	})
	next()
}

// soakTask is a task that expects its user context.
type soakTask struct {
	k    *soaker
	want int
	next func()
}

// CompleteTask checks the user context.
func (t *soakTask) CompleteTask(user any) {
	if user != any(t.want) {
		t.k.errorf("a task was told %v, want %d", user, t.want)
	}
	t.want++
	t.k.completed++
	t.next()
}

func (k *soaker) posts() {
	task := &soakTask{k: k}
	task.next = func() {
		if k.left <= 0 {
			k.retire()
			return
		}
		k.took("post")
		if err := k.w.PostTaskCompletion(task, task.want); err != nil {
			k.errorf("PostTaskCompletion: %v", err)
		}
	}
	task.next()
}

func (k *soaker) blocking() {
	count := 0
	var p *soakOp
	next := func() {
		if k.left <= 0 {
			k.retire()
			return
		}
		count++
		want := count
		p.start(func(o *completion.Overlapped) error {
			return k.w.RunBlocking(o, func() (any, error) { return want, nil })
		})
	}
	p = k.op("blocking", func(_ int, err error) {
		switch value := p.o.TakeValue(); {
		case err == nil && value != any(count):
			k.errorf("a blocking task gave %v, want %d", value, count)
		case err != nil && !errors.Is(err, completion.ErrOperationAborted):
			k.errorf("a blocking task: %v", err)
		}
		next()
	}, next)
	next()
}
