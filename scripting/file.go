package scripting

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// file is an open file of a script.
type file struct {
	state *state
	owner *conn // with which it is closed; nil: the state
	path  string
	how   string // it was opened
	grant *grant
	name  string // beneath the grant

	opening
	lost string   // why it was closed, if the script did not
	log  *logFile // in mode "a"; nil in others
}

// opening is what a file is opened as.
type opening struct {
	handle   *completion.Handle
	appender *completion.Appender // instead, of fwx.file.open in mode "a"
}

// fileModes are the modes in which a file can be opened.
var fileModes = map[string]struct {
	flags int
	needs []mode
}{
	"r":  {os.O_RDONLY, []mode{reading}},
	"r+": {os.O_RDWR, []mode{reading, writing}},
	"w":  {os.O_WRONLY | os.O_CREATE | os.O_TRUNC, []mode{writing}},
	"w+": {os.O_RDWR | os.O_CREATE | os.O_TRUNC, []mode{reading, writing}},
	"a":  {os.O_WRONLY | os.O_CREATE | os.O_APPEND, []mode{writing}},
}

const (
	modeRead   = "r"
	modeWrite  = "w"
	modeAppend = "a"
	knownModes = `"r", "r+", "w", "w+" or "a"`
)

var fileMethods = []binding{
	{
		"read", fileRead, "(offset: integer, n: integer) -> string? or fail",
		"Waits. Up to `n` bytes, at most 64 MiB; fewer at the end of the file. At or behind the end a single `nil`.",
	},
	{
		"read_all", fileReadAll, "(limit?: integer) -> string or fail",
		"Waits. From the beginning to the end. `\"EFBIG\"`: larger than `limit`, at most and otherwise 64 MiB.",
	},
	{
		"write", fileWrite, "(offset: integer, data: bytes) -> integer or fail",
		"Waits. The number of bytes written, which is all of them.",
	},
	{
		"append", fileAppend, "(record: bytes) -> true or fail",
		"Mode `\"a\"` only, see [appending](#appending). Waits if the file's queue is full.",
	},
	{"sync", fileSync, "() -> true or fail", "Waits until the data is on the disk. Not in mode `\"a\"`."},
	{"stat", fileStat, "() -> " + statResult, "Waits. As `fwx.file.stat`, of what the path names now."},
	{"close", fileClose, "() -> true", "Does not wait. Closing again does nothing."},
}

var fileFunctions = []binding{
	{
		"open", fileOpen, `(path: string, mode?: "r"|"r+"|"w"|"w+"|"a") -> file or fail`,
		"Waits. See [modes](#modes): `local f = assert(fwx.file.open(\"var/x\", \"w\"))`.",
	},
	{
		"read", readPath, "(path: string, limit?: integer) -> string or fail",
		"Waits. The content. `\"EFBIG\"`: larger than `limit`, at most and otherwise 64 MiB.",
	},
	{
		"write", writePath, "(path: string, data: bytes) -> true or fail",
		"Waits. Writes a file beside the old one, `path.0.tmp` for instance, and renames it: readers find the old content or " +
			"the new. A symbolic link is replaced by the file. What is there and no regular file, a FIFO for one, is written in " +
			"place.",
	},
	{
		"rename", renamePath, "(from: string, to: string) -> true or fail",
		"Waits. Both under the same entry of `write`, else `\"EXDEV\"`.",
	},
	{"remove", removePath, "(path: string) -> true or fail", "Waits. Removes a file or an empty directory; wants `write`."},
	{
		"list", listPath, "(path: string) -> string[] or fail",
		"Waits. The names in a directory, in order; up to 100,000, what is beyond is left out.",
	},
	{
		"stat", statPath, "(path: string) -> " + statResult,
		"Waits. `mtime` in seconds since 1970; `type`: `\"file\"`, `\"directory\"`, `\"fifo\"`, `\"socket\"` or `\"device\"`. " +
			"Links are followed. Wants `read` or `write`.",
	},
	{
		"mkdir", makeFolder, "(path: string) -> true or fail",
		"Waits. Makes a directory, with those above it that are missing; wants `write`. One that exists is no error.",
	},
	{
		"watch", watchPath, "(path: string, fn: fun(path: string)) -> watch or fail",
		"Waits. Calls `fn` when the file has changed, see [watches](#watches).",
	},
}

const statResult = "{size: integer, mtime: number, type: string} or fail"

// newFile resolves a path for a mode of opening.
func (s *state) newFile(path, how string) (*file, int, error) {
	m := fileModes[how]
	f := &file{state: s, path: path, how: how}
	for _, need := range m.needs {
		var err error
		if f.grant, f.name, err = s.filter.access.find(need, path); err != nil {
			return nil, 0, err
		}
	}
	return f, m.flags, nil
}

// argMode returns an argument that is a mode of opening; "r" if it is missing.
func argMode(L *lua.LState, n int) string {
	if L.Get(n) == lua.LNil {
		return modeRead
	}
	how := argString(L, n)
	if _, ok := fileModes[how]; !ok {
		L.ArgError(n, fmt.Sprintf("mode %s expected, got %q", knownModes, how))
	}
	return how
}

// openHandle opens a file and hooks it to the port.
func (s *state) openHandle(L *lua.LState, path, how string) (*file, error) {
	return s.openFile(L, path, how, func(f *file, flags int, o *completion.Overlapped) error {
		return s.worker.OpenFile(o, f.grant.root, f.name, flags, defaultFileMode)
	})
}

// openAppender opens a file that records are appended to.
func (s *state) openAppender(L *lua.LState, path string) (*file, error) {
	return s.openFile(L, path, modeAppend, func(f *file, _ int, o *completion.Overlapped) error {
		return s.worker.OpenAppender(o, f.grant.root, f.name, defaultFileMode)
	})
}

// openFile opens a file by what starts to. One in mode "a" is followed by its name.
func (s *state) openFile(L *lua.LState, path, how string, start func(*file, int, *completion.Overlapped) error) (*file, error) {
	f, flags, err := s.newFile(path, how)
	if err != nil {
		return nil, err
	}
	if err := s.admitFile(path); err != nil {
		return nil, err
	}
	if s.filter.trial && flags&(os.O_WRONLY|os.O_RDWR) != 0 {
		s.doubt = s.doubt || how != modeAppend
		f.grant, f.name, how = &grant{}, os.DevNull, modeWrite
	}
	open := func(L *lua.LState) (opening, error) {
		_, value, err := s.await(L, func(o *completion.Overlapped) error { return start(f, flags, o) })
		handle, _ := value.(*completion.Handle)
		appender, _ := value.(*completion.Appender)
		return opening{handle, appender}, err
	}
	if how == modeAppend {
		f.log, f.opening, err = s.followLog(L, f, open)
	} else {
		f.opening, err = open(L)
	}
	if err != nil {
		return nil, explain("open", path, err)
	}
	f.opened()
	if f.log != nil && f.log.again { // renamed meanwhile
		f.log.look()
	}
	return f, nil
}

// maxFiles bounds the files that a script has open on a worker.
const maxFiles = 4096

// admitFile refuses to open one file more than there may be.
func (s *state) admitFile(path string) error {
	if s.files < maxFiles {
		return nil
	}
	return &codedError{fmt.Sprintf("open %s: the script has %d files open on this worker already", path, s.files), "EMFILE"}
}

func (f *file) opened() {
	f.state.files++
	f.owner = f.state.track(f)
}

func fileOpen(s *state, L *lua.LState) int {
	path, how := argString(L, 1), argMode(L, 2)
	open := func() (*file, error) { return s.openHandle(L, path, how) }
	if how == modeAppend {
		open = func() (*file, error) { return s.openAppender(L, path) }
	}
	f, err := open()
	if err != nil {
		return giveError(L, err)
	}
	return give(L, s.fileObject(s.types.file, f))
}

// fileObject returns the object that a script has of a file. When the script has
// lost it, the file is closed.
func (s *state) fileObject(class *lua.LTable, f *file) *lua.LUserData {
	object, w := s.object(class, f), s.worker
	runtime.AddCleanup(object, func(f *file) {
		_ = w.Post(f.release) // after the end of the port it is closed
	}, f)
	return object
}

// release closes a file that the script has left open.
func (f *file) release() {
	if f.closed() != nil {
		return
	}
	f.lost = "the filter is shutting down"
	if f.owner != nil {
		f.lost = "it was opened in a handler of a connection that has ended: open files that are to last in on_init"
	}
	f.close()
}

func (f *file) close() {
	if f.closed() != nil {
		return
	}
	f.forget()
	if f.log != nil {
		f.log.end()
	}
	f.state.closeOpening(f.opening)
	f.opening = opening{}
}

// closeOpening closes what a file was opened as. What is in flight on a handle is aborted.
func (s *state) closeOpening(o opening) {
	if o.handle != nil {
		_ = o.handle.Close() // an error means that it is closed
	}
	if o.appender != nil {
		s.closeAppender(o.appender)
	}
}

func (f *file) forget() {
	f.state.files--
	f.state.untrack(f, f.owner)
	f.owner = nil // whose table the script may keep the file's object in
}

// handOver gives the open file to an answer. For the script it is closed.
func (f *file) handOver() *completion.Handle {
	f.forget()
	h := f.handle
	f.handle, f.lost = nil, "an answer has it, which closes it"
	return h
}

// closed returns the error of using a file that is closed; nil if it is open.
func (f *file) closed() error {
	if f.handle != nil || f.appender != nil {
		return nil
	}
	message := f.path + " is closed"
	if f.lost != "" {
		message += ": " + f.lost
	}
	return &codedError{message, codeClosed}
}

// argFile returns the file that a method is called on; the error says that it is closed.
func argFile(L *lua.LState) (*file, error) {
	f := argObject[*file](L, 1, "file")
	return f, f.closed()
}

// argHandle is argFile for a file that is not one to append to.
func argHandle(L *lua.LState, method string) (*file, error) {
	f, err := argFile(L)
	if f.appender != nil {
		L.RaiseError(`%s was opened with mode "a": it can be appended to, not %s`, f.path, method)
	}
	return f, err
}

func fileRead(s *state, L *lua.LState) int {
	f, err := argHandle(L, "read")
	offset, n := argInteger(L, 2, 0, maxExact), argInteger(L, 3, 0, maxStringSize)
	if err != nil {
		return giveError(L, err)
	}
	if n == 0 {
		return give(L, lua.LString(""))
	}
	buf := make([]byte, n)
	return s.awaitThen(L, readInto(f.handle, offset, buf), func(n int, _ any, err error) int {
		switch {
		case errors.Is(err, completion.ErrHandleEOF):
			return give(L, lua.LNil)
		case err != nil:
			return giveError(L, explain("read", f.path, err))
		}
		return s.giveBytes(L, buf[:n])
	})
}

// readable is what can be read at an offset.
type readable interface {
	ReadFile(ov *completion.OVERLAPPED, buf []byte) error
}

// readAt reads what fits into buf.
func (s *state) readAt(L *lua.LState, f readable, offset int64, buf []byte) ([]byte, error) {
	n, _, err := s.await(L, readInto(f, offset, buf))
	return buf[:n], err
}

// readInto starts to read at an offset.
func readInto(f readable, offset int64, buf []byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error {
		ov, err := o.GetOverlapped()
		if err != nil {
			return err
		}
		ov.Offset = offset
		return f.ReadFile(ov, buf)
	}
}

func fileReadAll(s *state, L *lua.LState) int {
	f, err := argHandle(L, "read")
	limit := optInteger(L, 2, 0, maxStringSize, maxStringSize)
	if err != nil {
		return giveError(L, err)
	}
	return s.giveAll(L, f, int(limit))
}

// firstRead is the first buffer of read_all.
const firstRead = 16 << 10

// giveAll returns a whole file to the script.
func (s *state) giveAll(L *lua.LState, f *file, limit int) int {
	var all []byte
	for {
		if len(all) == cap(all) {
			all = append(make([]byte, 0, max(firstRead, 2*cap(all))), all...)
		}
		part, err := s.readAt(L, f.handle, int64(len(all)), all[len(all):cap(all)])
		if errors.Is(err, completion.ErrHandleEOF) {
			return s.giveBytes(L, all)
		}
		if err != nil {
			return giveError(L, explain("read", f.path, err))
		}
		all = all[:len(all)+len(part)]
		if len(all) > limit {
			return giveError(L, &codedError{fmt.Sprintf("read %s: it is larger than %d bytes", f.path, limit), "EFBIG"})
		}
		if err := f.closed(); err != nil { // while it was being read
			return giveError(L, err)
		}
	}
}

func fileWrite(s *state, L *lua.LState) int {
	f, err := argHandle(L, "written at an offset")
	offset, data := argInteger(L, 2, 0, maxExact), s.argLasting(L, 3)
	if err != nil {
		return giveError(L, err)
	}
	if len(data) == 0 {
		return give(L, lua.LNumber(0))
	}
	return s.awaitThen(L, func(o *completion.Overlapped) error {
		ov, err := o.GetOverlapped()
		if err != nil {
			return err
		}
		ov.Offset = offset
		return f.handle.WriteFile(ov, data)
	}, func(n int, _ any, err error) int {
		if err != nil {
			return giveError(L, explain("write", f.path, err))
		}
		return give(L, lua.LNumber(n))
	})
}

// fileAppend appends a record. It waits only when the file's queue is full.
func fileAppend(s *state, L *lua.LState) int {
	f, err := argFile(L)
	record := s.argLasting(L, 2)
	if err != nil {
		return giveError(L, err)
	}
	if f.appender == nil {
		L.RaiseError(`%s was opened to be read or written: append wants mode "a"`, f.path)
	}
	if len(record) == 0 {
		return give(L, lua.LTrue)
	}
	s.meter.chargeBytes(len(record))
	w := s.fiberOf(L)
	o, err := w.operation()
	done := false
	if err == nil {
		done, err = f.appender.Append(o, record)
	}
	if done || err != nil {
		return giveDone(L, explain("append to", f.path, err))
	}
	return w.pauseFor(L, o, func(_ int, _ any, err error) int { return giveDone(L, explain("append to", f.path, err)) })
}

func fileSync(s *state, L *lua.LState) int {
	f, err := argHandle(L, "synced: it is written as soon as the disk takes it")
	if err != nil {
		return giveError(L, err)
	}
	return s.awaitThen(L, f.handle.Sync, func(_ int, _ any, err error) int { return giveDone(L, explain("sync", f.path, err)) })
}

func fileStat(s *state, L *lua.LState) int {
	f, err := argFile(L)
	if err != nil {
		return giveError(L, err)
	}
	return s.giveStat(L, f.grant, f.name, f.path)
}

// fileClose closes a file. To close it again does nothing.
func fileClose(_ *state, L *lua.LState) int {
	argObject[*file](L, 1, "file").close()
	return give(L, lua.LTrue)
}

func fileToString(_ *state, L *lua.LState) int {
	f := argObject[*file](L, 1, "file")
	text := "file " + f.path
	if f.closed() != nil {
		text += " (closed)"
	}
	return give(L, lua.LString(text))
}

// readPath reads a whole file.
func readPath(s *state, L *lua.LState) int {
	path, limit := argString(L, 1), optInteger(L, 2, 0, maxStringSize, maxStringSize)
	f, err := s.openHandle(L, path, modeRead)
	if err != nil {
		return giveError(L, err)
	}
	defer f.close()
	return s.giveAll(L, f, int(limit))
}

// writePath makes a file have a content: it is written beside it and renamed, so
// that whoever reads it finds the old content or the new, never a part.
func writePath(s *state, L *lua.LState) int {
	path, data := argString(L, 1), s.argLasting(L, 2)
	g, name, err := s.filter.access.find(writing, path)
	if err != nil {
		return giveError(L, err)
	}
	if s.filter.trial {
		return s.pretend(L)
	}
	return s.blockThen(L, func() (any, error) { return nil, replaceFile(g.root, name, data) },
		func(_ any, err error) int { return giveDone(L, explain("write", path, err)) })
}

// block runs what the system can only do in a blocking way, on a thread of the
// port's pool, and waits for it.
func (s *state) block(L *lua.LState, f func() (any, error)) (any, error) {
	_, value, err := s.await(L, func(o *completion.Overlapped) error { return s.worker.RunBlocking(o, f) })
	return value, err
}

// blockThen is block as the last thing that a function of the host does, see awaitThen.
func (s *state) blockThen(L *lua.LState, f func() (any, error), then func(value any, err error) int) int {
	return s.awaitThen(L, func(o *completion.Overlapped) error { return s.worker.RunBlocking(o, f) },
		func(_ int, value any, err error) int { return then(value, err) })
}

// replaceFile writes a file beside the one of that name and renames it.
func replaceFile(root *completion.Root, name string, data []byte) error {
	if info, err := root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return writeInPlace(root, name, data) // a FIFO or device is not replaced
	}
	temporary, f, err := createBeside(root, name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary) // the first error is the one to tell
	}
	return err
}

func writeInPlace(root *completion.Root, name string, data []byte) error {
	// Without O_NONBLOCK the open of a FIFO waits for a reader.
	f, err := root.Open(name, os.O_WRONLY|syscall.O_NONBLOCK, defaultFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// maxTemporary bounds the search for a name that is free.
const maxTemporary = 100

func createBeside(root *completion.Root, name string) (string, completion.File, error) {
	for i := 0; ; i++ {
		temporary := fmt.Sprintf("%s.%d.tmp", strings.TrimSuffix(name, "/"), i)
		f, err := root.Open(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, defaultFileMode)
		if err == nil || !errors.Is(err, os.ErrExist) || i == maxTemporary {
			return temporary, f, err
		}
	}
}
