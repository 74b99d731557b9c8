package completiontest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/seam"
)

// faultRows say what goes wrong, one thing each, and what the outcome must be.
var faultRows = []row{
	{name: "faults/ENOSPC in the middle of a write", test: noSpace},
	{name: "faults/EIO", test: ioErrors},
	{name: "faults/short read", test: shortRead},
	{name: "faults/a write goes on until all is written", test: writesOn},
	{name: "faults/ECONNRESET at byte 1000 of a send", test: resetAtByte},
	{name: "faults/appending meets ENOSPC", test: appendNoSpace},
	{name: "faults/a cancel that loses the race", test: lateCancel},
	{name: "faults/a cancel before the system knows of the operation", test: earlyCancel},
	{name: "faults/completions out of order", test: outOfOrder},
	{name: "faults/a cancelled receive is completed late, at shutdown", test: lateAtShutdown},
}

// script is faults that a row has thought of, for its one worker.
type script struct {
	start          func(seam.Op) seam.Fate
	finish, cancel func() time.Duration
}

func (s *script) Start(op seam.Op) seam.Fate {
	if s.start == nil {
		return seam.Fate{}
	}
	return s.start(op)
}

func (s *script) Finish() time.Duration {
	if s.finish == nil {
		return 0
	}
	return s.finish()
}

func (s *script) Cancel() time.Duration {
	if s.cancel == nil {
		return 0
	}
	return s.cancel()
}

func (s *script) Refuse() bool          { return false }
func (s *script) Starve() time.Duration { return 0 }

// scripted gives the row a port on which s goes wrong.
func (r *rig) scripted(s *script) *rig {
	r.Helper()
	if r.kit == nil {
		r.Skip("the port cannot be given faults")
	}
	r.shutdown()
	k := &kit{setup: r.kit.setup, system: r.kit.system, script: s}
	next := newRig(r.TB, k.open, completion.Options{AppendQueue: 4 << 10})
	next.kit = k
	return next
}

// only gives every operation of a kind one fate.
func only(kind seam.Kind, fate seam.Fate) *script {
	return &script{start: func(op seam.Op) seam.Fate {
		if op.Kind == kind {
			return fate
		}
		return seam.Fate{}
	}}
}

func noSpace(r *rig) {
	r = r.scripted(only(seam.Write, seam.Fate{Limit: 3, Err: syscall.ENOSPC}))
	name := r.content([]byte("0123456789"))
	h := r.file(name, os.O_RDWR)
	res := r.op().begin(writing(h, 0, []byte("abcdef"))).wait()
	if r.is(res.err, syscall.ENOSPC); res.n != 3 {
		r.Errorf("%d bytes were written before the error, want 3", res.n)
	}
	buf := make([]byte, 10)
	if r.op().begin(reading(h, 0, buf)).ok(); string(buf) != "abc3456789" {
		r.Errorf("the file has %q", buf)
	}
}

func ioErrors(r *rig) {
	r = r.scripted(&script{start: func(op seam.Op) seam.Fate {
		if op.Kind == seam.Read || op.Kind == seam.Sync {
			return seam.Fate{Err: syscall.EIO}
		}
		return seam.Fate{}
	}})
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	for _, begin := range []func(*completion.Overlapped) error{reading(h, 0, make([]byte, 1)), h.Sync} {
		res := r.op().begin(begin).wait()
		if r.is(res.err, syscall.EIO); res.n != 0 {
			r.Errorf("%d bytes", res.n)
		}
	}
}

func shortRead(r *rig) {
	r = r.scripted(only(seam.Read, seam.Fate{Limit: 2}))
	h := r.file(r.content([]byte("12345")), os.O_RDONLY)
	p := r.op()
	if res := p.begin(reading(h, 1, make([]byte, 4))).ok(); res.n != 2 {
		r.Errorf("read %d bytes", res.n)
	}
	r.on(func() {
		if string(p.o.Data()) != "23" {
			r.Errorf("Data is %q", p.o.Data())
		}
	})
}

// writesOn has the system take a few bytes at a time.
func writesOn(r *rig) {
	r = r.scripted(&script{start: func(seam.Op) seam.Fate { return seam.Fate{Piece: 7} }})
	data := make([]byte, 2000)
	fillPattern(data, 0)
	h := r.file(r.content(nil), os.O_RDWR)
	if res := r.op().begin(writing(h, 10, data)).ok(); res.n != len(data) {
		r.Errorf("wrote %d bytes", res.n)
	}
	got := make([]byte, len(data))
	r.op().begin(reading(h, 10, got)).ok()
	if string(got) != string(data) {
		r.Error("the file has something else")
	}
	a, b := r.pair()
	send := r.op().begin(sending(a, data))
	var received []byte
	for len(received) < len(data) {
		received = append(received, r.op().begin(b.Recv).ok().data...)
	}
	if res := send.ok(); res.n != len(data) || string(received) != string(data) {
		r.Errorf("sent %d bytes; equal: %t", res.n, string(received) == string(data))
	}
}

func resetAtByte(r *rig) {
	r = r.scripted(only(seam.Send, seam.Fate{Limit: 1000, Err: syscall.ECONNRESET}))
	a, b := r.pair()
	res := r.op().begin(sending(a, make([]byte, 5000))).wait()
	if r.is(res.err, syscall.ECONNRESET); res.n != 1000 {
		r.Errorf("%d bytes were sent before the reset", res.n)
	}
	r.is(r.op().begin(sending(a, []byte("x"))).wait().err, syscall.ECONNRESET)
	r.is(r.op().begin(a.Recv).wait().err, syscall.ECONNRESET)
	got := 0
	for got < 1000 {
		got += r.op().begin(b.Recv).ok().n
	}
	r.close(a)
	r.is(r.op().begin(b.Recv).wait().err, syscall.ECONNRESET)
	if got != 1000 {
		r.Errorf("the peer got %d bytes", got)
	}
}

// appendNoSpace has the first write fail half-way: nothing may be lost or
// written twice.
func appendNoSpace(r *rig) {
	failures := 1
	r = r.scripted(&script{start: func(op seam.Op) seam.Fate {
		if op.Kind != seam.Write || failures == 0 {
			return seam.Fate{}
		}
		failures--
		return seam.Fate{Limit: 5, Err: syscall.ENOSPC}
	}})
	name := filepath.Join(r.TempDir(), "log")
	a := r.appender(r.w, name)
	const records = 50
	r.appendRecords(r.op(), a, 0, records)
	r.eventually("the file has all records", func() bool {
		text, err := r.read(name)
		r.must(err)
		return strings.Count(string(text), "\n") == records
	})
	text, err := r.read(name)
	r.must(err)
	next := 0
	for line := range strings.Lines(string(text)) {
		if _, n := parseRecord(line); n != next {
			r.Fatalf("record %q is broken or out of order", line)
		}
		next++
	}
	r.op().begin(a.Close).ok()
}

// lateCancel has a cancel under way for so long that the data comes first; how
// long that is depends on the machine.
func lateCancel(r *rig) {
	delay := 20 * time.Millisecond
	r = r.scripted(&script{cancel: func() time.Duration { return delay }})
	a, b := r.pair()
	recv, send := r.op(), r.op()
	for {
		recv.begin(b.Recv)
		r.must(recv.cancel())
		send.begin(sending(a, []byte("won"))).ok()
		res := recv.wait()
		if errors.Is(res.err, completion.ErrOperationAborted) && delay < patience {
			r.on(func() { delay *= 2 })
			r.receiveText(recv.begin(b.Recv), "won")
			continue
		}
		r.must(res.err)
		if string(res.data) != "won" {
			r.Errorf("received %q", res.data)
		}
		break
	}
	// What is left of the cancel must not meet the next receive.
	recv.begin(b.Recv)
	time.Sleep(2 * delay)
	send.begin(sending(a, []byte("next"))).ok()
	r.receiveText(recv, "next")
}

func (r *rig) receiveText(recv *op, want string) {
	r.Helper()
	if res := recv.ok(); string(res.data) != want {
		r.Errorf("received %q, want %q", res.data, want)
	}
}

func earlyCancel(r *rig) {
	r = r.scripted(&script{start: func(op seam.Op) seam.Fate {
		if op.Kind == seam.Recv || op.Kind == seam.Read {
			return seam.Fate{Delay: time.Hour}
		}
		return seam.Fate{}
	}})
	_, b := r.pair()
	h := r.file(r.content([]byte("x")), os.O_RDONLY)
	for _, begin := range []func(*completion.Overlapped) error{b.Recv, reading(h, 0, make([]byte, 1))} {
		p := r.op().begin(begin)
		r.must(p.cancel())
		p.aborted()
	}
	r.op().begin(b.Recv)
	r.op().begin(reading(h, 0, make([]byte, 1)))
}

// outOfOrder has the first of two completions held back until it is overtaken; how
// long that takes depends on the machine.
func outOfOrder(r *rig) {
	holds, delay := false, 20*time.Millisecond
	r = r.scripted(&script{finish: func() time.Duration {
		if holds {
			holds = false
			return delay
		}
		return 0
	}})
	h := r.file(r.content([]byte("ab")), os.O_RDONLY)
	order := make(chan int, 2)
	first, second := r.op(), r.op()
	first.then = func(res result) { order <- 1 + res.n }
	second.then = func(res result) { order <- 10 + res.n }
	for {
		r.on(func() { holds = true })
		first.begin(reading(h, 0, make([]byte, 1)))
		r.eventually("the first has ended", func() (ended bool) {
			r.on(func() { ended = !holds })
			return ended
		})
		second.begin(reading(h, 1, make([]byte, 1)))
		got := [2]int{receive(r, order), receive(r, order)}
		if got == [2]int{11, 2} {
			return
		}
		if delay > patience || got != [2]int{2, 11} {
			r.Fatalf("completions %v", got)
		}
		r.on(func() { delay *= 2 })
	}
}

// lateAtShutdown ends a port whose cancels are under way for a while.
func lateAtShutdown(r *rig) {
	r = r.scripted(&script{
		cancel: func() time.Duration { return 5 * time.Millisecond },
		finish: func() time.Duration { return time.Millisecond },
	})
	_, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.shutdown()
	if res := recv.wait(); !errors.Is(res.err, completion.ErrOperationAborted) {
		r.Errorf("at shutdown a receive ended with %v", res.err)
	}
}
