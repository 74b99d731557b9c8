package scripting

import (
	"errors"
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
	value, err := s.block(L, func() (any, error) { return g.os.Stat(name) })
	info, ok := value.(fs.FileInfo)
	if err != nil || !ok {
		return giveError(L, explain("stat", path, err))
	}
	t := L.NewTable()
	t.RawSetString("size", lua.LNumber(info.Size()))
	t.RawSetString("mtime", lua.LNumber(float64(info.ModTime().UnixNano())/nanoseconds))
	t.RawSetString("type", lua.LString(typeName(info.Mode())))
	return give(L, t)
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
	value, err := s.block(L, func() (any, error) { return listFolder(g, name) })
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
}

func listFolder(g *grant, name string) ([]string, error) {
	f, err := g.os.OpenFile(name, folderFlags, 0)
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
	return s.change(L, "remove", func(g *grant, name string) error { return g.os.Remove(name) })
}

// makeFolder makes a directory and those above it that are missing.
func makeFolder(s *state, L *lua.LState) int {
	return s.change(L, "mkdir", func(g *grant, name string) error { return g.os.MkdirAll(name, defaultFolderMode) })
}

// change does something to the file whose path is the first argument.
func (s *state) change(L *lua.LState, verb string, do func(g *grant, name string) error) int {
	path := argString(L, 1)
	g, name, err := s.filter.access.find(writing, path)
	if err != nil {
		return giveError(L, err)
	}
	_, err = s.block(L, func() (any, error) { return nil, do(g, name) })
	return giveDone(L, explain(verb, path, err))
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
	_, err = s.block(L, func() (any, error) { return nil, g.os.Rename(oldName, newName) })
	return giveDone(L, explain("rename", from, err))
}

// watch calls a function of the script when a file has changed.
type watch struct {
	state  *state
	fn     *lua.LFunction
	path   string
	watch  *completion.Watch
	closed bool
}

var watchMethods = []binding{{"close", watchClose}}

func watchPath(s *state, L *lua.LState) int {
	w := &watch{state: s, path: argString(L, 1), fn: argFunction(L, 2)}
	g, name, err := s.filter.access.find(reading, w.path)
	if err != nil {
		return giveError(L, err)
	}
	_, value, err := s.await(L, func(o *completion.Overlapped) error {
		return s.worker.Watch(o, g.root, name, w.changed)
	})
	if err != nil {
		return giveError(L, explain("watch", w.path, err))
	}
	w.watch, _ = value.(*completion.Watch)
	s.resources[w] = struct{}{} // for as long as the script runs, whoever asked for it
	return give(L, s.object(s.types.watch, w))
}

func (w *watch) changed() {
	if w.closed || w.state.closing {
		return
	}
	w.state.start(task{
		name: "the watch of " + w.path, fn: w.fn, args: [5]lua.LValue{lua.LString(w.path)}, nargs: 1,
		end: w.state.background("watch"),
	})
}

func (w *watch) release() {
	if !w.closed {
		w.closed = true
		delete(w.state.resources, w)
		w.watch.Close()
	}
}

func watchClose(_ *state, L *lua.LState) int {
	argObject[*watch](L, 1, "watch").release()
	return 0
}
