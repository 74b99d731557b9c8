package completion

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
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
type fake struct {
	worker *Worker
	bell   chan struct{} // ends a wait
	timer  *time.Timer
	files  opQueue

	mu     sync.Mutex
	events []*descriptor // on which an operation may go on
	batch  []*descriptor // the slice that events swaps with
}

func openFake(w *Worker) (backend, error) {
	f := &fake{worker: w, bell: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	f.timer.Stop()
	return f, nil
}

func (f *fake) hook(d *descriptor) error {
	fd := memory.Of(d.fd)
	if fd == nil {
		return fmt.Errorf("descriptor %d is not in memory: %w", d.fd, errors.ErrUnsupported)
	}
	d.readiness.readable, d.readiness.writable = true, true
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
	if o.op == opSync || o.desc.file {
		f.files.push(o)
		return
	}
	queue := o.desc.readiness.queue(o)
	if !queue.empty() || f.attempt(o) == again {
		queue.push(o)
	}
}

func (f *fake) attempt(o *Overlapped) outcome {
	result := attemptInMemory(o)
	switch result {
	case starved:
		f.worker.buffers.await(o)
	case ended:
		f.worker.end(o, o.bytes, o.err)
	default:
	}
	return result
}

func (f *fake) cancel(o *Overlapped) {
	o.queue.remove(o)
	f.worker.end(o, o.sent(), ErrOperationAborted)
}

func (f *fake) wait(patience time.Duration) {
	w := f.worker
	if !f.files.empty() || !w.ready.empty() || w.finished() {
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
	if patience < 0 {
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
		o.bytes, o.err = fileInMemory(o)
		f.worker.end(o, o.bytes, o.err)
	}
	f.mu.Lock()
	f.events, f.batch = f.batch[:0], f.events
	f.mu.Unlock()
	for _, d := range f.batch {
		f.drain(&d.readiness.reads)
		f.drain(&d.readiness.writes)
	}
	clear(f.batch)
}

// drain attempts the operations that waited, in their order.
func (f *fake) drain(q *opQueue) {
	for o := q.pop(); o != nil; o = q.pop() {
		if f.attempt(o) == again {
			q.pushFront(o)
			return
		}
	}
}

func (f *fake) wake() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

func (f *fake) released() {
	pool := &f.worker.buffers
	for pool.available() {
		o := pool.waiting.pop()
		if o == nil {
			return
		}
		if f.attempt(o) == again {
			o.desc.readiness.reads.push(o)
		}
	}
}

func (f *fake) shutdown()  {}
func (f *fake) idle() bool { return true }
func (f *fake) close()     { f.timer.Stop() }

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
		return o.outcomeInMemory(0, nil)
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
	n, err := fd.Read(b.mem)
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
		return 0, nil
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

func openInMemory(m *memory.System, d *descriptor, name string, flag int) error {
	fd, err := m.Open(name, flag)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	d.fd = fd.Number()
	return describeInMemory(d, d.fd)
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
