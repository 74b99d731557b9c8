package completion

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// iocp is the backend on Windows' I/O completion ports: each worker has one, and
// is the only thread that takes packets off it. Operations of a descriptor are
// overlapped ones of the system, with two exceptions. A receive waits for data with
// an empty buffer and then takes it without waiting, so that a connection that
// is idle holds no memory. And a write to a file is done by a thread of the pool,
// because the system does one that makes the file longer within the call, overlapped
// or not, and a device that hangs would keep the worker there.
//
// Packets are never skipped on immediate success: an operation that the system
// has accepted posts exactly one.
type iocp struct {
	worker  *Worker
	port    windows.Handle
	packets []completionPacket
	ready   int     // of packets
	next    int     // of them to be dealt with
	slots   []*slot // by the slot of the operation
	files   fileWindows
	pinner  runtime.Pinner
	broken  bool // waiting has failed, which has been logged
}

// completionPacket is an OVERLAPPED_ENTRY.
type completionPacket struct {
	key      uintptr
	slot     *slot // nil: a wake-up
	internal uintptr
	bytes    uint32
}

// packetBatch is how many packets are taken at a time.
const packetBatch = 128

var (
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	// procGetPackets takes several packets at once.
	procGetPackets = kernel32.NewProc("GetQueuedCompletionStatusEx")
)

func openIOCP(w *Worker) (backend, error) {
	if err := startWinsock(); err != nil {
		return nil, err
	}
	if err := procGetPackets.Find(); err != nil {
		return nil, err
	}
	port, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 1)
	if err != nil {
		return nil, err
	}
	p := &iocp{worker: w, port: port, packets: make([]completionPacket, packetBatch)}
	p.pinner.Pin(&p.packets[0])
	p.files.init(w.port.options.FileThreads)
	return p, nil
}

func (p *iocp) hook(d *descriptor) error {
	_, err := windows.CreateIoCompletionPort(windows.Handle(d.fd), p.port, 0, 0)
	if err != nil && d.stream.device {
		// A console, or another device that knows of no overlapped operations.
		d.stream.blocking, err = true, nil
	}
	if err == nil && d.file {
		p.files.open(d)
	}
	return systemError(err)
}

func (p *iocp) forget(d *descriptor) bool {
	p.files.close(d)
	return true
}

func (p *iocp) start(o *Overlapped) {
	d := o.desc
	switch {
	case o.op == opSync && !d.file: // of a pipe it would wait for the reader
		p.worker.end(o, 0, syscall.EINVAL)
	case o.op == opSync || o.op == opWrite || o.op == opWriteGather || d.stream.blocking:
		p.worker.offload(d.lane, o)
	case o.op == opRead:
		if d.window.enter(o) {
			p.issue(o)
		}
	case o.op == opRecv || o.op == opRecvFrom:
		p.receive(o)
	case o.op == opReadStream || o.op == opWriteStream || o.op == opWriteGatherStream:
		// One after the other, so that two transfers do not mix.
		queue := d.readiness.queue(o)
		queue.push(o)
		if queue.first == o {
			p.issue(o)
		}
	default:
		p.issue(o)
	}
}

func (p *iocp) cancel(o *Overlapped) {
	if w := o.desc.windowOf(o); w != nil && w.waiting.remove(o) {
		p.worker.end(o, 0, ErrOperationAborted)
		return
	}
	if o.queue != nil && o.queue.first != o { // the system does not know of it yet
		o.queue.remove(o)
		p.worker.end(o, o.sent(), ErrOperationAborted)
		return
	}
	// It may have ended; its packet tells.
	_ = windows.CancelIoEx(windows.Handle(o.desc.fd), &p.slots[o.slot].overlapped)
}

func (p *iocp) wait(patience time.Duration) {
	if p.next < p.ready { // the turn before had no time for them
		return
	}
	if patience == 0 {
		p.take(0)
		return
	}
	w := p.worker
	w.sleeping.Store(true)
	defer w.sleeping.Store(false)
	if w.hasRemote() {
		p.take(0)
		return
	}
	timeout := uint32(windows.INFINITE)
	if patience > 0 {
		timeout = uint32(min((patience+time.Millisecond-1)/time.Millisecond, windows.INFINITE-1))
	}
	p.take(timeout)
}

// take takes what packets there are, or waits for the first.
func (p *iocp) take(timeout uint32) {
	var n uint32
	ok, _, err := procGetPackets.Call(uintptr(p.port), uintptr(unsafe.Pointer(&p.packets[0])), packetBatch,
		uintptr(unsafe.Pointer(&n)), uintptr(timeout), 0)
	switch {
	case ok != 0:
		p.ready = int(n)
	case err == windows.WAIT_TIMEOUT: //nolint:errorlint // a system call returns a bare Errno
	case !p.broken:
		p.broken = true
		p.worker.logger.Error("the completion port of a worker fails", "worker", p.worker.index, "error", err)
	}
}

func (p *iocp) reap() {
	// A handler that blocks has the rest dealt with from within.
	turn := p.worker.shareFromTick()
	for p.next < p.ready {
		if turn.over(p.worker) {
			return
		}
		i := p.next
		p.next++
		s := p.packets[i].slot
		p.packets[i].slot = nil
		if s != nil && s.o != nil { // nil: it says once more what the call has said, which Wine does for devices
			p.ended(s, int(p.packets[i].bytes))
		}
	}
	p.next, p.ready = 0, 0
}

func (p *iocp) wake() { _ = windows.PostQueuedCompletionStatus(p.port, 0, 0, nil) } // it has no limit but memory

// released attempts the receives that waited for a buffer. More than one,
// because one may end without using it.
func (p *iocp) released() {
	pool := &p.worker.buffers
	for pool.available() {
		o := pool.waiting.pop()
		if o == nil {
			return
		}
		switch p.attempt(o) {
		case ended:
			p.worker.end(o, o.bytes, o.err)
		case again:
			p.issue(o)
		case starved: // it waits again, at the end
			return
		}
	}
}

func (p *iocp) shutdown()  {}
func (p *iocp) idle() bool { return true }

func (p *iocp) close() {
	_ = windows.CloseHandle(p.port) // nothing is in flight
	p.pinner.Unpin()
}
