package completiontest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"fwx/framework/completion"
)

var fileRows = []row{
	{name: "files/large", test: largeFile},
	{name: "files/beneath a root", test: beneathRoot},
	{name: "files/sync", test: syncFile},
	{name: "files/append from all workers", firm: true, test: appendAll, options: completion.Options{Workers: 4, AppendQueue: 4 << 10}},
	{name: "files/append waits for room", firm: true, test: appendWaits, options: completion.Options{AppendQueue: 64}},
	{name: "files/append misuse", firm: true, test: appendMisuse},
	{name: "files/append fails and recovers", firm: true, test: appendFails, options: completion.Options{AppendQueue: 256}},
	{name: "files/watch", test: watchFile},
	{name: "files/watch and shutdown", test: watchShutdown},
}

func largeFile(r *rig) {
	h := r.file(r.content(nil), os.O_RDWR)
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i >> 9)
	}
	if res := r.op().begin(writing(h, 0, data)).ok(); res.n != len(data) {
		r.Errorf("wrote %d bytes", res.n)
	}
	got := make([]byte, len(data))
	if res := r.op().begin(reading(h, 0, got)).ok(); res.n != len(data) || string(got) != string(data) {
		r.Errorf("read %d bytes; equal: %t", res.n, string(got) == string(data))
	}
}

func beneathRoot(r *rig) {
	outside := r.content([]byte("secret"))
	folder := r.TempDir()
	root := r.root(folder)
	r.must(root.MkdirAll("sub", 0o700))
	r.put(root, "sub/inside", "x")
	opening := func(name string, flag int) func(*completion.Overlapped) error {
		return func(o *completion.Overlapped) error { return r.w.OpenFile(o, root, name, flag, 0o600) }
	}
	good := []string{"sub/inside", "sub/../sub/inside"}
	bad := []string{"../" + filepath.Base(filepath.Dir(outside)) + "/file", outside, "..", "sub/../../x"}
	if r.links(outside, filepath.Join(folder, "link")) && r.links("sub/inside", filepath.Join(folder, "good")) {
		good, bad = append(good, "good", "sub/../good"), append(bad, "link")
	}
	for _, name := range good {
		r.op().begin(opening(name, os.O_RDONLY)).ok()
	}
	r.op().begin(opening("new", os.O_CREATE|os.O_EXCL|os.O_WRONLY)).ok()
	for _, name := range bad {
		res := r.op().begin(opening(name, os.O_RDONLY)).wait()
		if res.err == nil || res.value != nil {
			r.Errorf("%q could be opened beneath the root", name)
		}
	}
	res := r.op().begin(opening("none", os.O_RDONLY)).wait()
	if !errors.Is(res.err, fs.ErrNotExist) || !strings.Contains(res.err.Error(), filepath.Join(folder, "none")) {
		r.Errorf("error %v", res.err)
	}
}

// root opens a directory, until the end of the row.
func (r *rig) root(folder string) *completion.Root {
	r.Helper()
	root, err := r.port.OpenRoot(folder)
	r.must(err)
	r.Cleanup(func() { r.must(root.Close()) })
	return root
}

// put writes a file as another program would.
func (r *rig) put(root *completion.Root, name, text string) {
	r.Helper()
	f, err := root.Open(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	r.must(err)
	_, err = f.Write([]byte(text))
	r.must(errors.Join(err, f.Close()))
}

// links makes a symbolic link; false on a Windows that has none, and in memory.
func (r *rig) links(target, name string) bool {
	if r.kit.memory() != nil {
		return false
	}
	err := os.Symlink(target, name)
	if runtime.GOOS == "windows" && err == nil {
		_, err = os.Stat(name) // Wine makes links that lead nowhere
	}
	return runtime.GOOS != "windows" || err == nil
}

func syncFile(r *rig) {
	h := r.file(r.content(nil), os.O_RDWR)
	r.op().begin(writing(h, 0, []byte("x"))).ok()
	r.op().begin(h.Sync).ok()
	read, _ := r.pipe()
	if res := r.op().begin(read.Sync).wait(); res.err == nil {
		r.Error("a pipe could be synced")
	}
}

// appender opens a file for appending on a worker.
func (r *rig) appender(w *completion.Worker, name string) *completion.Appender {
	r.Helper()
	res := r.opOn(w).begin(func(o *completion.Overlapped) error { return w.OpenAppender(o, nil, name, 0o600) }).ok()
	a, ok := res.value.(*completion.Appender)
	if !ok {
		r.Fatalf("OpenAppender gave a %T", res.value)
	}
	return a
}

// appendAll appends numbered records from all workers at once.
func appendAll(r *rig) {
	const records = 300
	name := filepath.Join(r.TempDir(), "log")
	all := make([]*completion.Appender, 0, len(r.port.Workers()))
	var writers sync.WaitGroup
	for _, w := range r.port.Workers() {
		a := r.appender(w, name)
		if all = append(all, a); a != all[0] {
			r.Error("two appenders for one file")
		}
		p := r.opOn(w)
		writers.Go(func() { r.appendRecords(p, a, w.Index(), records) })
	}
	writers.Wait()
	for i, w := range r.port.Workers() {
		r.opOn(w).begin(all[i].Close).ok()
	}
	r.on(func() {
		if _, err := all[0].Append(r.ops[0].o, []byte("x")); !errors.Is(err, completion.ErrHandleClosed) {
			r.Errorf("append after the last close: %v", err)
		}
	})
	text, err := r.read(name)
	r.must(err)
	next := make([]int, len(all))
	for line := range strings.Lines(string(text)) {
		worker, number := parseRecord(line)
		if worker < 0 || worker >= len(next) || number != next[worker] {
			r.Fatalf("record %q is broken or out of order", line)
		}
		next[worker]++
	}
	for i, n := range next {
		if n != records {
			r.Errorf("worker %d: %d records of %d", i, n, records)
		}
	}
}

// appendRecords appends records and waits for each that found no room. It
// runs beside the test.
func (r *rig) appendRecords(p *op, a *completion.Appender, worker, records int) {
	for i := range records {
		var queued bool
		var err error
		call := p.o.Worker().Call(func() {
			startErr := p.start(func(o *completion.Overlapped) error {
				queued, err = a.Append(o, formatRecord(worker, i))
				if queued || err != nil {
					return errNotStarted
				}
				return nil
			})
			_ = startErr // of use to the count only
		})
		if call != nil || err != nil {
			r.Errorf("append: %v, %v", call, err)
			return
		}
		if !queued {
			if res := <-p.results; res.err != nil {
				r.Errorf("append: %v", res.err)
				return
			}
		}
	}
}

var errNotStarted = errors.New("not started")

const recordFill = "................................................"

func formatRecord(worker, number int) []byte {
	return []byte(strings.Join([]string{string(rune('a' + worker)), strings.Repeat("+", number), recordFill + "\n"}, " "))
}

func parseRecord(line string) (worker, number int) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != recordFill+"\n" {
		return -1, 0
	}
	return int(parts[0][0] - 'a'), len(parts[1])
}

// appendWaits fills the queue while the worker is kept from writing.
func appendWaits(r *rig) {
	name := filepath.Join(r.TempDir(), "log")
	a := r.appender(r.w, name)
	waits, cancelled, short := r.op(), r.op(), r.op()
	record := []byte(strings.Repeat("x", 39) + "\n")
	r.on(func() {
		if queued, err := a.Append(waits.o, record); !queued || err != nil {
			r.Errorf("into an empty queue: %t, %v", queued, err)
		}
		for _, p := range []*op{waits, cancelled} {
			_ = p.start(func(o *completion.Overlapped) error {
				queued, err := a.Append(o, record)
				if queued || err != nil {
					r.Errorf("into a full queue: %t, %v", queued, err)
				}
				return err
			})
		}
		if err := cancelled.o.Cancel(); err != nil {
			r.Error(err)
		}
		_ = short.start(func(o *completion.Overlapped) error {
			queued, err := a.Append(o, []byte("short\n"))
			if queued {
				r.Error("a record with room has overtaken one without")
			}
			return err
		})
	})
	cancelled.aborted()
	short.ok()
	if res := waits.ok(); res.n != len(record) {
		r.Errorf("appended %d bytes", res.n)
	}
	r.op().begin(a.Close).ok()
	text, err := r.read(name)
	r.must(err)
	if string(text) != strings.Repeat(string(record), 2)+"short\n" {
		r.Errorf("the file has %q", text)
	}
}

func appendMisuse(r *rig) {
	name := filepath.Join(r.TempDir(), "log")
	a, again := r.appender(r.w, name), r.appender(r.w, name)
	if a != again {
		r.Error("two appenders for one file")
	}
	p := r.op()
	r.on(func() {
		for _, record := range [][]byte{nil, make([]byte, 2<<20)} {
			if _, err := a.Append(p.o, record); !errors.Is(err, completion.ErrInvalidArgument) {
				r.Errorf("a record of %d bytes: %v", len(record), err)
			}
		}
	})
	r.op().begin(a.Close).ok()
	r.on(func() {
		if queued, err := a.Append(p.o, []byte("x")); !queued || err != nil {
			r.Errorf("append with a reference left: %t, %v", queued, err)
		}
	})
	r.op().begin(a.Close).ok()
	r.is(r.op().try(a.Close), completion.ErrHandleClosed)
	res := r.op().begin(func(o *completion.Overlapped) error {
		return r.w.OpenAppender(o, nil, filepath.Join(name, "none"), 0o600)
	}).wait()
	if res.err == nil || res.value != nil {
		r.Errorf("OpenAppender of nothing: %v, %v", res.value, res.err)
	}
}

// watch watches a file; each call of its function counts.
func (r *rig) watch(root *completion.Root, name string) (*completion.Watch, <-chan struct{}) {
	r.Helper()
	calls := make(chan struct{}, 1000)
	res := r.op().begin(func(o *completion.Overlapped) error {
		return r.w.Watch(o, root, name, func() { calls <- struct{}{} })
	}).ok()
	w, ok := res.value.(*completion.Watch)
	if !ok {
		r.Fatalf("Watch gave a %T", res.value)
	}
	return w, calls
}

func watchFile(r *rig) {
	folder := r.TempDir()
	root := r.root(folder)
	r.must(root.MkdirAll("sub", 0o700))
	w, calls := r.watch(root, "sub/file")
	second, secondCalls := r.watch(nil, filepath.Join(folder, "sub", "file"))

	changes := []func(){
		func() { r.put(root, "sub/file", "1") },
		func() { r.put(root, "sub/file", "2") },
		func() {
			r.put(root, "sub/other", "3")
			r.must(root.Rename("sub/other", "sub/file"))
		},
		func() { r.must(root.Remove("sub/file")) },
	}
	for _, change := range changes {
		change()
		receive(r, calls)
		receive(r, secondCalls)
	}
	// Another file in the directory is of no concern; its watch tells when the
	// events have been seen.
	third, thirdCalls := r.watch(root, "sub/other")
	r.put(root, "sub/other", "")
	receive(r, thirdCalls)
	if len(calls) > 0 {
		r.Error("called for another file")
	}
	// A closed watch is not called, and does not take those of others with it.
	r.on(w.Close)
	r.on(w.Close)
	r.put(root, "sub/file", "")
	receive(r, secondCalls)
	if len(calls) > 0 {
		r.Error("called after Close")
	}
	r.on(second.Close)
	r.on(third.Close)
	last, lastCalls := r.watch(root, "sub/file")
	for _, name := range []string{"sub/file", "sub/other", "sub"} {
		r.must(root.Remove(name))
	}
	receive(r, lastCalls)
	r.on(last.Close)

	for _, name := range []string{"../x", "none/x"} {
		res := r.op().begin(func(o *completion.Overlapped) error { return r.w.Watch(o, root, name, func() {}) }).wait()
		if res.err == nil || res.value != nil {
			r.Errorf("%q could be watched", name)
		}
	}
	for _, name := range []string{"", "sub/", ".."} {
		r.is(r.op().try(func(o *completion.Overlapped) error { return r.w.Watch(o, root, name, func() {}) }), completion.ErrInvalidArgument)
	}
}

func watchShutdown(r *rig) {
	folder := r.TempDir()
	r.watch(nil, filepath.Join(folder, "a"))
	p := r.op()
	r.on(func() {
		_ = p.start(func(o *completion.Overlapped) error { return r.w.Watch(o, nil, filepath.Join(folder, "b"), func() {}) })
	})
	r.shutdown()
}

// appendFails appends to a FIFO whose reader goes and comes back.
func appendFails(r *rig) {
	name := r.fifo()
	reader := r.file(name, os.O_RDONLY)
	a := r.appender(r.w, name)
	p := r.op()
	appending := func(record string) (queued bool, err error) {
		r.on(func() {
			_ = p.start(func(o *completion.Overlapped) error {
				if queued, err = a.Append(o, []byte(record)); queued || err != nil {
					return errNotStarted
				}
				return nil
			})
		})
		return queued, err
	}
	record := strings.Repeat("r", 31) + "\n"
	r.close(reader)
	want := 0
	r.eventually("a full queue is answered with the error of the file", func() bool {
		queued, err := appending(record)
		switch {
		case queued:
			want += len(record)
		case err == nil: // it waited for room
			if res := p.wait(); res.err == nil {
				want += len(record)
			} else {
				err = res.err
			}
		}
		return errors.Is(err, errBrokenPipe)
	})
	r.logged("it is tried again", 1)
	got := make([]byte, want)
	reader = r.file(name, os.O_RDONLY)
	for n := 0; n < want; {
		res := r.op().begin(reading(reader, 0, got[n:])).wait()
		if res.err != nil && !errors.Is(res.err, completion.ErrHandleEOF) {
			r.Fatal(res.err)
		}
		n += res.n
	}
	if string(got) != strings.Repeat(record, want/len(record)) {
		r.Errorf("the reader got %q", got)
	}
	r.eventually("the log says that it works again", func() bool { return strings.Contains(r.log.String(), "works again") })
	if queued, err := appending(record); !queued || err != nil {
		r.Errorf("append after the failure: %t, %v", queued, err)
	}
	r.op().begin(reading(reader, 0, got[:len(record)])).ok()

	// With the last reference closed, or the port shut down, what cannot be
	// written is lost, and said to be.
	again := r.appender(r.w, name)
	r.close(reader)
	if queued, err := appending(record); !queued || err != nil {
		r.Errorf("append to nobody: %t, %v", queued, err)
	}
	r.op().begin(again.Close).ok()
	r.is(r.op().begin(a.Close).wait().err, errBrokenPipe)
	r.logged("are lost", 1)

	reader = r.file(name, os.O_RDONLY)
	a = r.appender(r.w, name)
	r.close(reader)
	if queued, err := appending(record); !queued || err != nil {
		r.Errorf("append to nobody: %t, %v", queued, err)
	}
	r.shutdown()
	r.logged("are lost", 2)
	if !strings.Contains(r.log.String(), "bytes=32") || !strings.Contains(r.log.String(), name) {
		r.Errorf("the log lacks the path or the count:\n%s", r.log)
	}
}

// logged checks how often a text is in the log.
func (r *rig) logged(text string, times int) {
	r.Helper()
	if n := strings.Count(r.log.String(), text); n != times {
		r.Errorf("%q is in the log %d times, want %d:\n%s", text, n, times, r.log)
	}
}
