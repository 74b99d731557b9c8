package scripting

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// statPath describes a file: size, mtime, type.
func statPath(s *state, L *lua.LState) int {
	path := argString(L, 1)
	g, name, err := s.filter.access.find(reading, path)
	if err != nil {
		var ok error
		if g, name, ok = s.filter.access.find(writing, path); ok != nil {
			return giveError(L, err)
		}
	}
	return s.giveStat(L, g, name, path)
}

func (s *state) giveStat(L *lua.LState, g *grant, name, path string) int {
	return s.blockThen(L, func() (any, error) { return g.root.Stat(name) }, func(value any, err error) int {
		info, ok := value.(fs.FileInfo)
		if err != nil || !ok {
			return giveError(L, explain("stat", path, err))
		}
		t := L.NewTable()
		t.RawSetString("size", lua.LNumber(info.Size()))
		t.RawSetString("mtime", lua.LNumber(float64(info.ModTime().UnixNano())/nanoseconds))
		t.RawSetString("type", lua.LString(typeName(info.Mode())))
		return give(L, t)
	})
}

// typeName names the type of a file.
func typeName(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// maxListed bounds the entries of a directory that are listed.
const maxListed = 100_000

// listPath lists a directory: the names in it, in order.
func listPath(s *state, L *lua.LState) int {
	path := argString(L, 1)
	g, name, err := s.filter.access.find(reading, path)
	if err != nil {
		return giveError(L, err)
	}
	return s.blockThen(L, func() (any, error) { return listFolder(g, name) }, func(value any, err error) int {
		names, _ := value.([]string)
		if err != nil {
			return giveError(L, explain("list", path, err))
		}
		s.meter.charge(len(names))
		t := L.CreateTable(len(names), 0)
		for _, n := range names {
			t.Append(lua.LString(n))
		}
		return give(L, t)
	})
}

func listFolder(g *grant, name string) ([]string, error) {
	f, err := g.root.Open(name, folderFlags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // It is only read.
	names, err := f.Readdirnames(maxListed)
	if errors.Is(err, io.EOF) { // an empty directory
		err = nil
	}
	slices.Sort(names)
	return names, err
}

func removePath(s *state, L *lua.LState) int {
	return s.change(L, "remove", func(g *grant, name string) error { return g.root.Remove(name) })
}

// makeFolder makes a directory and those above it that are missing.
func makeFolder(s *state, L *lua.LState) int {
	return s.change(L, "mkdir", func(g *grant, name string) error { return g.root.MkdirAll(name, defaultFolderMode) })
}

// change does something to the file whose path is the first argument.
func (s *state) change(L *lua.LState, verb string, do func(g *grant, name string) error) int {
	path := argString(L, 1)
	g, name, err := s.filter.access.find(writing, path)
	if err != nil {
		return giveError(L, err)
	}
	if s.filter.trial {
		return s.pretend(L)
	}
	return s.blockThen(L, func() (any, error) { return nil, do(g, name) },
		func(_ any, err error) int { return giveDone(L, explain(verb, path, err)) })
}

// renamePath renames a file within one entry of [filter.allow].
func renamePath(s *state, L *lua.LState) int {
	from, to := argString(L, 1), argString(L, 2)
	g, oldName, err := s.filter.access.find(writing, from)
	if err != nil {
		return giveError(L, err)
	}
	other, newName, err := s.filter.access.find(writing, to)
	if err != nil {
		return giveError(L, err)
	}
	if other != g && other.folder != g.folder {
		return giveError(L, &codedError{"rename " + from + ": " + to + " is under another entry of write in [filter.allow]", "EXDEV"})
	}
	if s.filter.trial {
		return s.pretend(L)
	}
	return s.blockThen(L, func() (any, error) { return nil, g.root.Rename(oldName, newName) },
		func(_ any, err error) int { return giveDone(L, explain("rename", from, err)) })
}

// maxWatches bounds the watches of a script on a worker.
const maxWatches = 1024

// watch calls a function of the script when a file has changed.
type watch struct {
	state  *state
	fn     *lua.LFunction
	path   string
	watch  *completion.Watch
	closed bool
}

func (w *watch) count(c *census) { c.add(w.fn) }

var watchMethods = []binding{{"close", watchClose, "()", "Ends the watch."}}

func watchPath(s *state, L *lua.LState) int {
	w := &watch{state: s, path: argString(L, 1), fn: argFunction(L, 2)}
	g, name, err := s.filter.access.find(reading, w.path)
	if err != nil {
		return giveError(L, err)
	}
	if w.watch, err = s.startWatch(L, g, name, w.path, w.changed); err != nil {
		return giveError(L, err)
	}
	s.resources[w] = struct{}{} // for as long as the script runs, whoever asked for it
	return give(L, s.object(s.types.watch, w))
}

// startWatch watches a file of a grant. path is what errors call it.
func (s *state) startWatch(L *lua.LState, g *grant, name, path string, changed func()) (*completion.Watch, error) {
	if s.watches >= maxWatches {
		return nil, &codedError{fmt.Sprintf("watch %s: the script has %d watches on this worker already", path, s.watches), codeFull}
	}
	_, value, err := s.await(L, func(o *completion.Overlapped) error {
		return s.worker.Watch(o, g.root, name, changed)
	})
	w, ok := value.(*completion.Watch)
	if err != nil || !ok {
		return nil, explain("watch", path, err)
	}
	s.watches++
	return w, nil
}

func (s *state) endWatch(w *completion.Watch) {
	s.watches--
	w.Close()
}

func (w *watch) changed() {
	if w.closed || w.state.closing {
		return
	}
	w.state.start(task{name: "the watch of " + w.path, end: w.state.background("watch")}, w.fn, lua.LString(w.path))
}

func (w *watch) release() {
	if !w.closed {
		w.closed = true
		delete(w.state.resources, w)
		w.state.endWatch(w.watch)
	}
}

func watchClose(_ *state, L *lua.LState) int {
	argObject[*watch](L, 1, "watch").release()
	return 0
}
