package completion

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

// TestOutcomes plays the system, for the ways in which a call and its packet tell
// how an operation has ended. No one system shows all of them.
func TestOutcomes(t *testing.T) {
	const (
		none    = windows.NTStatus(0)
		pending = windows.STATUS_PENDING
		warning = windows.STATUS_BUFFER_OVERFLOW
	)
	tests := []struct {
		name      string
		op        opKind
		cancelled bool
		call      error            // what the call returns
		left      windows.NTStatus // what it leaves in the OVERLAPPED
		packet    bool             // one comes
		status    windows.NTStatus // its status
		n         int              // its bytes
		want      error
	}{
		{name: "a read that ends within the call", op: opRead, packet: true, n: 10},
		{name: "a read that ends later", op: opRead, call: windows.ERROR_IO_PENDING, left: pending, packet: true, n: 10},
		{name: "the end of a file, within the call", op: opRead, call: windows.ERROR_HANDLE_EOF, left: pending, want: ErrHandleEOF},
		{name: "the end of a file, as a packet", op: opRead, call: windows.ERROR_IO_PENDING, left: pending, packet: true, status: windows.STATUS_END_OF_FILE, want: ErrHandleEOF},
		{name: "the end of a file, as no bytes", op: opRead, packet: true, want: ErrHandleEOF},
		{name: "a read that fails within the call", op: opRead, call: windows.ERROR_INVALID_HANDLE, want: syscall.EBADF},
		{name: "a cancel that wins", op: opRead, cancelled: true, call: windows.ERROR_IO_PENDING, left: pending, packet: true, status: windows.STATUS_CANCELLED, want: ErrOperationAborted},
		{name: "a cancel that loses", op: opRead, cancelled: true, call: windows.ERROR_IO_PENDING, left: pending, packet: true, n: 10},
		{name: "a cancel that loses to the end of the file", op: opRead, cancelled: true, call: windows.ERROR_IO_PENDING, left: pending, packet: true, status: windows.STATUS_END_OF_FILE, want: ErrHandleEOF},
		{name: "the writer of a pipe has gone, within the call", op: opReadStream, call: windows.ERROR_BROKEN_PIPE, left: pending, want: ErrHandleEOF},
		{name: "the writer of a pipe has gone, as a packet", op: opReadStream, call: windows.ERROR_IO_PENDING, left: pending, packet: true, status: windows.STATUS_PIPE_BROKEN, want: ErrHandleEOF},
		{name: "a part of a message, within the call", op: opReadStream, call: windows.ERROR_MORE_DATA, left: warning, packet: true, status: warning, n: 10},
		{name: "a part of a message, later", op: opReadStream, call: windows.ERROR_IO_PENDING, left: pending, packet: true, status: warning, n: 10},
		{name: "a send that is cancelled in the middle", op: opSend, cancelled: true, call: windows.ERROR_IO_PENDING, left: pending, packet: true, n: 10, want: ErrOperationAborted},
		{name: "a send to a peer that has gone", op: opSend, call: windows.WSAECONNRESET, want: syscall.ECONNRESET},
		{name: "a datagram that is too large, without a packet", op: opSendTo, call: windows.WSAEMSGSIZE, left: none, want: syscall.EMSGSIZE},
		{name: "a datagram that is too large, with a packet", op: opSendTo, call: windows.WSAEMSGSIZE, left: warning, packet: true, status: warning, want: syscall.EMSGSIZE},
		{name: "a datagram that nobody took", op: opSendTo, call: windows.WSAECONNRESET, want: syscall.ECONNREFUSED},
	}
	runtime.LockOSThread() // it is the worker
	defer runtime.UnlockOSThread()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := &Worker{port: &Port{options: Options{}.withDefaults()}, logger: slog.New(slog.DiscardHandler), thread: currentThread()}
			p := &iocp{worker: w}
			defer p.pinner.Unpin()
			w.backend = p
			p.files.init(1)
			d := &descriptor{worker: w, file: test.op == opRead}
			if d.file {
				p.files.open(d)
			}
			told := 0
			o := w.CreateOverlapped()
			check(t, o.SetNotificationInterface(CompletionFunc(func(_ bool, n int, err error, _ *Overlapped, _ any) {
				if told++; n != test.n || !errors.Is(err, test.want) {
					t.Errorf("%d bytes, %v; want %d, %v", n, err, test.n, test.want)
				}
			}), nil))
			check(t, d.begin(o, test.op))
			o.buf, o.cancelled = make([]byte, 100), test.cancelled
			if d.file {
				d.window.enter(o)
			} else if test.op == opReadStream {
				d.readiness.queue(o).push(o)
			}

			s := p.slot(o)
			s.overlapped.Internal = uintptr(test.left)
			p.begun(s, test.call)
			if test.packet != (o.state == opInFlight) {
				t.Fatalf("after the call it waits for a packet: %t, want %t", !test.packet, test.packet)
			}
			if test.packet {
				s.overlapped.Internal = uintptr(test.status)
				p.ended(s, test.n)
			}
			w.runReady(new(share))
			if told != 1 || d.inFlight != 0 || !d.readiness.reads.empty() || d.file && d.window.inFlight != 0 {
				t.Errorf("told %d times; %d are in flight", told, d.inFlight)
			}
		})
	}
}

// TestWritesLeaveTheWorker sees that a write to a file waits for a thread of the
// pool, while the worker goes on: within the call the system might keep it.
func TestWritesLeaveTheWorker(t *testing.T) {
	p, err := New(Options{Workers: 1, FileThreads: 1})
	check(t, err)
	defer func() { check(t, p.Shutdown(t.Context())) }()
	w := p.workers[0]
	completed, busy := make(chan *Overlapped, 1), make(chan struct{})
	start := func(f func(o *Overlapped) error) {
		t.Helper()
		check(t, w.Call(func() {
			o := w.CreateOverlapped()
			_ = o.SetNotificationInterface(CompletionFunc(func(_ bool, _ int, _ error, o *Overlapped, _ any) { completed <- o }), nil)
			err = f(o)
		}))
		check(t, err)
	}
	start(func(o *Overlapped) error {
		return w.OpenFile(o, nil, filepath.Join(t.TempDir(), "file"), os.O_CREATE|os.O_RDWR, 0o600)
	})
	h, ok := (<-completed).TakeValue().(*Handle)
	if !ok {
		t.Fatal("the file could not be opened")
	}
	start(func(o *Overlapped) error { return w.RunBlocking(o, func() (any, error) { <-busy; return nil, nil }) })
	start(func(o *Overlapped) error { return h.WriteFile(&o.ov, []byte("longer")) })
	start(func(o *Overlapped) error { return h.ReadFile(&o.ov, make([]byte, 10)) }) // needs no thread
	if o := <-completed; !errors.Is(o.err, ErrHandleEOF) {
		t.Errorf("the read ended with %v", o.err)
	}
	close(busy)
	for range 2 {
		if o := <-completed; o.err != nil {
			t.Error(o.err)
		}
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
