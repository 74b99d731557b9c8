package completion

import (
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Watch calls a function when a file has changed. Like everything of a worker
// it is used on that worker only.
type Watch struct {
	worker  *Worker
	name    string // in its directory
	number  int    // of the kernel's watch of the directory
	changed *Timer
	closed  bool
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
// is moved or removed, f is called and the watch has ended.
func (w *Worker) Watch(o *Overlapped, root *Root, name string, f func()) error {
	folder, base := filepath.Split(name)
	if f == nil || base == "" || base == "." || base == ".." {
		return ErrInvalidArgument
	}
	if folder == "" {
		folder = "."
	}
	if err := w.openWatches(); err != nil {
		return err
	}
	watch := &Watch{worker: w, name: base}
	watch.changed = w.NewTimer(f)
	inotify := w.watches.handle.fd
	err := w.runBlocking(o, opWatch, folderLane(root, name), func() (_ any, err error) {
		watch.number, err = addWatch(inotify, root, folder)
		return watch, err
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
	t.worker.watches.remove(t)
}

// touch notes a change; the function is called when no more is to be expected
// with it.
func (t *Watch) touch() {
	if !t.changed.Armed() {
		t.changed.Reset(watchMerge)
	}
}

// watches is what a worker watches, through one inotify.
type watches struct {
	handle *Handle
	read   *Overlapped
	buf    []byte
	folder map[int][]*Watch // by the kernel's number for the directory
	adding int              // on a thread of the pool
	stale  []int            // numbers that nobody uses; removed when none is being added
}

const (
	watchEvents = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	watchFolderGone = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_IGNORED | unix.IN_UNMOUNT
	watchBuffer     = 16 << 10
)

// openWatches opens the worker's inotify, the first time.
func (w *Worker) openWatches() error {
	w.checkThread()
	if w.watches.handle != nil {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return err
	}
	h, err := w.HookToCompletionPort(fd)
	if err != nil {
		closeFD(fd)
		return err
	}
	s := &w.watches
	s.handle, s.read = h, w.internalOverlapped(s)
	s.buf, s.folder = make([]byte, watchBuffer), make(map[int][]*Watch)
	return h.ReadFile(&s.read.ov, s.buf)
}

// addWatch resolves a directory beneath root and has it watched, under a
// number that is the same for the same directory.
func addWatch(inotify int, root *Root, folder string) (int, error) {
	dir, err := openAt(root, folder, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return 0, err
	}
	defer closeFD(dir)
	var number int
	err = ignoringEINTR(func() (err error) {
		number, err = unix.InotifyAddWatch(inotify, "/proc/self/fd/"+strconv.Itoa(dir), watchEvents)
		return err
	})
	return number, pathError("watch", root.join(folder), err)
}

// settleWatch enters what Watch has added.
func (w *Worker) settleWatch(o *Overlapped) {
	s := &w.watches
	s.adding--
	watch, _ := o.value.(*Watch)
	switch {
	case o.err != nil:
		o.value = nil
	case w.closing:
		o.value, o.err = nil, ErrPortClosed
	default:
		s.folder[watch.number] = append(s.folder[watch.number], watch)
	}
	s.sweep()
	if w.closing {
		s.shutdown()
	}
}

// remove forgets a watch.
func (s *watches) remove(t *Watch) {
	users := s.folder[t.number]
	for i, u := range users {
		if u == t {
			users = append(users[:i], users[i+1:]...)
			break
		}
	}
	s.folder[t.number] = users
	if len(users) == 0 {
		s.stale = append(s.stale, t.number)
		s.sweep()
	}
}

// sweep removes the kernel's watches that nobody uses. As long as one is being
// added it might be one of them, under the same number.
func (s *watches) sweep() {
	if s.adding > 0 {
		return
	}
	for _, number := range s.stale {
		if users, ok := s.folder[number]; ok && len(users) == 0 {
			delete(s.folder, number)
			removeWatch(s.handle, number)
		}
	}
	s.stale = s.stale[:0]
}

func removeWatch(h *Handle, number int) {
	if !h.Closed() {
		_, _ = unix.InotifyRmWatch(h.fd, uint32(number)) // EINVAL: the directory has gone
	}
}

// CompleteAsyncIO takes the events to the watches and reads on.
func (s *watches) CompleteAsyncIO(_ bool, bytes int, err error, o *Overlapped, _ any) {
	if s.handle.Closed() {
		return
	}
	if err != nil {
		o.worker.logger.Error("watching files has ended", "error", err)
		return
	}
	for events := s.buf[:bytes]; len(events) >= unix.SizeofInotifyEvent; {
		var e inotifyEvent
		e, events = nextInotifyEvent(events)
		s.dispatch(e)
	}
	if err := s.handle.ReadFile(&o.ov, s.buf); err != nil {
		o.worker.logger.Error("watching files has ended", "error", err)
	}
}

func (s *watches) dispatch(e inotifyEvent) {
	if e.mask&unix.IN_Q_OVERFLOW != 0 { // some events are lost, so anything may have changed
		for number := range s.folder {
			s.touch(number, "")
		}
		return
	}
	gone := e.mask&watchFolderGone != 0
	if gone {
		e.name = ""
	}
	if gone || e.name != "" {
		s.touch(e.number, e.name)
	}
}

// touch notes a change of a file, or with an empty name of all of a directory.
func (s *watches) touch(number int, name string) {
	for _, t := range s.folder[number] {
		if name == "" || name == t.name {
			t.touch()
		}
	}
}

// shutdown ends the watching, as soon as no thread of the pool uses the inotify.
func (s *watches) shutdown() {
	if s.handle != nil && !s.handle.Closed() && s.adding == 0 {
		_ = s.handle.Close() // it was open
	}
}
