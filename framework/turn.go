package framework

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"fwx/framework/completion"
)

// turn is the lock of Start, Reload, Shutdown and the end of a generation, which run one at a
// time and call the host's filters while they run. A filter that asked for the turn in such a
// call would wait for itself.
type turn struct {
	mu     sync.Mutex
	caller atomic.Uint64 // the goroutine that calls a filter; 0: none does
}

// take waits for the turn. It returns ErrBadContext on a worker, for which the holder of the
// turn waits, on the goroutine of a filter that the holder calls, and on a goroutine that such
// a goroutine has started.
func (t *turn) take(port *completion.Port) error {
	if port != nil && port.OnWorker() {
		return fmt.Errorf("%w: on a worker; a goroutine can call it", ErrBadContext)
	}
	if caller := t.caller.Load(); caller != 0 {
		if id, parent := goroutine(); id == caller || parent == caller {
			return fmt.Errorf("%w: a filter is being started or ended, and the call would wait for that", ErrBadContext)
		}
	}
	t.mu.Lock()
	return nil
}

// give ends the turn.
func (t *turn) give() { t.mu.Unlock() }

// call calls a filter for the holder of the turn, on a goroutine of its own, by which take
// recognizes it. A panic in the filter is returned as an error.
func (t *turn) call(f func() error) error {
	err := errors.New("it has ended its goroutine")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer recovered(&err)
		id, _ := goroutine()
		t.caller.Store(id)
		defer t.caller.Store(0)
		err = f()
	}()
	<-done
	return err
}

// goroutine returns the number of the calling goroutine and that of the one that started it,
// taken from the beginning and the end of a stack trace; 0: unknown.
func goroutine() (id, parent uint64) {
	trace := make([]byte, 64<<10)
	trace = trace[:runtime.Stack(trace, false)]
	number := func(text []byte) uint64 {
		end := bytes.IndexAny(text, " \n")
		if end < 0 {
			end = len(text)
		}
		n, _ := strconv.ParseUint(string(text[:end]), 10, 64)
		return n
	}
	id = number(bytes.TrimPrefix(trace, []byte("goroutine ")))
	const mark = " in goroutine "
	if i := bytes.LastIndex(trace, []byte(mark)); i >= 0 {
		parent = number(trace[i+len(mark):])
	}
	return id, parent
}
