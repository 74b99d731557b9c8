package completiontest

import (
	"errors"
	"iter"
	"os"
	"strings"

	"fwx/framework/completion"
)

var heavyRows = []row{
	{name: "C18/starts and ends are balanced", test: heavyBalance},
	{name: "C19/all workers blocked", test: heavyServes, options: completion.Options{Workers: 2}},
	{name: "C20/each handler for itself", test: heavyNested},
	{name: "heavy/in the middle of a batch", test: heavyBatch},
	{name: "heavy/coroutines stay on their thread", test: heavyCoroutine},
	{name: "heavy/on a coroutine", test: heavyOnCoroutine},
	{name: "heavy/a handler that does not end it", test: heavyUnbalanced},
	{name: "heavy/again and again", test: heavyOften},
	{name: "heavy/shutdown waits", test: heavyShutdown},
}

func heavyBalance(r *rig) {
	w := r.w
	r.on(func() {
		r.isHere(w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp)
		r.isHere(w.StartHeavyBlockingOperation(), nil)
		r.isHere(w.StartHeavyBlockingOperation(), completion.ErrAlreadyInBlockingOp)
		r.isHere(w.EndHeavyBlockingOperation(), nil)
		r.isHere(w.EndHeavyBlockingOperation(), nil)
		r.isHere(w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp)
		w.AfterFunc(0, func() {}).Stop() // on the worker again
	})
	r.is(w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp)
	if !raceEnabled { // which finds it out by itself
		r.is(w.StartHeavyBlockingOperation(), completion.ErrInvalidArgument)
	}
}

// isHere is is for a function on a worker, which cannot end the row.
func (r *rig) isHere(err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Errorf("error %v, want %v", err, want)
	}
}

// block has a handler of a worker block until release is closed; begun tells
// that it does.
func (r *rig) block(w *completion.Worker, release <-chan struct{}) (begun, done chan struct{}) {
	r.Helper()
	begun, done = make(chan struct{}), make(chan struct{})
	r.must(w.Post(func() {
		r.isHere(w.StartHeavyBlockingOperation(), nil)
		close(begun)
		<-release
		r.isHere(w.EndHeavyBlockingOperation(), nil)
		w.AfterFunc(0, func() {}).Stop() // on the worker again
		close(done)
	}))
	return begun, done
}

// heavyServes blocks every worker and does all kinds of I/O meanwhile.
func heavyServes(r *rig) {
	release := make(chan struct{})
	ends := make([]chan struct{}, 0, len(r.port.Workers()))
	for _, w := range r.port.Workers() {
		begun, done := r.block(w, release)
		receive(r, begun)
		ends = append(ends, done)
	}
	h := r.file(r.content([]byte("content")), os.O_RDWR)
	r.op().begin(reading(h, 0, make([]byte, 7))).ok()
	r.op().begin(h.Sync).ok()
	a, b := r.pair()
	recv := r.op().begin(b.Recv)
	r.op().begin(sending(a, []byte("x"))).ok()
	recv.ok()
	fired := make(chan struct{})
	r.on(func() { r.w.AfterFunc(1, func() { close(fired) }) })
	receive(r, fired)
	recv = r.op().begin(b.Recv) // begun with the stand-in, ended without
	close(release)
	for _, done := range ends {
		receive(r, done)
	}
	r.op().begin(sending(a, []byte("x"))).ok()
	recv.ok()
}

// heavyNested has a second handler block while the first does.
func heavyNested(r *rig) {
	first, second := make(chan struct{}), make(chan struct{})
	begun, done := r.block(r.w, first)
	receive(r, begun)
	r.on(func() { r.isHere(r.w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp) })
	begun, doneToo := r.block(r.w, second)
	receive(r, begun)
	r.on(func() { r.isHere(r.w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp) })
	close(first) // which comes back when the second has
	r.on(func() {})
	close(second)
	receive(r, doneToo)
	receive(r, done)
}

// heavyBatch blocks in one of many handlers that are due together.
func heavyBatch(r *rig) {
	const n = 50
	h := r.file(r.content(make([]byte, 4096)), os.O_RDWR)
	release := make(chan struct{})
	left := n
	rest := make(chan struct{})
	count := func(result) {
		if left--; left == 1 {
			close(rest)
		}
	}
	ops := r.someOps(n)
	blocked := make(chan struct{})
	for i, p := range ops {
		p.then = count
		if i == n/2 {
			p.then = func(res result) {
				r.isHere(r.w.StartHeavyBlockingOperation(), nil)
				<-release
				r.isHere(r.w.EndHeavyBlockingOperation(), nil)
				count(res)
				close(blocked)
			}
		}
	}
	tasks := make(chan int, n)
	r.on(func() {
		for i, p := range ops {
			if err := p.start(reading(h, 0, make([]byte, 4096))); err != nil {
				r.Error(err)
			}
			if err := r.w.Post(func() { tasks <- i }); err != nil {
				r.Error(err)
			}
		}
	})
	receive(r, rest)
	for i := range n {
		if got := receive(r, tasks); got != i {
			r.Errorf("task %d ran when %d was due", got, i)
		}
	}
	close(release)
	receive(r, blocked)
}

// heavyCoroutine resumes, while a handler blocks, a coroutine that was made
// before, and one after that was made meanwhile.
func heavyCoroutine(r *rig) {
	counter := func(yield func(int) bool) {
		i := 0
		for yield(i) {
			i++
		}
	}
	var next, later func() (int, bool)
	var stop, stopLater func()
	expect := func(next func() (int, bool), want int) {
		if got, ok := next(); !ok || got != want {
			r.Errorf("the coroutine gave %d, %t; want %d", got, ok, want)
		}
	}
	r.on(func() {
		next, stop = iter.Pull(counter)
		expect(next, 0)
	})
	release := make(chan struct{})
	begun, done := r.block(r.w, release)
	receive(r, begun)
	r.on(func() {
		expect(next, 1)
		later, stopLater = iter.Pull(counter)
		expect(later, 0)
	})
	close(release)
	receive(r, done)
	r.on(func() {
		expect(next, 2)
		expect(later, 1)
		stop()
		stopLater()
	})
}

// heavyOnCoroutine blocks in a handler that runs on a coroutine.
func heavyOnCoroutine(r *rig) {
	begun, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.must(r.w.Post(func() {
		next, stop := iter.Pull(func(yield func(int) bool) {
			r.isHere(r.w.StartHeavyBlockingOperation(), nil)
			close(begun)
			<-release
			r.isHere(r.w.EndHeavyBlockingOperation(), nil)
			yield(7)
		})
		defer stop()
		if got, _ := next(); got != 7 {
			r.Errorf("the coroutine gave %d", got)
		}
		close(done)
	}))
	receive(r, begun)
	r.on(func() {})
	close(release)
	receive(r, done)
}

// heavyUnbalanced has handlers return, and panic, without an End.
func heavyUnbalanced(r *rig) {
	h := r.file(r.content(make([]byte, 10)), os.O_RDWR)
	p := r.op()
	p.then = func(res result) {
		r.isHere(r.w.StartHeavyBlockingOperation(), nil)
		r.isHere(r.w.StartHeavyBlockingOperation(), completion.ErrAlreadyInBlockingOp)
		p.results <- res
	}
	for range 3 {
		p.begin(reading(h, 0, make([]byte, 10))).ok()
	}
	r.must(r.w.Post(func() {
		r.isHere(r.w.StartHeavyBlockingOperation(), nil)
		panic("on purpose, away")
	}))
	r.on(func() { r.isHere(r.w.EndHeavyBlockingOperation(), completion.ErrNotInBlockingOp) })
	r.eventually("the panic is counted", func() bool { return r.port.Panics() == 1 })
	if !strings.Contains(r.log.String(), "on purpose, away") {
		r.Error("the panic is not logged")
	}
}

// heavyOften changes over again and again, with I/O under way.
func heavyOften(r *rig) {
	rounds := 300
	if r.kit.faulty() { // each is late
		rounds = 5
	}
	a, b := r.pair()
	recv, send := r.op(), r.op()
	done := make(chan struct{})
	round, left := 0, 2
	next := func() { // when both have ended, in whichever order
		if left--; left > 0 {
			return
		}
		if round++; round == rounds {
			close(done)
			return
		}
		left = 2
		r.isHere(recv.start(b.Recv), nil)
		r.isHere(send.start(sending(a, []byte("x"))), nil)
	}
	send.then = func(result) { next() }
	recv.then = func(res result) {
		if res.err != nil || res.n != 1 {
			r.Errorf("received %d bytes, %v", res.n, res.err)
		}
		r.isHere(r.w.StartHeavyBlockingOperation(), nil)
		r.isHere(r.w.EndHeavyBlockingOperation(), nil)
		next()
	}
	r.on(func() {
		r.isHere(recv.start(b.Recv), nil)
		r.isHere(send.start(sending(a, []byte("x"))), nil)
	})
	receive(r, done)
}

// heavyShutdown ends the port while a handler blocks.
func heavyShutdown(r *rig) {
	_, b := r.pair()
	recv := r.op().begin(b.Recv)
	release := make(chan struct{})
	begun, done := r.block(r.w, release)
	receive(r, begun)
	down := make(chan struct{})
	go func() {
		defer close(down)
		r.shutdown()
	}()
	recv.aborted()
	select {
	case <-down:
		r.Error("the port has ended before a handler")
	default:
	}
	close(release)
	receive(r, done)
	receive(r, down)
}
