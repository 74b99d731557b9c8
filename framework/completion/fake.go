package completion

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"fwx/framework/completion/internal/memory"
)

// fake is the backend for tests: its descriptors are in memory, it makes no
// system call, and it waits on a channel and on package time, so that a port on
// it runs inside testing/synctest. On one worker it is deterministic: file
// operations take effect, in the order of their starts, when the turn that
// started them has ended, and until then a cancel wins.
//
// In a system with a clock of its own it waits on that, and what a pool of threads
// would do is done as the file operations are.
type fake struct {
	attempts
	bell    chan struct{} // ends a wait
	timer   *time.Timer
	sleeper *memory.Sleeper // instead of both, on a clock
	files   opQueue         // and what is for the pool

	mu     sync.Mutex
	events []*descriptor // on which an operation may go on
	batch  []*descriptor // the slice that events swaps with
}

func openFake(w *Worker) (backend, error) {
	f := &fake{attempts: attempts{worker: w, attempt: attemptInMemory}, bell: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	f.timer.Stop()
	if clock := w.port.clock; clock != nil {
		f.sleeper = clock.NewSleeper()
	}
	return f, nil
}

func (f *fake) hook(d *descriptor) error {
	fd := memory.Of(d.fd)
	if fd == nil {
		return fmt.Errorf("descriptor %d is not in memory: %w", d.fd, errors.ErrUnsupported)
	}
	fd.Notify(func() { f.tell(d) })
	return nil
}

// tell notes, from any worker, that something may have become possible on d.
func (f *fake) tell(d *descriptor) {
	f.mu.Lock()
	f.events = append(f.events, d)
	f.mu.Unlock()
	f.worker.wake()
}

func (f *fake) forget(d *descriptor) bool {
	memory.Of(d.fd).Notify(nil)
	return true
}

func (f *fake) start(o *Overlapped) {
	d := o.desc
	if d == nil || d.file || o.op == opSync || o.op == opTask {
		f.files.push(o)
		return
	}
	d.readiness.readable, d.readiness.writable = true, true // an attempt costs nothing
	f.attempts.start(o)
}

func (f *fake) wait(patience time.Duration) {
	w := f.worker
	if !f.files.empty() || !w.ready.empty() || w.heavy.wanted() || w.finished() {
		return
	}
	if patience == 0 {
		// What is due within the slack is waited for, because the clock of a
		// test may stand still as long as nobody does.
		if patience = f.untilTimer(); patience <= 0 {
			return
		}
	}
	w.sleeping.Store(true)
	defer w.sleeping.Store(false)
	if w.hasRemote() || f.hasEvents() {
		return
	}
	switch {
	case f.sleeper != nil && patience < 0:
		f.sleeper.Sleep(patience)
		return
	case f.sleeper != nil:
		f.sleeper.Sleep(w.Now() + patience)
		return
	case patience < 0:
		<-f.bell
		return
	}
	f.timer.Reset(patience)
	select {
	case <-f.bell:
		f.timer.Stop()
	case <-f.timer.C:
	}
}

func (f *fake) untilTimer() time.Duration {
	if len(f.worker.timers) == 0 {
		return 0
	}
	return time.Duration(f.worker.timers[0].when - f.worker.now)
}

func (f *fake) hasEvents() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events) > 0
}

func (f *fake) reap() {
	for o := f.files.pop(); o != nil; o = f.files.pop() {
		if o.task != nil {
			perform(o)
		} else {
			o.bytes, o.err = fileInMemory(o)
		}
		f.worker.end(o, o.bytes, o.err)
	}
	f.mu.Lock()
	f.events, f.batch = f.batch[:0], f.events
	f.mu.Unlock()
	for _, d := range f.batch {
		f.became(d, true, true)
	}
	clear(f.batch)
}

func (f *fake) wake() {
	if f.sleeper != nil {
		f.sleeper.Wake()
		return
	}
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

func (f *fake) close() {
	f.timer.Stop()
	if f.sleeper != nil {
		f.sleeper.Close()
	}
}

// attemptInMemory is attempt for a descriptor in memory.
func attemptInMemory(o *Overlapped) outcome {
	fd := memory.Of(o.desc.fd)
	switch o.op {
	case opRecv:
		return recvInMemory(o, fd)
	case opReadStream:
		n, err := fd.Read(o.buf)
		if err == nil && n == 0 {
			err = ErrHandleEOF
		}
		return o.outcomeInMemory(n, err)
	case opSend, opWriteStream:
		for {
			n, err := fd.Write(o.rest())
			if o.done += n; err != nil || o.done == len(o.buf) {
				return o.outcomeInMemory(o.done, err)
			}
		}
	case opAccept:
		accepted, err := fd.Accept()
		if err == nil {
			o.value = Accepted{fd: accepted.Number(), Remote: fromMemory(accepted.Remote())}
		}
		return o.outcomeInMemory(0, err)
	case opConnect:
		return o.outcomeInMemory(0, fd.Connected())
	default:
		return o.outcomeInMemory(0, errors.ErrUnsupported)
	}
}

func recvInMemory(o *Overlapped, fd *memory.FD) outcome {
	pool := &o.worker.buffers
	b := pool.get()
	if b == nil {
		return starved
	}
	n, err := fd.Read(pool.space(b))
	if n == 0 {
		pool.putBack(b)
	} else {
		b.n, o.buffer = n, b
	}
	return o.outcomeInMemory(n, err)
}

func (o *Overlapped) outcomeInMemory(n int, err error) outcome {
	if errors.Is(err, syscall.EAGAIN) {
		return again
	}
	o.bytes, o.err = n, err
	return ended
}

// fileInMemory is fileIO for a file in memory.
func fileInMemory(o *Overlapped) (int, error) {
	fd := memory.Of(o.desc.fd)
	switch o.op {
	case opRead:
		n, err := fd.ReadAt(o.buf, o.ov.Offset)
		if err == nil && n == 0 {
			err = ErrHandleEOF
		}
		return n, err
	case opWrite:
		for o.done < len(o.buf) {
			n, err := fd.WriteAt(o.rest(), o.ov.Offset+int64(o.done))
			if err != nil {
				return o.done, err
			}
			o.done += n
		}
		return o.done, nil
	default: // a sync
		if _, file := fd.File(); !file {
			return 0, syscall.EINVAL
		}
		return 0, fd.Sync()
	}
}

const memoryDevice = 1<<64 - 1 // no real device has this number

func describeInMemory(d *descriptor, number int) error {
	fd := memory.Of(number)
	if fd == nil {
		return syscall.EBADF
	}
	var id uint64
	id, d.file = fd.File()
	d.lane = laneKey{memoryDevice, id}
	return nil
}

func openInMemory(m *memory.System, d *descriptor, root *Root, name string, flag int) error {
	name, err := root.inMemory(name)
	if err != nil {
		return err
	}
	fd, err := m.Open(name, flag)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	d.fd = fd.Number()
	return describeInMemory(d, d.fd)
}

// watchInMemory is Watch in the memory of a test.
func (w *Worker) watchInMemory(o *Overlapped, root *Root, name string, f func()) error {
	watch := &Watch{worker: w, name: filepath.Base(name)}
	watch.changed = w.NewTimer(f)
	return w.runBlocking(o, opTask, folderLane(root, name), func() (any, error) {
		name, err := root.inMemory(name)
		if err != nil {
			return nil, err
		}
		watch.stop, err = w.test.memory.Watch(name, func() { _ = w.Post(watch.touched) }) // closed: nobody watches any more
		if err != nil {
			return nil, err
		}
		return watch, nil
	})
}

// touched is touch for a change that was told from anywhere.
func (t *Watch) touched() {
	if !t.closed {
		t.touch()
	}
}

func listenInMemory(m *memory.System, address Address) (int, Address, error) {
	fd, err := m.Listen(toMemory(address))
	if err != nil {
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, err)
	}
	return fd.Number(), fromMemory(fd.Local()), nil
}

func connectInMemory(m *memory.System, address Address) (int, error) {
	fd, err := m.Connect(toMemory(address))
	if err != nil {
		return 0, os.NewSyscallError("connect", err)
	}
	return fd.Number(), nil
}

func toMemory(a Address) memory.Address   { return memory.Address{AddrPort: a.AddrPort, Path: a.Path} }
func fromMemory(a memory.Address) Address { return Address{AddrPort: a.AddrPort, Path: a.Path} }

// localInMemory returns the local address of a socket in memory; false if it is
// not one.
func localInMemory(number int) (netip.AddrPort, bool) {
	fd := memory.Of(number)
	if fd == nil {
		return netip.AddrPort{}, false
	}
	return fd.Local().AddrPort, true
}
