package completiontest

import (
	"errors"

	"fwx/framework/completion"
)

var bufferRows = []row{
	{name: "buffers/exhausted", test: buffersExhausted, options: completion.Options{MaxBuffers: 2}},
	{name: "buffers/a receive that waits for one ends without", test: waitEndsWithout, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/cancel while waiting for one", test: cancelStarved, options: completion.Options{MaxBuffers: 1}},
	{name: "buffers/more receives than the system was lent", test: manyReceives},
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

// buffersExhausted has ten sockets with data and two buffers.
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
			if len(got) > 1 {
				r.Errorf("%d receives have a buffer of the two", len(got)+1)
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

// waitEndsWithout has receives wait for the only buffer, and the first of them
// end without using it.
func waitEndsWithout(r *rig) {
	holdA, holdB := r.pair()
	h := r.holder()
	h.begin(holdB.Recv)
	r.op().begin(sending(holdA, []byte("x"))).ok()
	receive(r, h.got)

	first, firstPeer := r.peer()
	recvFirst := r.op().begin(first.Recv)
	_, err := firstPeer.Write([]byte("x"))
	r.must(err)
	secondA, second := r.pair()
	recvSecond := r.op().begin(second.Recv)
	r.op().begin(sending(secondA, []byte("y"))).ok()
	r.on(func() {}) // a turn, in which both find no buffer
	r.must(firstPeer.SetLinger(0))
	r.must(firstPeer.Close())
	r.on(func() { h.buffer.Release() })
	if res := recvFirst.wait(); res.err != nil && !errors.Is(res.err, errConnectionReset) {
		r.Errorf("the first ended with %v", res.err)
	}
	if res := recvSecond.ok(); string(res.data) != "y" {
		r.Errorf("received %q", res.data)
	}
}

func cancelStarved(r *rig) {
	holdA, holdB := r.pair()
	h := r.holder()
	h.begin(holdB.Recv)
	r.op().begin(sending(holdA, []byte("x"))).ok()
	receive(r, h.got)
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
	var senders []*completion.Socket
	var recvs, sends []*op
	for range n {
		a, b := r.pair()
		senders = append(senders, a)
		recvs, sends = append(recvs, r.op().begin(b.Recv)), append(sends, r.op())
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
	a, b := r.pair()
	h := r.holder()
	h.begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	receive(r, h.got)
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
	var pending []*op
	read, write := r.pipe()
	for range 4 {
		pending = append(pending, r.op().begin(reading(read, 0, make([]byte, 1))))
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
