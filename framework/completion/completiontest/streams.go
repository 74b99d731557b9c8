package completiontest

import (
	"bytes"
	"errors"
	"io"
	"os"

	"fwx/framework/completion"
)

var streamRows = []row{
	{name: "streams/pipe", test: pipes},
	{name: "streams/FIFO without a writer", test: fifoWithoutWriter},
	{name: "streams/write without room", test: noRoom},
	{name: "streams/transfers do not mix", test: transfersInOrder},
	{name: "streams/64 pending reads disturb nobody", test: pendingReads},
	{name: "streams/close in flight", test: closeStreams},
	{name: "streams/cancel in a queue", test: cancelQueued},
	{name: "streams/a device that is always ready", test: device},
	{name: "streams/a description that others share", test: sharedDescription},
}

func pipes(r *rig) {
	read, write := r.pipe()
	buf := make([]byte, 64)
	p := r.op().begin(reading(read, 0, buf))
	r.op().begin(writing(write, 7, []byte("hello"))).ok() // the offset is ignored
	if res := p.ok(); string(buf[:res.n]) != "hello" {
		r.Errorf("read %q", buf[:res.n])
	}
	r.on(func() {
		if got := p.o.Data(); string(got) != "hello" {
			r.Errorf("Data is %q", got)
		}
	})
	p.begin(reading(read, 0, buf))
	r.close(write)
	r.is(p.wait().err, completion.ErrHandleEOF)
	r.is(p.begin(reading(read, 0, buf)).wait().err, completion.ErrHandleEOF)
	r.close(read)

	read, write = r.pipe()
	r.close(read)
	r.is(r.op().begin(writing(write, 0, []byte("x"))).wait().err, errBrokenPipe)
}

func fifoWithoutWriter(r *rig) {
	name := r.fifo()
	h := r.file(name, os.O_RDONLY)
	buf := make([]byte, 16)
	read := r.op().begin(reading(h, 0, buf))
	r.op().begin(reading(r.file(r.content([]byte("x")), os.O_RDONLY), 0, make([]byte, 1))).ok()
	r.on(func() {
		if !read.o.InFlight() {
			r.Error("the read has not waited for a writer")
		}
	})
	for _, text := range []string{"first", "second"} { // a writer comes, goes, and another comes
		w, err := os.OpenFile(name, os.O_WRONLY, 0) //nolint:gosec // the test's own file
		r.must(err)
		_, err = io.WriteString(w, text)
		r.must(err)
		res := read.wait()
		for errors.Is(res.err, completion.ErrHandleEOF) { // of the writer before
			res = read.begin(reading(h, 0, buf)).wait()
		}
		if res.err != nil || string(buf[:res.n]) != text {
			r.Errorf("read %q, %v", buf[:res.n], res.err)
		}
		r.must(w.Close())
		r.is(read.begin(reading(h, 0, buf)).wait().err, completion.ErrHandleEOF)
		read.begin(reading(h, 0, buf))
	}
	r.is(read.wait().err, completion.ErrHandleEOF)
}

// noRoom writes more than a pipe holds.
func noRoom(r *rig) {
	read, write := r.pipe()
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	p := r.op().begin(writing(write, 0, data))
	var got []byte
	buf := make([]byte, 50_000)
	for len(got) < len(data) {
		res := r.op().begin(reading(read, 0, buf)).ok()
		got = append(got, buf[:res.n]...)
	}
	if res := p.ok(); res.n != len(data) || !bytes.Equal(got, data) {
		r.Errorf("wrote %d bytes; equal: %t", res.n, bytes.Equal(got, data))
	}
	p.begin(writing(write, 0, data))
	r.must(p.cancel())
	res := p.wait()
	r.is(res.err, completion.ErrOperationAborted)
	r.close(write)
	left := 0
	for {
		got := r.op().begin(reading(read, 0, buf)).wait()
		if got.err != nil {
			break
		}
		left += got.n
	}
	if left != res.n {
		r.Errorf("%d bytes came through, the completion says %d", left, res.n)
	}
}

// transfersInOrder has several large writes in flight on one pipe.
func transfersInOrder(r *rig) {
	const writes, size = 4, 300_000
	read, write := r.pipe()
	ops := r.someOps(writes)
	r.on(func() {
		for i, p := range ops {
			if err := p.start(writing(write, 0, bytes.Repeat([]byte{byte(i)}, size))); err != nil {
				r.Error(err)
			}
		}
	})
	buf, got := make([]byte, 10_000), 0
	for got < writes*size {
		res := r.op().begin(reading(read, 0, buf)).ok()
		for _, c := range buf[:res.n] {
			if int(c) != got/size {
				r.Fatalf("byte %d is of write %d", got, c)
			}
			got++
		}
	}
	for _, p := range ops {
		p.ok()
	}
}

// pendingReads leaves reads of streams waiting while files and sockets go on.
func pendingReads(r *rig) {
	pending := r.someOps(64)
	for _, p := range pending {
		h := r.silent()
		p.begin(reading(h, 0, make([]byte, 1)))
	}
	a, b := r.pair()
	h := r.file(r.content([]byte("x")), os.O_RDWR)
	for range 20 {
		r.op().begin(reading(h, 0, make([]byte, 1))).ok()
		r.op().begin(writing(h, 0, []byte("y"))).ok()
		recv := r.op().begin(b.Recv)
		r.op().begin(sending(a, []byte("x"))).ok()
		recv.ok()
		r.op().begin(func(o *completion.Overlapped) error {
			return r.w.RunBlocking(o, func() (any, error) { return nil, nil })
		}).ok()
	}
	for _, p := range pending {
		r.must(p.cancel())
		p.aborted()
	}
}

func closeStreams(r *rig) {
	read, write := r.pipe()
	reads := []*op{r.op(), r.op(), r.op()}
	for _, p := range reads {
		p.begin(reading(read, 0, make([]byte, 1)))
	}
	writes := []*op{r.op(), r.op()}
	for _, p := range writes {
		p.begin(writing(write, 0, make([]byte, 1<<20)))
	}
	// The pipe fills up, and then the reads take what they can.
	for _, p := range reads {
		p.ok()
	}
	r.close(write)
	for _, p := range writes {
		p.aborted()
	}
	silent := r.silent()
	p := r.op().begin(reading(silent, 0, make([]byte, 1)))
	r.close(silent)
	p.aborted()
	socket, peer := r.socketPair()
	p = r.op().begin(reading(socket, 0, make([]byte, 1)))
	r.close(socket)
	p.aborted()
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		r.Errorf("the peer of a closed socket reads %v", err)
	}
	r.must(peer.Close())
}

// cancelQueued cancels operations of which the first only is the backend's.
func cancelQueued(r *rig) {
	read, write := r.pipe()
	reads := r.someOps(5)
	for _, p := range reads {
		p.begin(reading(read, 0, make([]byte, 1)))
	}
	for _, i := range []int{2, 0, 4} {
		r.must(reads[i].cancel())
		reads[i].aborted()
	}
	r.op().begin(writing(write, 0, []byte("ab"))).ok()
	reads[1].ok()
	reads[3].ok()
}

func device(r *rig) {
	r.needsSystem("a device")
	h := r.file(os.DevNull, os.O_RDWR)
	r.op().begin(writing(h, 0, []byte("x"))).ok()
	r.is(r.op().begin(reading(h, 0, make([]byte, 1))).wait().err, completion.ErrHandleEOF)
}

// sharedDescription closes a handle whose open file description lives on: its
// events must not reach whoever gets its place.
func sharedDescription(r *rig) {
	fd, description, peer := r.sharedSocket()
	defer func() { r.must(errors.Join(description.Close(), peer.Close())) }()
	socket := r.hook(fd)
	p := r.op().begin(reading(socket, 0, make([]byte, 1)))
	_, err := peer.WriteString("x")
	r.must(err)
	p.ok()
	r.close(socket)
	read, _ := r.pipe()
	p = r.op().begin(reading(read, 0, make([]byte, 1)))
	_, err = peer.WriteString("y")
	r.must(err)
	r.on(func() {
		if !p.o.InFlight() {
			r.Error("an event of another descriptor ended the read")
		}
	})
}
