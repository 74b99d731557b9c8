package completion

import (
	"context"
	"fmt"
	"sync"
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
	idle    int
	lanes   map[laneKey]*lane
	queue   []*lane // lanes with work, that have not used up their share; served in turn
	wakeup  *sync.Cond
	closed  bool
	ended   sync.WaitGroup
}

// laneKey names a file: its device and number, or (0, 0) for work on no open file.
type laneKey struct{ device, file uint64 }

type lane struct {
	key     laneKey
	waiting []*Overlapped
	running int
	queued  bool // in pool.queue
}

func newPool(limit int) *pool {
	p := &pool{limit: limit, share: max(1, limit/4), lanes: make(map[laneKey]*lane)}
	p.wakeup = sync.NewCond(&p.mu)
	return p
}

// submit queues an operation. Its task runs on a thread of the pool; then the
// operation goes back to its worker.
func (p *pool) submit(key laneKey, o *Overlapped) {
	o.pooled = true
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l == nil {
		l = &lane{key: key}
		p.lanes[key] = l
	}
	l.waiting = append(l.waiting, o)
	p.enqueue(l)
}

// enqueue puts a lane that may use another thread in the queue and sees to it
// that there is a thread.
func (p *pool) enqueue(l *lane) {
	if l.queued || len(l.waiting) == 0 || l.running >= p.share {
		return
	}
	l.queued = true
	p.queue = append(p.queue, l)
	switch {
	case p.idle > 0:
		p.wakeup.Signal()
	case p.threads < p.limit:
		p.threads++
		p.ended.Add(1)
		go p.work()
	}
}

// withdraw takes back an operation that no thread has begun; false if one has.
func (p *pool) withdraw(o *Overlapped) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		for i, q := range l.waiting {
			if q == o {
				l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
				return true
			}
		}
	}
	return false
}

// work is the life of a thread.
func (p *pool) work() {
	defer p.ended.Done()
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
		o.worker.completeRemote(o)
		p.mu.Lock()
		l.running--
		p.enqueue(l)
		p.retire(l)
	}
}

// retire forgets a lane that has nothing to do.
func (p *pool) retire(l *lane) {
	if l.running == 0 && len(l.waiting) == 0 && !l.queued {
		delete(p.lanes, l.key)
	}
}

// next returns the next operation and its lane; nil ends the thread.
func (p *pool) next() (*lane, *Overlapped) {
	for {
		for len(p.queue) > 0 {
			l := p.queue[0]
			p.queue = p.queue[1:]
			l.queued = false
			if len(l.waiting) == 0 { // withdrawn
				p.retire(l)
				continue
			}
			o := l.waiting[0]
			l.waiting = l.waiting[1:]
			l.running++
			p.enqueue(l)
			return l, o
		}
		if p.closed || p.idle >= maxIdleThreads {
			return nil, nil
		}
		p.idle++
		p.wakeup.Wait()
		p.idle--
	}
}

// maxIdleThreads is how many threads stay when there is no work.
const maxIdleThreads = 4

// close closes a descriptor on a thread of the pool.
func (p *pool) close(fd int) {
	p.ended.Add(1)
	go func() {
		defer p.ended.Done()
		closeFD(fd)
	}()
}

// shutdown ends the threads; it waits for those that work until ctx ends.
func (p *pool) shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.wakeup.Broadcast()
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		p.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shutdown of the completion port: file threads: %w: %w", ErrLeaked, context.Cause(ctx))
	}
}

// perform does the operation of o on this thread.
func perform(o *Overlapped) {
	defer func() {
		if r := recover(); r != nil {
			o.bytes, o.err = 0, fmt.Errorf("blocking operation panicked: %v", r)
		}
	}()
	if o.task != nil {
		o.value, o.err = o.task()
		return
	}
	o.bytes, o.err = fileIO(o)
}

// RunBlocking runs f, which may block, on a thread of the port's pool and
// completes o with its error; TakeValue has its result. Cancel ends it only
// as long as no thread has begun with it.
func (w *Worker) RunBlocking(o *Overlapped, f func() (any, error)) error {
	if f == nil {
		return ErrInvalidArgument
	}
	if err := w.begin(o, nil, opTask); err != nil {
		return err
	}
	o.task = f
	w.port.pool.submit(laneKey{}, o)
	return nil
}
