package scripting

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// logFile follows the name of a file that is open in mode "a". Logs are rotated by
// renaming them: when the name stands for another file, or for none, the file is opened
// anew by it. What has been appended until then is in the old file, what comes is in the
// new one. If that cannot be opened the old one stays, and it is tried again.
type logFile struct {
	file *file
	open func(L *lua.LState) (opening, error)
	info fs.FileInfo // of what is open
	name *logName

	looking bool // a fiber does
	again   bool // there has been a reason to look since
	failed  bool // the log has been told
	retry   *completion.Timer
}

// logName is a name that files in mode "a" were opened by. It is watched.
type logName struct {
	state *state
	key   string            // in state.logNames
	watch *completion.Watch // nil: it does not stand
	err   error             // why
	logs  map[*logFile]struct{}
}

// reopenRetry lies between two tries to open a file anew.
const reopenRetry = time.Second

// followLog opens a file in mode "a" and follows its name. That is watched first, so that no
// change is missed.
func (s *state) followLog(L *lua.LState, f *file, open func(*lua.LState) (opening, error)) (*logFile, opening, error) {
	l := &logFile{file: f, open: open}
	l.retry = s.worker.NewTimer(l.look)
	opened := false
	defer func() {
		if !opened {
			l.end()
		}
	}()
	l.follow(L)
	o, info, err := l.opening(L)
	if err != nil {
		return nil, o, err
	}
	if err := l.name.err; err != nil {
		s.logger.Warn("the name of a file that is appended to is not watched: after it was renamed, SIGHUP opens it anew", "path", f.path, "error", err)
	}
	l.info, opened = info, true
	return l, o, nil
}

// follow has the name watched, together with others of the same name.
func (l *logFile) follow(L *lua.LState) {
	s, f := l.file.state, l.file
	key := f.grant.root.Path() + "\x00" + f.name
	n := s.logNames[key]
	if n != nil {
		n.logs[l], l.name = struct{}{}, n
		return
	}
	n = &logName{state: s, key: key, logs: map[*logFile]struct{}{l: {}}}
	s.logNames[key], l.name = n, n
	n.follow(L, f)
}

// opening opens the file and finds out which it is.
func (l *logFile) opening(L *lua.LState) (opening, fs.FileInfo, error) {
	o, err := l.open(L)
	switch {
	case err != nil:
		return opening{}, nil, err
	case o.appender != nil:
		return o, o.appender.Info(), nil
	}
	s, kept := l.file.state, false
	defer func() {
		if !kept {
			s.closeOpening(o)
		}
	}()
	_, value, err := s.await(L, o.handle.Stat)
	info, ok := value.(fs.FileInfo)
	if err != nil || !ok {
		return opening{}, nil, err
	}
	kept = true
	return o, info, nil
}

// end ends the following: the file is closed.
func (l *logFile) end() {
	l.retry.Stop()
	n := l.name
	if n == nil {
		return
	}
	l.name = nil
	delete(n.logs, l)
	if len(n.logs) > 0 {
		return
	}
	delete(n.state.logNames, n.key)
	n.unwatch()
}

// follow watches the name, from now on in the directory that there is now.
func (n *logName) follow(L *lua.LState, f *file) {
	n.unwatch()
	watch, err := n.state.startWatch(L, f.grant, f.name, f.path, n.changed)
	n.unwatch() // another has been faster
	n.watch, n.err = watch, err
	if len(n.logs) == 0 { // all were closed meanwhile
		n.unwatch()
	}
}

func (n *logName) unwatch() {
	if n.watch != nil {
		n.state.endWatch(n.watch)
		n.watch = nil
	}
}

// changed is told that something has happened to the name.
func (n *logName) changed() {
	for l := range n.logs {
		l.look()
	}
}

// reopen looks at all files in mode "a", for SIGHUP.
func (s *state) reopen() {
	for _, n := range s.logNames {
		n.changed()
	}
}

// look looks whether the name still stands for the file, on a fiber.
func (l *logFile) look() {
	f, s := l.file, l.file.state
	switch {
	case s.closing || s.L == nil || l.name == nil:
	case l.looking || l.info == nil: // it is being opened
		l.again = true
	default:
		l.looking = true
		s.start(task{name: "opening " + f.path + " anew", end: endingFunc(func(_ lua.LValue, err error) {
			l.looking = false
			if err != nil && !s.closing {
				s.logError("reopen", noConnection, err)
			}
		})}, s.reopenLog, s.object(s.types.file, f))
	}
}

// reopenLog opens a file anew if its name stands for another, until it does not change
// meanwhile.
func reopenLog(s *state, L *lua.LState) int {
	f := argObject[*file](L, 1, "file")
	l := f.log
	for again := true; again && f.closed() == nil; again = l.again {
		l.again = false
		err := l.renew(L)
		switch {
		case f.closed() != nil:
		case err == nil:
			l.failed = false
			l.retry.Stop()
		default:
			if !l.failed {
				s.logger.Error("a file that is appended to was renamed or removed, and cannot be opened anew: "+
					"the old one is written on; it is tried again", "path", f.path, "error", explain("open", f.path, err))
			}
			l.failed = true
			l.retry.Reset(reopenRetry)
		}
	}
	return 0
}

// renew opens the file anew if its name does not stand for it.
func (l *logFile) renew(L *lua.LState) error {
	f, s := l.file, l.file.state
	value, err := s.block(L, func() (any, error) { return f.grant.root.Stat(f.name) })
	info, _ := value.(fs.FileInfo)
	if err == nil && completion.SameFile(info, l.info) {
		return nil
	}
	if f.appender != nil && f.appender.Err() != nil { // what is queued would be lost with the old file
		return fmt.Errorf("what was appended before is not written yet: %w", f.appender.Err())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.name.follow(L, f) // its directory may be another one, too
	o, info, err := l.opening(L)
	if err != nil {
		return err
	}
	if f.closed() != nil { // meanwhile
		s.closeOpening(o)
		return nil
	}
	old := f.opening
	f.opening, l.info = o, info
	s.closeReplaced(old)
	s.logger.Info("a file that is appended to was renamed or removed, and is opened anew", "path", f.path)
	return nil
}

// closeReplaced closes what a file was opened as before, a handle when its last operation
// has ended.
func (s *state) closeReplaced(o opening) {
	if o.handle != nil {
		s.replaced[o.handle] = struct{}{}
		s.closeUnused(o.handle)
		return
	}
	s.closeOpening(o)
}

// closeUnused closes a handle that was replaced, if nothing is in flight on it.
func (s *state) closeUnused(h *completion.Handle) {
	if _, ok := s.replaced[h]; !ok {
		return
	}
	for v := range s.started {
		if v.on == h {
			return
		}
	}
	delete(s.replaced, h)
	_ = h.Close() // it was open
}
