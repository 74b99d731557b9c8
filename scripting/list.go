package scripting

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

var listFunctions = []binding{{
	"open", listOpen, `(options: {path: string, kind?: "cidr"|"host"|"exact"|"prefix"}) -> list or fail`,
	"Waits. Reads a file of one entry a line, watches it, and reads it again when it has changed. See [lists](#lists).",
}}

var listMethods = []binding{
	{"contains", listContains, "(value: bytes?) -> boolean", "Whether an entry covers a value. None covers `nil`."},
	{"close", listClose, "()", "Ends the watch; the entries stay."},
}

var listMeta = []binding{{
	"__len", listLen, "() -> integer",
	"The number of different entries; of addresses, networks and prefixes those that no other covers.",
}}

// list is a file of entries.
type list struct {
	state   *state
	object  *lua.LUserData
	path    string
	kind    listKind
	grant   *grant
	name    string // beneath the grant
	entries entrySet
	bytes   int // of the file that they are from
	watch   *completion.Watch
	reading bool
	changed bool // since reading has begun
}

func listOpen(s *state, L *lua.LState) int {
	L.CheckTable(1)
	o := argOptions(L, 1, "path", "kind")
	l := &list{state: s, path: o.text("path"), kind: listKinds[o.choice("kind", kindCIDR, kindHost, kindExact, kindPrefix)]}
	if l.path == "" {
		L.ArgError(1, "path is missing")
	}
	var err error
	if l.grant, l.name, err = s.filter.access.find(reading, l.path); err != nil {
		return giveError(L, err)
	}
	l.object = s.object(s.types.list, l)
	if l.watch, err = s.startWatch(L, l.grant, l.name, l.path, l.reload); err != nil {
		return giveError(L, err)
	}
	s.resources[l] = struct{}{} // for as long as the script runs, whoever asked for it
	defer func() {
		if l.entries == nil {
			l.release()
		}
	}()
	if err := l.read(L); err != nil {
		return giveError(L, err)
	}
	return give(L, l.object)
}

// read reads the file, until it has not changed meanwhile. It is read and parsed off
// the worker.
func (l *list) read(L *lua.LState) error {
	l.reading = true
	defer func() { l.reading = false }()
	for {
		l.changed = false
		var bad []badLine
		size := 0
		value, err := l.state.block(L, func() (any, error) {
			text, err := readList(l.grant.root, l.name)
			if err != nil {
				return nil, err
			}
			var entries entrySet
			entries, bad = parseEntries(l.kind, text)
			size = len(text)
			return entries, nil
		})
		if err != nil {
			return explain("read", l.path, err)
		}
		l.entries, _ = value.(entrySet)
		l.bytes = size
		l.report(bad)
		if !l.changed {
			return nil
		}
	}
}

// readList reads the file of a list.
func readList(root *completion.Root, name string) (string, error) {
	f, err := root.Open(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO has nothing to wait for
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // It was only read.
	text, err := io.ReadAll(io.LimitReader(f, maxStringSize+1))
	if err == nil && len(text) > maxStringSize {
		err = &codedError{fmt.Sprintf("it has more than %d MiB", maxStringSize>>20), "EFBIG"}
	}
	return string(text), err
}

// entryOverhead is how much more than its file a set of many short entries takes.
const entryOverhead = 4

// count estimates what the entries take.
func (l *list) count(c *census) { c.bytes += int64(entryOverhead * l.bytes) }

// maxBadLines is how many lines that are no entries the log names.
const maxBadLines = 10

func (l *list) report(bad []badLine) {
	logger := l.state.logger.With("path", l.path)
	for i, line := range bad {
		if i == maxBadLines {
			logger.Warn("more lines of the list are left out", "count", len(bad)-maxBadLines)
			break
		}
		logger.Warn("a line of the list is left out", "line", line.number, "error", line.err)
	}
	logger.Info("list read", slog.Int("entries", l.entries.size()))
}

// reload is told that the file has changed.
func (l *list) reload() {
	s := l.state
	l.changed = true
	if l.watch == nil || l.reading || s.closing {
		return
	}
	s.start(task{name: "the list " + l.path, end: s.background("list")}, s.reload, l.object)
}

// listReload reads a list again. If that fails the entries stay as they are.
func listReload(_ *state, L *lua.LState) int {
	l := argObject[*list](L, 1, "list")
	if err := l.read(L); err != nil {
		L.RaiseError("%s", fmt.Sprintf("the list stays as it is: %v", err))
	}
	return 0
}

func (l *list) release() {
	if l.watch != nil {
		delete(l.state.resources, l)
		l.state.endWatch(l.watch)
		l.watch = nil
	}
}

func listContains(_ *state, L *lua.LState) int {
	l := argObject[*list](L, 1, "list")
	if L.Get(2) == lua.LNil {
		return give(L, lua.LFalse)
	}
	return give(L, lua.LBool(l.entries.contains(argString(L, 2))))
}

func listLen(_ *state, L *lua.LState) int {
	return give(L, lua.LNumber(argObject[*list](L, 1, "list").entries.size()))
}

func listClose(_ *state, L *lua.LState) int {
	argObject[*list](L, 1, "list").release()
	return 0
}
