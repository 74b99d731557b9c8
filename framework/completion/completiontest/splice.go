package completiontest

import (
	"bytes"
	"errors"
	"io"

	"fwx/framework/completion"
)

var spliceRows = []row{
	{name: "splice/bulk data and its end", test: spliceBulk},
	{name: "splice/cancel, busy, and release in flight", test: spliceMisuse},
	{name: "splice/shutdown", test: spliceShutdown},
	{name: "splice/limit", test: spliceLimit},
	{name: "splice/urgent data", test: spliceUrgent},
}

// newPipe returns an empty pipe.
func (r *rig) newPipe() *completion.Pipe {
	r.Helper()
	r.needsSystem("a pipe to splice through")
	var p *completion.Pipe
	var err error
	r.on(func() { p, err = r.w.NewPipe() })
	r.supported(err)
	return p
}

func splicingIn(s *completion.Socket, p *completion.Pipe) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return s.SpliceIn(o, p) }
}

func splicingOut(s *completion.Socket, p *completion.Pipe) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return s.SpliceOut(o, p) }
}

// spliceBulk moves the data of one peer to another, the first part by receive
// and send.
func spliceBulk(r *rig) {
	const size = 8 << 20
	from, writer := r.peer()
	to, reader := r.peer()
	data := make([]byte, size)
	fillPattern(data, 0)
	written := make(chan error, 1)
	go func() {
		_, err := writer.Write(data)
		written <- errors.Join(err, writer.CloseWrite())
	}()
	type text struct {
		data []byte
		err  error
	}
	read := make(chan text, 1)
	go func() {
		got, err := io.ReadAll(reader)
		read <- text{got, err}
	}()

	pipe := r.newPipe()
	in, out := r.op(), r.op()
	for {
		var n int
		err := in.try(splicingIn(from, pipe))
		switch {
		case errors.Is(err, completion.ErrBusy): // a receive has brought data ahead
			res := in.begin(from.Recv).ok()
			if n = res.n; n > 0 {
				out.begin(sending(to, res.data)).ok()
			}
		case err != nil:
			r.Fatal(err)
		default:
			if n = in.ok().n; n > 0 {
				if res := out.begin(splicingOut(to, pipe)).ok(); res.n != n {
					r.Fatalf("spliced %d bytes in, %d out", n, res.n)
				}
			}
		}
		if n == 0 {
			break
		}
	}
	r.on(pipe.Release)
	r.close(to)
	r.must(receive(r, written))
	got := receive(r, read)
	r.must(got.err)
	if !bytes.Equal(got.data, data) {
		r.Errorf("%d bytes of %d came through; equal: %t", len(got.data), size, bytes.Equal(got.data, data))
	}
}

func spliceMisuse(r *rig) {
	a, b := r.pair()
	pipe := r.newPipe()
	in := r.op().begin(splicingIn(a, pipe))
	r.is(r.op().try(a.Recv), completion.ErrBusy)
	r.is(r.op().try(splicingIn(a, pipe)), completion.ErrBusy)
	r.is(r.op().try(splicingIn(b, pipe)), completion.ErrBusy)
	r.is(r.op().try(splicingOut(b, pipe)), completion.ErrInvalidArgument) // it is empty
	r.is(r.op().try(splicingIn(a, nil)), completion.ErrInvalidArgument)
	r.must(in.cancel())
	in.aborted()
	in.begin(splicingIn(a, pipe))
	r.op().begin(sending(b, []byte("hello"))).ok()
	if res := in.ok(); res.n != 5 || pipe.Held() != 5 {
		r.Errorf("spliced %d bytes in, the pipe holds %d", res.n, pipe.Held())
	}
	r.is(r.op().try(splicingIn(a, pipe)), completion.ErrInvalidArgument) // it is not empty
	r.op().begin(splicingOut(a, pipe)).ok()
	if res := r.op().begin(b.Recv).ok(); string(res.data) != "hello" {
		r.Errorf("received %q", res.data)
	}
	in.begin(splicingIn(a, pipe))
	r.on(pipe.Release)
	other := r.newPipe()
	if other == pipe {
		r.Error("a pipe with an operation in flight was given to somebody else")
	}
	r.close(a)
	in.aborted()
	r.on(func() {
		defer func() {
			if recover() == nil {
				r.Error("a second Release did not panic")
			}
		}()
		pipe.Release()
	})
}

// spliceShutdown leaves a pipe that is in use to the port.
func spliceShutdown(r *rig) {
	a, _ := r.pair()
	r.newPipe()
	in := r.op().begin(splicingIn(a, r.newPipe()))
	r.shutdown()
	in.aborted()
}

func spliceLimit(r *rig) {
	r.needsSystem("a pipe to splice through")
	r.on(r.newPipe().Release)
	var pipes []*completion.Pipe
	r.on(func() {
		for {
			p, err := r.w.NewPipe()
			if err != nil {
				if !errors.Is(err, completion.ErrTooManyOperations) {
					r.Error(err)
				}
				break
			}
			pipes = append(pipes, p)
		}
		for _, p := range pipes {
			p.Release()
		}
		p, err := r.w.NewPipe()
		if err != nil {
			r.Error(err)
			return
		}
		p.Release()
	})
}

// spliceUrgent has urgent data in what is moved, where the sender goes on and
// where it has ended.
func spliceUrgent(r *rig) {
	for _, ends := range []bool{false, true} {
		from, c := r.peer()
		_, err := c.Write([]byte("first"))
		r.must(err)
		r.must(sendUrgent(c, []byte("beforeU")))
		_, err = c.Write([]byte("behind"))
		r.must(err)
		if ends {
			r.must(c.CloseWrite())
		}
		want := "firstbefore" + urgentByte + "behind"
		if got := r.spliceThrough(from, len(want)); got != want {
			r.Errorf("moved %q, want %q; ends: %t", got, want, ends)
		}
	}
}

// spliceThrough moves what is sent to a socket and returns it, once it is as much
// as size, or all.
func (r *rig) spliceThrough(from *completion.Socket, size int) string {
	r.Helper()
	pipe := r.newPipe()
	defer func() { r.on(pipe.Release) }()
	a, b := r.pair()
	in, out, recv := r.op(), r.op(), r.op()
	var got []byte
	for len(got) < size {
		n := in.begin(splicingIn(from, pipe)).ok().n
		if n == 0 {
			break
		}
		out.begin(splicingOut(a, pipe)).ok()
		for n > 0 {
			res := recv.begin(b.Recv).ok()
			got = append(got, res.data...)
			n -= res.n
		}
	}
	return string(got)
}
