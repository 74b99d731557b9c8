package completion

import (
	"path/filepath"
	"time"
)

// Watch calls a function when a file has changed. Like everything of a worker
// it is used on that worker only.
type Watch struct {
	worker  *Worker
	name    string // in its directory
	folder  watchedFolder
	changed *Timer
	closed  bool
	stop    func() // in the memory of a test, instead of the folder
}

// watchMerge is how long changes are gathered before the function is called.
const watchMerge = 50 * time.Millisecond

// Watch watches a file, which need not exist, in a directory that does; name
// and root are as for OpenFile. o completes when the watch stands; TakeValue is
// the *Watch. From then on f is called on w after the file has been created,
// written and closed, replaced by a rename, or removed; what happens within
// 50 ms is one change. The directory is what is watched, so a file that an
// editor saves by a rename is not lost sight of; but where the name is a
// symbolic link, a change of its target is not seen. If the directory itself
// is moved or removed, f is called and the watch has ended. On macOS and the BSDs the
// file is looked at every 250 ms, and told of when it has stopped changing.
func (w *Worker) Watch(o *Overlapped, root *Root, name string, f func()) error {
	folder, base := filepath.Split(name)
	if f == nil || base == "" || base == "." || base == ".." {
		return ErrInvalidArgument
	}
	if folder == "" {
		folder = "."
	}
	if w.test.memory != nil {
		return w.watchInMemory(o, root, name, f)
	}
	if err := w.openWatches(); err != nil {
		return err
	}
	watch := &Watch{worker: w, name: base, folder: w.watches.newFolder()}
	watch.changed = w.NewTimer(f)
	err := w.runBlocking(o, opWatch, folderLane(root, name), func() (any, error) {
		return watch, watch.folder.open(root, folder, base)
	})
	if err == nil {
		w.watches.adding++
	}
	return err
}

// Close ends the watch: its function is not called any more.
func (t *Watch) Close() {
	t.worker.checkThread()
	if t.closed {
		return
	}
	t.closed = true
	t.changed.Stop()
	if t.stop != nil {
		t.stop()
		return
	}
	t.worker.watches.remove(t)
}

// touch notes a change; the function is called when no more is to be expected
// with it.
func (t *Watch) touch() {
	if !t.changed.Armed() {
		t.changed.Reset(watchMerge)
	}
}

// settleWatch enters what Watch has added.
func (w *Worker) settleWatch(o *Overlapped) {
	s := &w.watches
	s.adding--
	watch, _ := o.value.(*Watch)
	switch {
	case o.err != nil:
	case w.closing:
		watch.folder.discard()
		o.err = ErrPortClosed
	default:
		o.err = s.enter(watch)
	}
	if o.err != nil {
		o.value = nil
	}
	s.settled()
	if w.closing {
		s.shutdown()
	}
}
