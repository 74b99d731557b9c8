package completiontest

import (
	"bytes"
	"errors"
	"os"

	"fwx/framework/completion"
)

var windowRows = []row{
	{name: "files/many operations on one", test: manyOnOne, options: completion.Options{FileThreads: 2}},
	{name: "files/cancel one of many", test: cancelOneOfMany},
	{name: "files/close with many in flight", test: closeWithMany},
}

// moreThanAtOnce is more operations than are done on one file at a time.
const moreThanAtOnce = 600

// manyOnOne does them through two handles of the file.
func manyOnOne(r *rig) {
	name := r.content(nil)
	handles := []*completion.Handle{r.file(name, os.O_RDWR), r.file(name, os.O_RDWR)}
	ops := r.someOps(moreThanAtOnce)
	r.startAll(ops, func(i int) func(*completion.Overlapped) error {
		if i%50 == 0 {
			return handles[i%2].Sync
		}
		return writing(handles[i%2], int64(i), []byte{byte(i)})
	})
	for _, p := range ops {
		p.ok()
	}
	got := make([]byte, moreThanAtOnce)
	r.op().begin(reading(handles[0], 0, got)).ok()
	for i := range got {
		if i%50 != 0 && got[i] != byte(i) {
			r.Fatalf("byte %d is %d", i, got[i])
		}
	}
}

// startAll starts operations together.
func (r *rig) startAll(ops []*op, begin func(i int) func(*completion.Overlapped) error) {
	r.Helper()
	r.on(func() {
		for i, p := range ops {
			if err := p.start(begin(i)); err != nil {
				r.Error(err)
			}
		}
	})
}

// cancelOneOfMany cancels operations that have not begun, and some that have.
func cancelOneOfMany(r *rig) {
	h := r.file(r.content(bytes.Repeat([]byte("x"), 4096)), os.O_RDWR)
	ops := r.someOps(moreThanAtOnce)
	r.on(func() {
		for _, p := range ops {
			if err := p.start(reading(h, 0, make([]byte, 4096))); err != nil {
				r.Error(err)
			}
		}
		for i, p := range ops {
			if i%3 == 0 {
				_ = p.o.Cancel() // it may have ended
			}
		}
	})
	for i, p := range ops {
		res := p.wait()
		if res.err != nil && (i%3 != 0 || !errors.Is(res.err, completion.ErrOperationAborted)) {
			r.Errorf("operation %d: %v", i, res.err)
		}
	}
	last := ops[len(ops)-1]
	last.begin(reading(h, 0, make([]byte, 1))).ok()
}

func closeWithMany(r *rig) {
	h := r.file(r.content(make([]byte, 4096)), os.O_RDWR)
	ops := r.someOps(moreThanAtOnce)
	r.startAll(ops, func(int) func(*completion.Overlapped) error { return reading(h, 0, make([]byte, 4096)) })
	r.on(func() { _ = h.Close() })
	for _, p := range ops {
		if res := p.wait(); res.err != nil && !errors.Is(res.err, completion.ErrOperationAborted) && !r.kit.faulty() {
			r.Error(res.err)
		}
	}
}
