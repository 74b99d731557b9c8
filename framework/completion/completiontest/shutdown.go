package completiontest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"fwx/framework/completion"
)

var shutdownRows = []row{
	{name: "shutdown/1000 armed receives", test: shutdownReceives},
	{name: "shutdown/everything in flight", test: shutdownEverything},
	{name: "shutdown/twice", test: shutdownTwice},
	{name: "shutdown/a task that hangs", test: shutdownHangs},
	{name: "shutdown/buffers held", test: shutdownBuffers},
	{name: "shutdown/what is queued for a file is written", test: shutdownFlushes, options: completion.Options{Workers: 2}},
	{name: "shutdown/posts race", test: shutdownPosts, options: completion.Options{Workers: 2}},
}

func shutdownReceives(r *rig) {
	recvs := r.someOps(1000)
	for i := 0; i < len(recvs); i += 2 {
		a, b := r.pair()
		recvs[i].begin(a.Recv)
		recvs[i+1].begin(b.Recv)
	}
	r.shutdown()
	for _, p := range recvs {
		p.aborted()
	}
}

func shutdownEverything(r *rig) {
	a, b := r.pair()
	l := r.listen(loopback)
	read, write := r.pipe()
	h := r.file(r.content(nil), os.O_RDWR)
	silent := r.silent()
	begun := make(chan struct{})
	release := make(chan struct{})
	starts := []func(*completion.Overlapped) error{
		a.Recv, sending(a, make([]byte, 32<<20)), b.Recv, l.Accept, h.Sync,
		reading(read, 0, make([]byte, 1)), reading(silent, 0, make([]byte, 1)),
		writing(h, 0, make([]byte, 8<<20)), reading(h, 0, make([]byte, 8<<20)),
		func(o *completion.Overlapped) error { return r.w.OpenFile(o, nil, os.DevNull, os.O_RDWR, 0) },
		r.blocking(func() (any, error) {
			close(begun)
			<-release
			return nil, nil
		}),
	}
	ops := r.someOps(len(starts))
	r.on(func() {
		for i, begin := range starts {
			if err := ops[i].start(begin); err != nil {
				r.Error(err)
			}
		}
	})
	_ = write // it stays open, so that the read waits
	receive(r, begun)
	time.AfterFunc(time.Millisecond, func() { close(release) })
	r.shutdown()
	for _, p := range ops {
		p.wait()
	}
}

func shutdownTwice(r *rig) {
	a, _ := r.pair()
	r.op().begin(a.Recv)
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			if err := r.port.Shutdown(context.Background()); err != nil {
				r.Error(err)
			}
		})
	}
	callers.Wait()
	r.shutdown()
	// What is over is no leak, however late one asks.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.must(r.port.Shutdown(ctx))
}

func shutdownHangs(r *rig) {
	begun, release := make(chan struct{}), make(chan struct{})
	task := r.op().begin(r.blocking(func() (any, error) {
		close(begun)
		<-release
		return nil, nil
	}))
	receive(r, begun)
	errLate := errors.New("late")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Millisecond, errLate)
	defer cancel()
	err := r.port.Shutdown(ctx)
	r.is(err, completion.ErrLeaked)
	r.is(err, errLate)
	close(release)
	r.shutdown()
	task.wait()
}

// shutdownBuffers ends a port whose buffers are in use: their memory stays.
func shutdownBuffers(r *rig) {
	a, b := r.pair()
	h := r.holder()
	h.begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	receive(r, h.got)
	r.shutdown()
	if string(h.buffer.Bytes()) != "x" {
		r.Errorf("the buffer has %q", h.buffer.Bytes())
	}
}

func shutdownFlushes(r *rig) {
	name := filepath.Join(r.TempDir(), "log")
	other := r.port.Workers()[1]
	a := r.appender(r.w, name)
	r.appender(other, name)
	p := r.opOn(other)
	const records = 50
	r.onWorker(other, func() {
		for range records {
			if queued, err := a.Append(p.o, []byte("line\n")); !queued || err != nil {
				r.Errorf("append: %t, %v", queued, err)
			}
		}
	})
	r.shutdown()
	text, err := r.read(name)
	r.must(err)
	if len(text) != records*len("line\n") {
		r.Errorf("%d bytes were written", len(text))
	}
}

// shutdownPosts posts while the port ends: what is accepted runs.
func shutdownPosts(r *rig) {
	var accepted, ran [2]int
	var posters sync.WaitGroup
	for i, w := range r.port.Workers() {
		posters.Go(func() {
			for w.Post(func() { ran[i]++ }) == nil {
				accepted[i]++
			}
		})
	}
	for range 1000 { // so that there is something under way; a test clock would not pass
		runtime.Gosched()
	}
	r.shutdown()
	posters.Wait()
	if ran != accepted {
		r.Errorf("%v tasks ran of %v", ran, accepted)
	}
}
