package completion

import (
	"os"
	"sync"
)

// Appender is a file that records are appended to: whole, in the order in
// which they were accepted, by all workers. It is written by one worker, its
// home, one write at a time; what is accepted meanwhile goes out with the next.
//
// A write that fails loses nothing: the bytes stay queued, the failure is
// logged, and the write is tried again every second.
type Appender struct {
	port *Port
	home *Worker // opened the file first, and writes it
	path string
	key  laneKey
	info os.FileInfo // of the file, when it was opened

	// Used on the home worker only.
	file   *Handle
	write  *Overlapped
	retry  *Timer
	logged int64 // when a failure was last logged, by the home worker's clock

	mu       sync.Mutex
	refs     int     // OpenAppenders without a Close
	shutdown bool    // the port is shutting down
	reported bool    // the loss of what is queued has been logged
	active   bool    // the home worker has been told that there is something to write
	err      error   // of the last write; nil once it works again
	pending  int     // bytes accepted and not written: queue and writing
	queue    []byte  // to be written next
	writing  []byte  // in flight, or waiting for its next try
	base     []byte  // the whole of the buffer that writing is the end of
	waiting  opQueue // appends for which there is no room
	closers  opQueue // closes of the last reference
}

// OpenAppender opens a file to append to, and makes it if there is none;
// TakeValue is the *Appender. name and root are as for OpenFile. A file (not:
// a name) that an appender of the port has open already is given the same
// one: each OpenAppender wants its Close.
func (w *Worker) OpenAppender(o *Overlapped, root *Root, name string, perm os.FileMode) error {
	return w.runBlocking(o, opOpenAppender, folderLane(root, name), func() (any, error) {
		a := &Appender{port: w.port, home: w, path: root.join(name), file: &Handle{}}
		err := w.openFile(&a.file.descriptor, root, name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm)
		if err != nil {
			return nil, err
		}
		if a.info, err = statOpen(a.file.fd); err != nil {
			w.port.pool.close(a.file.lane, a.file.fd)
			return nil, err
		}
		return a, nil
	})
}

// settleAppender makes what OpenAppender has opened the port's appender of
// that file, or takes the one that the port has.
func (w *Worker) settleAppender(o *Overlapped) {
	if o.err == nil {
		o.value, o.err = w.shareAppender(o.value.(*Appender))
	}
	if o.err != nil {
		o.value = nil
	}
}

func (w *Worker) shareAppender(opened *Appender) (*Appender, error) {
	p := w.port
	opened.key = opened.file.lane
	fd := opened.file.fd
	if a, err := p.shareAppender(opened.key, nil); a != nil || err != nil {
		p.pool.close(opened.key, fd)
		return a, err
	}
	if err := w.adopt(&opened.file.descriptor, fd); err != nil {
		p.pool.close(opened.key, fd)
		return nil, err
	}
	opened.write = w.internalOverlapped((*appendWrite)(opened))
	opened.retry = w.NewTimer(opened.run)
	a, err := p.shareAppender(opened.key, opened)
	if a != opened {
		_ = opened.file.Close() // it was just opened
	}
	return a, err
}

// Path returns the path of the file.
func (a *Appender) Path() string { return a.path }

// Info tells what was opened, for SameFile.
func (a *Appender) Info() os.FileInfo { return a.info }

// Err returns the error that the last write has met with; nil if it has succeeded.
func (a *Appender) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Append appends a record. With room in the queue it copies the record there
// and returns true; o is not used. Otherwise it returns false: o is in flight,
// the record belongs to the port, and o completes when the record has been
// queued, or with the error of the file. While writing fails, a full queue is
// answered with that error at once. A record that is empty, or larger than
// Options.AppendQueue, is ErrInvalidArgument. Records of one worker keep their
// order, those that waited included.
//
// It may be called on any worker of the port: that of o.
func (a *Appender) Append(o *Overlapped, record []byte) (queued bool, err error) {
	if o == nil || o.worker.port != a.port || len(record) == 0 || len(record) > a.port.options.AppendQueue {
		return false, ErrInvalidArgument
	}
	o.worker.checkThread()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.refs == 0:
		return false, ErrHandleClosed
	case a.shutdown:
		return false, ErrPortClosed
	case a.waiting.empty() && a.hasRoom(record):
		a.accept(record)
		return true, nil
	case a.err != nil:
		return false, a.err
	}
	if err := o.worker.begin(o, nil, opAppend); err != nil {
		return false, err
	}
	o.held, o.buf = (*appending)(a), record
	a.waiting.push(o)
	return false, nil
}

// Close gives up one reference. With the last, o completes when everything
// has been written, or with the error if it cannot be: what is still queued is
// lost then, and the log tells how much it was.
func (a *Appender) Close(o *Overlapped) error {
	if o == nil || o.worker.port != a.port {
		return ErrInvalidArgument
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.refs == 0:
		return ErrHandleClosed
	case a.shutdown:
		return ErrPortClosed
	}
	if err := o.worker.begin(o, nil, opCloseAppender); err != nil {
		return err
	}
	a.refs--
	if a.refs > 0 {
		o.worker.end(o, 0, nil)
		return nil
	}
	o.held = (*appending)(a)
	a.closers.push(o)
	a.kick()
	return nil
}

func (a *Appender) hasRoom(record []byte) bool {
	return a.pending+len(record) <= a.port.options.AppendQueue
}

// accept queues a record and sees to it that it will be written.
func (a *Appender) accept(record []byte) {
	a.queue = append(a.queue, record...)
	a.pending += len(record)
	if !a.active {
		a.kick()
	}
}

// kick tells the home worker that there is something to do. It is told by a
// task, so that everything that a turn appends goes out in one write.
func (a *Appender) kick() {
	a.active = true
	_ = a.home.PostTaskCompletion((*appendTask)(a), nil) // closed: its shutdown writes what there is
}

// appending is an Appender as the layer of the operations that wait for it.
type appending Appender

// Withdraw takes back an operation that waits. What waits for the last write
// when the port shuts down is told the outcome of that.
func (w *appending) Withdraw(o *Overlapped) bool {
	a := (*Appender)(w)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting.remove(o) {
		return true
	}
	return !a.shutdown && a.closers.remove(o)
}
