package completiontest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"fwx/framework/completion"
)

var bufferRows = []row{
	{name: "buffers/exhausted", test: buffersExhausted, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/those who keep theirs leave half to the others", test: buffersKept, options: completion.Options{MaxBuffers: 8}},
	{name: "buffers/a shortage is told, and ends", test: buffersShort, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/a receive that waits for one ends without", test: waitEndsWithout, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/none for a socket that nobody receives from", test: heldByNobody, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/cancel while waiting for one", test: cancelStarved, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/more receives than the system was lent", test: manyReceives},
	{name: "buffers/data in order, with two of them", test: pumps, options: completion.Options{MaxBuffers: 2}},
	{name: "buffers/data in order, with a few", test: pumps, options: completion.Options{MaxBuffers: 12, BufferSize: 2 << 10}},
	{name: "buffers/data in order, with enough", test: pumps},
	{name: "buffers/released twice", test: releasedTwice},
	{name: "buffers/of a notification that panics", test: bufferOfPanic, options: completion.Options{MaxBuffers: 1}},
	{name: "operations/limit", test: maxOperations, options: completion.Options{MaxOperations: 4}},
}

// holder is a receive whose notification keeps the buffer.
type holder struct {
	*op
	buffer *completion.Buffer
	got    chan struct{}
}

func (r *rig) holder() *holder {
	r.Helper()
	h := &holder{op: r.op(), got: make(chan struct{}, 1)}
	h.keep = true
	h.then = func(res result) {
		if res.err != nil {
			r.Error(res.err)
		}
		h.buffer = h.o.TakeBuffer()
		h.got <- struct{}{}
	}
	return h
}

// held has a receive that keeps the buffer of one byte of data, and returns the socket that
// the data came from and that which it went to.
func (r *rig) held() (h *holder, from, to *completion.Socket) {
	r.Helper()
	from, to = r.pair()
	h = r.holder()
	h.begin(to.Recv)
	r.op().begin(sending(from, []byte("x"))).ok()
	receive(r, h.got)
	return h, from, to
}

// buffersExhausted has ten sockets with data and one buffer.
func buffersExhausted(r *rig) {
	const sockets = 10
	got := make(chan *holder, sockets)
	for range sockets {
		a, b := r.pair()
		h := r.holder()
		h.then = func(res result) {
			if res.err != nil {
				r.Error(res.err)
			}
			h.buffer = h.o.TakeBuffer()
			got <- h
		}
		h.begin(b.Recv)
		r.op().begin(sending(a, []byte{byte(len(r.ops))})).ok()
	}
	for range sockets {
		h := receive(r, got)
		r.on(func() {
			if len(got) > 0 {
				r.Errorf("%d receives have a buffer, and there is one", len(got)+1)
			}
			h.buffer.Release()
		})
	}
	// All is as before.
	a, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	recv.ok()
}

// buffersKept has more receives keep what they got than there are buffers, and others go
// on all the same.
func buffersKept(r *rig) {
	const sockets, sent = 16, 40_000
	kept := make([]*holder, 0, sockets)
	for i := range sockets {
		a, b := r.pair()
		h := r.holder()
		h.begin(b.Recv)
		r.op().begin(sending(a, bytes.Repeat([]byte{byte(i)}, sent))).ok()
		receive(r, h.got)
		kept = append(kept, h)
	}
	c, d := r.pair()
	for range 20 {
		r.op().begin(sending(c, []byte("x"))).ok()
		r.op().begin(d.Recv).ok()
	}
	var use completion.BufferUse
	r.on(func() { use = r.w.BufferUse() })
	if use.Limit != 8 || use.Kept < 4 || use.Kept > 8 || use.Copied == 0 || use.Copied > 4*64<<10 || use.Shortage != 0 {
		r.Errorf("in use: %+v", use)
	}
	for i, h := range kept {
		data := h.buffer.Bytes()
		if n := len(data); n == 0 || i > 8 && n > 16<<10 || bytes.ContainsFunc(data, func(b rune) bool { return b != rune(i) }) {
			r.Errorf("receive %d has brought %d bytes, of which not all are right", i, n)
		}
		r.on(h.buffer.Release)
	}
	r.on(func() { use = r.w.BufferUse() })
	if use.Copied > 64<<10 { // what has come meanwhile, and nobody has asked for
		r.Errorf("in use in the end: %+v", use)
	}
}

// buffersShort keeps the only buffer from a receive for long.
func buffersShort(r *rig) {
	told := make(chan struct{}, 1)
	r.on(func() {
		r.w.OnShortage(func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	})
	h, _, _ := r.held()
	a, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.op().begin(sending(a, []byte("y"))).ok()
	receive(r, told)
	r.on(func() {
		if use := r.w.BufferUse(); use.Shortage < completion.ShortageTime || use.Kept != 1 {
			r.Errorf("in use: %+v", use)
		}
		h.buffer.Release()
	})
	recv.ok()
	r.on(func() {
		if use := r.w.BufferUse(); use.Shortage != 0 {
			r.Errorf("in the end: %+v", use)
		}
	})
}

// waitEndsWithout has receives wait for the only buffer, and the first of them
// end without using it.
func waitEndsWithout(r *rig) {
	h, _, _ := r.held()
	first, firstPeer := r.peer()
	recvFirst := r.op().begin(first.Recv)
	r.must(firstPeer.CloseWrite())
	secondA, second := r.pair()
	recvSecond := r.op().begin(second.Recv)
	r.op().begin(sending(secondA, []byte("y"))).ok()
	r.on(func() {}) // a turn, in which both find no buffer
	r.on(func() { h.buffer.Release() })
	if res := recvFirst.ok(); res.n != 0 {
		r.Errorf("received %d bytes at the end of the stream", res.n)
	}
	if res := recvSecond.ok(); string(res.data) != "y" {
		r.Errorf("received %q", res.data)
	}
}

func cancelStarved(r *rig) {
	h, holdA, holdB := r.held()
	a, b := r.pair()
	for _, end := range []func(*op) error{(*op).cancel, func(*op) error { r.close(b); return nil }} {
		recv := r.op().begin(b.Recv)
		r.op().begin(sending(a, []byte("x"))).ok()
		r.on(func() {})
		r.must(end(recv))
		recv.aborted()
	}
	r.on(func() { h.buffer.Release() })
	r.op().begin(sending(holdA, []byte("z"))).ok()
	if res := r.op().begin(holdB.Recv).ok(); string(res.data) != "z" {
		r.Errorf("received %q", res.data)
	}
}

// manyReceives has 300 receives end in one turn.
func manyReceives(r *rig) {
	const n = 300
	senders := make([]*completion.Socket, n)
	recvs, sends := r.someOps(n), r.someOps(n)
	for i, p := range recvs {
		a, b := r.pair()
		senders[i] = a
		p.begin(b.Recv)
	}
	r.on(func() {
		for i, p := range sends {
			if err := p.start(sending(senders[i], []byte{byte(i)})); err != nil {
				r.Error(err)
			}
		}
	})
	for i, p := range recvs {
		if res := p.ok(); len(res.data) != 1 || res.data[0] != byte(i) {
			r.Errorf("receive %d: %v", i, res.data)
		}
	}
	for _, p := range sends {
		p.ok()
	}
}

func releasedTwice(r *rig) {
	h, _, _ := r.held()
	r.on(func() {
		h.buffer.Release()
		defer func() {
			if recover() == nil {
				r.Error("a second Release did not panic")
			}
		}()
		h.buffer.Release()
	})
}

func bufferOfPanic(r *rig) {
	a, b := r.pair()
	p := r.op()
	p.keep = true
	p.then = func(result) { panic("before TakeBuffer") }
	p.begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	r.eventually("the panic is counted", func() bool { return r.port.Panics() == 1 })
	r.op().begin(sending(a, []byte("y"))).ok()
	r.op().begin(b.Recv).ok()
}

func maxOperations(r *rig) {
	read, write := r.pipe()
	pending := r.someOps(4)
	for _, p := range pending {
		p.begin(reading(read, 0, make([]byte, 1)))
	}
	p := r.op()
	r.is(p.try(reading(read, 0, make([]byte, 1))), completion.ErrTooManyOperations)
	r.is(p.try(func(o *completion.Overlapped) error {
		return r.w.RunBlocking(o, func() (any, error) { return nil, nil })
	}), completion.ErrTooManyOperations)
	r.must(pending[3].cancel())
	pending[3].aborted()
	p.begin(writing(write, 0, []byte("abc"))).ok()
	for _, p := range pending[:3] {
		p.ok()
	}
}

// heldByNobody has data arrive on a socket that nobody receives from: it must
// not keep the only buffer from those who do.
func heldByNobody(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.op().begin(sending(a, []byte("one"))).ok()
	recv.ok()
	r.op().begin(sending(a, []byte("two"))).ok()
	r.on(func() {}) // a turn, in which it could be taken in
	c, d := r.pair()
	for range 3 {
		r.op().begin(sending(c, []byte("x"))).ok()
		r.op().begin(d.Recv).ok()
	}
	if res := r.op().begin(b.Recv).ok(); string(res.data) != "two" {
		r.Errorf("received %q", res.data)
	}
}

// pump sends a pattern through a pair of sockets. The receiving side dawdles,
// with or without its buffer, so that data arrives while nobody receives.
type pump struct {
	r          *rig
	in, out    *completion.Socket
	recv, send *op
	random     *rand.Rand
	sent, got  int
	done       chan error
}

const pumpSize = 300_000

func (p *pump) sendNext() {
	piece := make([]byte, min(1+p.random.IntN(20_000), pumpSize-p.sent))
	if len(piece) == 0 {
		return
	}
	fillPattern(piece, p.sent)
	p.sent += len(piece)
	if err := p.send.start(sending(p.out, piece)); err != nil {
		p.done <- err
	}
}

func (p *pump) recvNext() {
	if err := p.recv.start(p.in.Recv); err != nil {
		p.done <- err
	}
}

func (p *pump) received(res result) {
	if res.err != nil {
		p.done <- res.err
		return
	}
	b := p.recv.o.TakeBuffer()
	if i := wrongByte(b.Bytes(), p.got); i >= 0 {
		p.done <- fmt.Errorf("byte %d is %#x", p.got+i, b.Bytes()[i])
		return
	}
	p.got += len(b.Bytes())
	next := p.recvNext
	if p.got == pumpSize {
		next = func() { p.done <- nil }
	}
	pause := time.Duration(p.random.IntN(100)) * time.Microsecond
	switch p.random.IntN(4) {
	case 0: // keeps the buffer for a while
		p.r.w.AfterFunc(pause, func() {
			b.Release()
			next()
		})
	case 1: // leaves the socket for a while
		b.Release()
		p.r.w.AfterFunc(pause, next)
	default:
		b.Release()
		next()
	}
}

func pumps(r *rig) {
	const n = 12
	done := make(chan error, n*4)
	for i := range n {
		a, b := r.pair()
		p := &pump{r: r, in: b, out: a, recv: r.op(), send: r.op(), done: done}
		p.random = rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // the same every time
		p.recv.keep, p.recv.then = true, p.received
		p.send.then = func(res result) {
			if res.err != nil {
				p.done <- res.err
			}
			p.sendNext()
		}
		r.on(func() {
			p.recvNext()
			p.sendNext()
		})
	}
	for range n {
		r.must(receive(r, done))
	}
}
