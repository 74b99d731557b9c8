package completion

import (
	"context"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"sync"

	"fwx/framework/completion/internal/memory"
)

// pool is the threads that do what the operating system cannot do
// asynchronously. They come when needed, up to a bound, and go when idle.
//
// Work is queued by lane, which stands for the file it concerns. No lane gets
// more than its share of the threads, so operations on a file that hangs wait
// for each other and for nobody else.
type pool struct {
	mu      sync.Mutex
	limit   int
	share   int // of the threads, for one lane
	threads int
	idle    int // threads that wait for work, or are about to, without those called
	called  int // idle threads that have been called and have not come yet
	lanes   map[laneKey]*lane
	unused  []*lane
	queue   laneQueue // lanes with work, that have not used up their share; served in turn
	wakeup  *sync.Cond
	thread  func() // work; kept, so that starting a thread allocates nothing
	working sync.WaitGroup
	closed  bool
	ended   chan struct{} // closed when the last thread has ended
}

// laneKey names a file: its device and number, or what stands for them where
// no file is open.
type laneKey struct{ device, file uint64 }

var laneSeed = maphash.MakeSeed()

// folderLane is the lane of work on a name: names in one directory, which may
// be on a file system that hangs, share one.
func folderLane(root *Root, name string) laneKey {
	return laneKey{file: maphash.String(laneSeed, filepath.Dir(root.join(name)))}
}

type lane struct {
	key     laneKey
	waiting opQueue
	running int
	queued  bool  // in pool.queue
	next    *lane // there
}

// laneQueue is a queue of lanes, linked through themselves.
type laneQueue struct{ first, last *lane }

func (q *laneQueue) push(l *lane) {
	l.queued, l.next = true, nil
	if q.last == nil {
		q.first = l
	} else {
		q.last.next = l
	}
	q.last = l
}

func (q *laneQueue) pop() *lane {
	l := q.first
	if l == nil {
		return nil
	}
	if q.first = l.next; q.first == nil {
		q.last = nil
	}
	l.queued, l.next = false, nil
	return l
}

func newPool(limit int) *pool {
	p := &pool{limit: limit, share: fileShare(limit), lanes: make(map[laneKey]*lane), ended: make(chan struct{})}
	p.wakeup = sync.NewCond(&p.mu)
	p.thread = p.work
	return p
}

// fileShare is how many of the threads may be busy with one file.
func fileShare(threads int) int { return max(1, threads/4) }

// submit queues an operation. It is done on a thread of the pool; then it goes
// back to its worker.
func (p *pool) submit(key laneKey, o *Overlapped) {
	o.held = p
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l == nil {
		l = p.newLane(key)
	}
	l.waiting.push(o)
	p.enqueue(l)
}

func (p *pool) newLane(key laneKey) *lane {
	var l *lane
	if n := len(p.unused); n > 0 {
		l = p.unused[n-1]
		p.unused = p.unused[:n-1]
	} else {
		l = &lane{}
	}
	l.key = key
	p.lanes[key] = l
	return l
}

// enqueue puts a lane that may use another thread in the queue and sees to it
// that there is a thread.
func (p *pool) enqueue(l *lane) {
	if l.queued || l.waiting.empty() || l.running >= p.share {
		return
	}
	p.queue.push(l)
	switch {
	case p.idle > 0:
		p.idle-- // a thread that has been called is not there for the next
		p.called++
		p.wakeup.Signal()
	case p.threads < p.limit:
		p.threads++
		p.working.Add(1)
		go p.thread()
	}
}

// Withdraw takes back an operation that no thread has begun; false if one has.
func (p *pool) Withdraw(o *Overlapped) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return o.queue != nil && o.queue.remove(o)
}

// work is the life of a thread.
func (p *pool) work() {
	defer p.working.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		l, o := p.next()
		if o == nil {
			p.threads--
			return
		}
		p.mu.Unlock()
		perform(o)
		p.mu.Lock()
		l.running--
		// What is started by the notification needs no other thread than this.
		p.idle++
		p.enqueue(l)
		p.retire(l)
		p.mu.Unlock()
		if o.op != opClose { // of which nobody is told
			o.worker.completeRemote(o)
		}
		p.mu.Lock()
		p.leaveIdle()
	}
}

// leaveIdle is called by an idle thread that looks for work.
func (p *pool) leaveIdle() {
	if p.called > 0 {
		p.called--
	} else {
		p.idle--
	}
}

// retire forgets a lane that has nothing to do.
func (p *pool) retire(l *lane) {
	if l.running == 0 && l.waiting.empty() && !l.queued {
		delete(p.lanes, l.key)
		if len(p.unused) < p.limit {
			p.unused = append(p.unused, l)
		}
	}
}

// next returns the next operation and its lane; nil ends the thread.
func (p *pool) next() (*lane, *Overlapped) {
	for {
		for l := p.queue.pop(); l != nil; l = p.queue.pop() {
			o := l.waiting.pop()
			if o == nil { // withdrawn
				p.retire(l)
				continue
			}
			l.running++
			p.enqueue(l)
			return l, o
		}
		if p.closed || p.idle >= maxIdleThreads {
			return nil, nil
		}
		p.idle++
		p.wakeup.Wait()
		p.leaveIdle()
	}
}

// maxIdleThreads is how many threads stay when there is no work.
const maxIdleThreads = 4

// close closes a descriptor on a thread of the pool: closing a file may write
// it back, and wait for a slow device.
func (p *pool) close(key laneKey, fd int) {
	if memory.Close(fd) {
		return
	}
	p.submit(key, &Overlapped{op: opClose, desc: &descriptor{fd: fd}})
}

// shutdown ends the threads; it waits for those that work until ctx ends.
func (p *pool) shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.wakeup.Broadcast()
		go func() {
			p.working.Wait()
			close(p.ended)
		}()
	}
	p.mu.Unlock()
	if err := waitFor(ctx, p.ended); err != nil {
		return fmt.Errorf("shutdown of the completion port: file threads: %w", err)
	}
	return nil
}

// waitFor waits until ended is closed; at the end of ctx it gives up with ErrLeaked.
func waitFor(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	default:
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrLeaked, context.Cause(ctx))
	}
}

// perform does the operation of o on this thread.
func perform(o *Overlapped) {
	defer func() {
		if r := recover(); r != nil {
			o.bytes, o.err = 0, fmt.Errorf("blocking operation panicked: %v", r)
		}
	}()
	switch {
	case o.op == opClose:
		closeFD(o.desc.fd)
	case o.task != nil:
		o.value, o.err = o.task()
	default:
		o.bytes, o.err = fileIO(o)
	}
}

// RunBlocking runs f, which may block, on a thread of the port's pool and
// completes o with its error; TakeValue has its result. Cancel ends it only
// as long as no thread has begun with it.
func (w *Worker) RunBlocking(o *Overlapped, f func() (any, error)) error {
	if f == nil {
		return ErrInvalidArgument
	}
	return w.runBlocking(o, opTask, laneKey{}, f)
}

// runBlocking runs f as the operation op in a lane of the pool.
func (w *Worker) runBlocking(o *Overlapped, op opKind, key laneKey, f func() (any, error)) error {
	if err := w.begin(o, nil, op); err != nil {
		return err
	}
	o.task = f
	w.offload(key, o)
	return nil
}

// offload has a thread of the pool do an operation. On the clock of a test the
// worker does it itself, when its turn has ended.
func (w *Worker) offload(key laneKey, o *Overlapped) {
	if w.port.clock != nil {
		w.backend.start(o)
		return
	}
	w.port.pool.submit(key, o)
}
