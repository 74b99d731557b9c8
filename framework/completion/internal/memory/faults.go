package memory

import (
	"path/filepath"
	"slices"
	"strings"
)

// The operations that a fault may be about.
const (
	OpOpen   = "open"
	OpRead   = "read"
	OpWrite  = "write"
	OpSync   = "sync"
	OpStat   = "stat"
	OpList   = "list"
	OpMkdir  = "mkdir"
	OpRename = "rename" // of either name
	OpRemove = "remove"
	OpWatch  = "watch"
)

// Ops is all of them.
var Ops = []string{OpOpen, OpRead, OpWrite, OpSync, OpStat, OpList, OpMkdir, OpRename, OpRemove, OpWatch}

// fault is an error that operations on a file, or on all beneath a directory, meet with.
type fault struct {
	name string
	op   string // empty: all
	err  error
}

// Fail has an operation, or with an empty op all of them, fail on a file, or on
// everything beneath a directory, until Mend.
func (s *System) Fail(name, op string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fault{filepath.Clean(name), op, err})
}

// Mend ends what Fail has begun for a name.
func (s *System) Mend(name string) {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f fault) bool { return f.name == name })
}

// Sync returns the fault that a sync meets with.
func (fd *FD) Sync() error {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	return fd.system.fault(OpSync, fd.name)
}

// fault returns what an operation on a name fails with; the last that was said counts.
func (s *System) fault(op, name string) error {
	for _, f := range slices.Backward(s.faults) {
		if (f.op == "" || f.op == op) && (f.name == name || isBeneath(name, f.name)) {
			return f.err
		}
	}
	return nil
}

// isBeneath reports whether a clean name is that of something in a directory.
func isBeneath(name, folder string) bool {
	if isTop(folder) {
		return name != folder
	}
	rest, ok := strings.CutPrefix(name, folder)
	return ok && rest != "" && rest[0] == filepath.Separator
}
