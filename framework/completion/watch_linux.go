//go:build !portable

package completion

import (
	"strconv"

	"golang.org/x/sys/unix"
)

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

// watchedFolder is a directory that an inotify watches, under a number that is
// the same for the same directory.
type watchedFolder struct{ inotify, number int }

func (s *watches) newFolder() watchedFolder { return watchedFolder{inotify: s.handle.fd} }

// open resolves a directory beneath root and has it watched.
func (f *watchedFolder) open(root *Root, folder, _ string) error {
	dir, err := openAt(root, folder, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return err
	}
	defer closeFD(dir)
	err = ignoringEINTR(func() (err error) {
		f.number, err = unix.InotifyAddWatch(f.inotify, "/proc/self/fd/"+strconv.Itoa(dir), watchEvents)
		return err
	})
	return pathError("watch", root.join(folder), err)
}

// discard gives up a directory that no watch was entered for; the number may be
// in use, and with the worker's inotify it ends anyway.
func (f *watchedFolder) discard() {}

// enter notes a watch that stands.
func (s *watches) enter(t *Watch) error {
	s.folder[t.folder.number] = append(s.folder[t.folder.number], t)
	return nil
}

// settled is called when one watch less is being added.
func (s *watches) settled() { s.sweep() }

// remove forgets a watch.
func (s *watches) remove(t *Watch) {
	users := s.folder[t.folder.number]
	for i, u := range users {
		if u == t {
			users = append(users[:i], users[i+1:]...)
			break
		}
	}
	s.folder[t.folder.number] = users
	if len(users) == 0 {
		s.stale = append(s.stale, t.folder.number)
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
