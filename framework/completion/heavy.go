package completion

import (
	"errors"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	_ "unsafe" // for go:linkname
)

// StartHeavyBlockingOperation says that the handler that calls it is about to
// block for long (IFWXFirewall::StartHeavyBlockingOperation). A stand-in takes
// the worker over, on the worker's own thread, and its other completions go on
// being served, while the handler goes on beside it on another thread. It is
// not on the worker then: until EndHeavyBlockingOperation it must use nothing
// that belongs to the worker.
//
// It is ErrAlreadyInBlockingOp when the handler has already said so, and is to be
// balanced by an End even then; with any other error it is not. A handler that
// returns in between is brought back by the port. Handlers that block at the
// same time on one worker come back in the reverse order: End waits for those
// that started later. Around a lock it is of no use, because the handlers that
// are let in would queue up behind it too; what can be put in a function of its
// own is better done by RunBlocking. On OpenBSD, which does not tell a Go program
// on which thread it runs, it is errors.ErrUnsupported.
func (w *Worker) StartHeavyBlockingOperation() error {
	h := &w.heavy
	if h.home == 0 {
		return errors.ErrUnsupported
	}
	thread := osThread()
	if s := h.find(thread); s != nil {
		s.depth++
		return ErrAlreadyInBlockingOp
	}
	if thread != h.home {
		w.checkThread()
		return ErrInvalidArgument
	}
	if len(h.out) >= maxStandIns {
		return ErrTooManyOperations
	}
	s := h.take(w)
	s.depth = 1
	h.out = append(h.out, s)
	h.count.Add(1)
	h.handovers++
	s.leave()
	return nil
}

// EndHeavyBlockingOperation says that the blocking part of a handler is over
// (IFWXFirewall::EndHeavyBlockingOperation). When each Start has had its End the
// handler is on its worker again: End waits until the stand-in is between two
// turns. It is ErrNotInBlockingOp without a Start.
func (w *Worker) EndHeavyBlockingOperation() error {
	s := w.heavy.find(osThread())
	if s == nil {
		return ErrNotInBlockingOp
	}
	if s.depth--; s.depth == 0 {
		s.comeBack()
	}
	return nil
}

// maxStandIns bounds the handlers of a worker that block at the same time.
const maxStandIns = 64

// heavy is the handlers of a worker that block, and their stand-ins.
type heavy struct {
	home  osThreadID   // the worker's thread; 0: unknown
	count atomic.Int32 // handlers that are away

	// Used on the worker only.
	out       []*standIn // the last one runs the worker's loop
	idle      []*standIn
	handovers int

	mu   sync.Mutex
	away map[osThreadID]*standIn // by the thread of the handler that it stands in for
}

// standIn runs the loop of a worker while a handler blocks.
//
// The worker's thread is what must stay with the loop: an io_uring is bound to
// it, and so are the coroutines that handlers may run on. So it is the handler
// that changes its thread. Three goroutines take part, and a coroutine switch,
// which hands a thread from one goroutine to another without the scheduler,
// moves them: a coroutine always holds one that rests, and whoever switches
// takes its place there.
//
//	Start    the handler's goroutine switches on the worker's thread: it rests,
//	         the loop of the stand-in runs there;
//	         the helper switches on a thread of its own: it rests, the handler
//	         runs there.
//	End      the handler switches: it rests, the helper runs, and calls for
//	         the worker's thread;
//	         the loop of the stand-in switches on that: it rests, the handler
//	         runs there.
type standIn struct {
	worker *Worker
	next   func() (struct{}, bool) // the handler's switch
	yield  func(struct{}) bool     // that of the others
	took   chan struct{}           // the loop has the worker's thread
	ended  chan struct{}
	depth  int  // the handler's Starts without an End
	wanted bool // the handler wants the worker's thread back
}

func (h *heavy) take(w *Worker) *standIn {
	if n := len(h.idle); n > 0 {
		s := h.idle[n-1]
		h.idle = h.idle[:n-1]
		return s
	}
	s := &standIn{worker: w, took: make(chan struct{}, 1), ended: make(chan struct{})}
	made := make(chan struct{})
	go s.help(made)
	<-made
	return s
}

// help is the life of the helper. The coroutine is made here, off the worker,
// because one that is made on a locked thread could be switched to on that only.
func (s *standIn) help(made chan<- struct{}) {
	next, stop := iter.Pull(s.run)
	s.next = next
	close(made)
	for range s.took {
		s.yield(struct{}{}) // back when the handler has nothing to block for any more
		s.worker.postAlways(s)
	}
	stop()
	close(s.ended)
}

// CompleteTask asks the loop of the stand-in to hand the worker back.
func (s *standIn) CompleteTask(any) { s.wanted = true }

// run is the loop of the stand-in.
func (s *standIn) run(yield func(struct{}) bool) {
	s.yield = yield
	w := s.worker
	for {
		runtime.LockOSThread()
		procUnpin()
		s.took <- struct{}{}
		w.backend.reap() // the rest of the batch that the handler was part of
		for !s.wanted {
			w.turn()
		}
		s.wanted = false
		procPin()
		runtime.UnlockOSThread()
		if !yield(struct{}{}) {
			return
		}
	}
}

// leave hands the worker's thread to the stand-in and goes on elsewhere.
// Between the unlock and the switch nothing else may get the thread: pinned, a
// goroutine is not preempted.
func (s *standIn) leave() {
	procPin()
	runtime.UnlockOSThread()
	s.next()
	runtime.LockOSThread() // so that its thread tells who it is
	h := &s.worker.heavy
	h.mu.Lock()
	if h.away == nil {
		h.away = make(map[osThreadID]*standIn)
	}
	h.away[osThread()] = s
	h.mu.Unlock()
}

// comeBack returns to the worker's thread.
func (s *standIn) comeBack() {
	h := &s.worker.heavy
	h.mu.Lock()
	delete(h.away, osThread())
	h.mu.Unlock()
	runtime.UnlockOSThread()
	s.next()
	runtime.LockOSThread()
	procUnpin()
	h.out = h.out[:len(h.out)-1]
	h.idle = append(h.idle, s)
	h.count.Add(-1)
}

// find returns the stand-in for the handler that runs on a thread; nil if it is
// on its worker.
func (h *heavy) find(thread osThreadID) *standIn {
	if h.count.Load() == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away[thread]
}

// returned brings a handler that has ended back to its worker, if it has not
// come itself.
func (h *heavy) returned() {
	if h.count.Load() == 0 {
		return
	}
	if s := h.find(osThread()); s != nil {
		s.comeBack()
	}
}

// wanted reports whether the stand-in that runs the loop is to hand it back.
func (h *heavy) wanted() bool {
	n := len(h.out)
	return n > 0 && h.out[n-1].wanted
}

// close ends the stand-ins, which are all idle.
func (h *heavy) close() {
	for _, s := range h.idle {
		close(s.took)
		<-s.ended
	}
	h.idle = nil
}

// procPin keeps the goroutine from being preempted until procUnpin on the same thread.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
