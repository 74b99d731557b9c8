package main

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"fwx/framework"
)

const (
	// settleTime is how long nothing must happen before a file counts as saved.
	settleTime = 100 * time.Millisecond
	// settleLimit is how long that may be put off.
	settleLimit = 2 * time.Second
	// lookInterval is how often files are looked at in any case: not all file
	// systems tell of changes, and scripts require further modules as they run.
	lookInterval = 2 * time.Second
	// oldEnough is how long ago a file must have been written for another write to
	// have another time: some file systems count in steps of two seconds.
	oldEnough = 4 * time.Second
)

// fileSum is the hash of a file's content; zero: it cannot be read.
type fileSum = [sha256.Size]byte

func sumOf(path string) fileSum {
	content, err := os.ReadFile(path) //nolint:gosec // the operator says which file
	if err != nil {
		return fileSum{}
	}
	return sha256.Sum256(content)
}

// fileState is what a file was when it was looked at.
type fileState struct {
	info    os.FileInfo // nil: none was to be had
	settled bool        // a file that is as info says has the same content
	sum     fileSum
}

func stateOf(path string) (s fileState) {
	if info, err := os.Stat(path); err == nil { // before it is read: what is written from now on is seen the next time
		s.info, s.settled = info, time.Since(info.ModTime()) > oldEnough
	}
	s.sum = sumOf(path)
	return s
}

// stands reports whether a file is still what it was, without reading it.
func (s fileState) stands(path string) bool {
	if !s.settled {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, s.info) && info.Size() == s.info.Size() && info.ModTime().Equal(s.info.ModTime())
}

// watcher tells when the content of files has changed. It watches their
// directories, so that it does not matter how an editor saves: in place, by a
// rename, or by an exchange of links.
type watcher struct {
	logger  *slog.Logger
	notify  *fsnotify.Watcher    // nil: the system does not tell of changes
	stirred chan struct{}        // something of interest has happened in the directories
	heard   chan struct{}        // closed when nothing is heard any more
	enabled bool                 // files are looked at
	seen    map[string]fileState // the files when they were looked at last
	touched bool                 // something happened in the directories since
	began   time.Time            // when the first of it did
}

func newWatcher(logger *slog.Logger) *watcher {
	w := &watcher{
		logger: logger, seen: make(map[string]fileState),
		stirred: make(chan struct{}, 1), heard: make(chan struct{}),
	}
	var err error
	if w.notify, err = fsnotify.NewWatcher(); err != nil {
		logger.Warn("changes of files are noticed late", "error", err, "after", lookInterval.String())
		close(w.heard)
		return w
	}
	go w.hear()
	return w
}

func (w *watcher) close() {
	if w.notify != nil {
		_ = w.notify.Close() // the program ends
	}
	<-w.heard
}

// hear takes what the system tells, until the end. It is a goroutine of its own
// because on Windows a directory is added by the one that tells: who asks for that
// must not be whom it waits for.
func (w *watcher) hear() {
	defer close(w.heard)
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if !ofInterest(e) {
				continue
			}
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.logger.Warn("watching files", "error", err)
		}
		select {
		case w.stirred <- struct{}{}:
		default: // the one that waits there says it all
		}
	}
}

// ofInterest reports whether an event can be of a file that was saved.
func ofInterest(e fsnotify.Event) bool {
	return e.Has(fsnotify.Write | fsnotify.Create | fsnotify.Remove | fsnotify.Rename)
}

// saw notes that something of interest has happened and returns when to look.
func (w *watcher) saw() time.Duration {
	if !w.touched {
		w.touched, w.began = true, time.Now()
	}
	return max(min(settleTime, settleLimit-time.Since(w.began)), time.Millisecond)
}

// look reports whether a file has changed since the last look, or, the first time,
// since it was read; and whether something has happened in the directories. If nothing
// has, as far as the system tells, only files that seem to have changed are read.
func (w *watcher) look(files []framework.File) (changed, touched bool) {
	touched, w.touched = w.touched, false
	if !w.enabled {
		files = nil
	}
	w.follow(files)
	seen := make(map[string]fileState, len(files))
	for _, f := range files {
		before, ok := w.seen[f.Path]
		switch {
		case !ok:
			before = fileState{sum: f.Sum}
		case !touched && before.stands(f.Path):
			seen[f.Path] = before
			continue
		}
		seen[f.Path] = stateOf(f.Path)
		changed = changed || seen[f.Path].sum != before.sum
	}
	w.seen = seen
	return changed, touched
}

// follow watches the directories of the files and no others.
func (w *watcher) follow(files []framework.File) {
	if w.notify == nil {
		return
	}
	var wanted []string
	for _, f := range files {
		wanted = append(wanted, filepath.Dir(f.Path))
	}
	watched := w.notify.WatchList()
	for _, folder := range wanted {
		if !slices.Contains(watched, folder) {
			if err := w.notify.Add(folder); err != nil {
				w.logger.Debug("watching a directory", "path", folder, "error", err)
			}
		}
	}
	for _, folder := range watched {
		if !slices.Contains(wanted, folder) {
			_ = w.notify.Remove(folder) // it is watched
		}
	}
}
