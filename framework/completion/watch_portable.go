//go:build unix && (!linux || portable)

package completion

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// watchPeriod is how long a change may go unseen.
const watchPeriod = 250 * time.Millisecond

// watchedFolder is a directory, and a file in it that a thread of the pool looks at
// again and again.
type watchedFolder struct {
	root  *Root
	path  string
	first glance // when the watch began
	told  glance // what the function was last called for
	last  glance
	look  *Timer
	ov    *Overlapped
}

// glance is what a look has found.
type glance struct {
	folder os.FileInfo
	file   os.FileInfo // nil: there is none
}

// same reports whether the file is as it was.
func (g glance) same(before glance) bool {
	if g.file == nil || before.file == nil {
		return g.file == nil && before.file == nil
	}
	return os.SameFile(g.file, before.file) && g.file.Size() == before.file.Size() && g.file.ModTime().Equal(before.file.ModTime())
}

// open takes the first look.
func (f *watchedFolder) open(root *Root, folder, name string) (err error) {
	f.root, f.path = root, folder
	f.first, err = f.glance(name)
	if err == nil && !f.first.folder.IsDir() {
		err = pathError("watch", root.join(folder), errNotDirectory)
	}
	return err
}

// glance looks at the directory and the file. Only the directory has to be there.
func (f *watchedFolder) glance(name string) (g glance, err error) {
	stat, lstat := os.Stat, os.Lstat
	if f.root != nil {
		stat, lstat = f.root.tree.Stat, f.root.tree.Lstat
	}
	if g.folder, err = stat(f.path); err != nil {
		return glance{}, err
	}
	if info, err := lstat(filepath.Join(f.path, name)); err == nil {
		g.file = info
	}
	return g, nil
}

// discard gives up a directory that no watch was entered for.
func (f *watchedFolder) discard() {}

// enter begins to look again and again.
func (s *watches) enter(t *Watch) error {
	f := &t.folder
	f.told, f.last = f.first, f.first
	f.ov = t.worker.internalOverlapped((*watchLook)(t))
	f.look = t.worker.NewTimer(t.look)
	f.look.Reset(watchPeriod)
	if s.all == nil {
		s.all = make(map[*Watch]struct{})
	}
	s.all[t] = struct{}{}
	return nil
}

// look has a thread of the pool look.
func (t *Watch) look() {
	f := &t.folder
	err := t.worker.runBlocking(f.ov, opTask, folderLane(f.root, f.path), func() (any, error) { return f.glance(t.name) })
	if err != nil { // only after Shutdown
		t.worker.watches.remove(t)
	}
}

// watchLook is a Watch as the notification of its looks.
type watchLook Watch

// CompleteAsyncIO compares what was seen with what was before.
func (l *watchLook) CompleteAsyncIO(_ bool, _ int, err error, o *Overlapped, _ any) {
	t := (*Watch)(l)
	if now, ok := o.TakeValue().(glance); ok && !t.closed {
		t.looked(now, err)
	}
}

// looked takes a change to the function when the next look has found no other: a
// file that is being written is left alone until it is finished.
func (t *Watch) looked(now glance, err error) {
	f := &t.folder
	if err != nil || !os.SameFile(now.folder, f.first.folder) { // the directory has gone
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.worker.logger.Warn("watching a file has ended", "name", t.name, "error", err)
		}
		t.touch()
		t.worker.watches.remove(t)
		return
	}
	settled := now.same(f.last)
	f.last = now
	if !settled {
		f.look.Reset(watchMerge)
		return
	}
	if !now.same(f.told) {
		f.told = now
		t.touch()
	}
	f.look.Reset(watchPeriod)
}

// settled is called when one watch less is being added.
func (s *watches) settled() {}

// remove forgets a watch.
func (s *watches) remove(t *Watch) {
	if _, ok := s.all[t]; ok {
		delete(s.all, t)
		t.folder.look.Stop()
	}
}

// shutdown ends the watching.
func (s *watches) shutdown() {
	for t := range s.all {
		s.remove(t)
	}
}
