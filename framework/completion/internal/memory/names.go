package memory

import (
	"cmp"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// isTop reports whether a directory is there without having been made.
func isTop(name string) bool { return name == "." || filepath.Dir(name) == name }

// find returns what a clean name stands for; nil: nothing.
func (s *System) find(name string) *node {
	if n := s.nodes[name]; n != nil {
		return n
	}
	if isTop(name) {
		return s.node(name, true)
	}
	return nil
}

// Mkdir makes a directory and those above it; one that is there is no error.
func (s *System) Mkdir(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mkdir(filepath.Clean(name))
}

func (s *System) mkdir(name string) error {
	if n := s.find(name); n != nil {
		if !n.folder {
			return &os.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if err := s.fault(OpMkdir, name); err != nil {
		return &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	if err := s.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	s.node(name, true)
	return nil
}

// Stat tells what a name stands for.
func (s *System) Stat(name string) (os.FileInfo, error) {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fault(OpStat, name)
	n := s.find(name)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return n.info(name), nil
}

// Rename gives a file or a directory another name.
func (s *System) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayRename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	for _, name := range slices.Collect(maps.Keys(s.nodes)) {
		if isBeneath(name, from) {
			s.nodes[to+name[len(from):]] = s.nodes[name]
			delete(s.nodes, name)
		}
	}
	s.nodes[to] = s.nodes[from]
	delete(s.nodes, from)
	s.changed(from)
	s.changed(to)
	s.gone(from)
	return nil
}

func (s *System) mayRename(from, to string) error {
	// A file may be written beside its name and renamed: who cannot write it, cannot do so either.
	err := cmp.Or(s.fault(OpRename, from), s.fault(OpRename, to), s.fault(OpWrite, to))
	folder := s.find(filepath.Dir(to))
	old, there := s.find(from), s.find(to)
	switch {
	case err != nil:
		return err
	case old == nil || folder == nil:
		return syscall.ENOENT
	case !folder.folder:
		return syscall.ENOTDIR
	case there != nil && there.folder:
		return syscall.EEXIST
	case from == to || isBeneath(to, from):
		return syscall.EINVAL
	}
	return nil
}

// Remove removes a file or an empty directory.
func (s *System) Remove(name string) error {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fault(OpRemove, name)
	switch n := s.find(name); {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case n.folder && len(s.list(name)) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	delete(s.nodes, name)
	s.changed(name)
	s.gone(name)
	return nil
}

// List returns the names in a directory, in order.
func (s *System) List(name string) ([]string, error) {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fault(OpList, name)
	switch n := s.find(name); {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case !n.folder:
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return s.list(name), nil
}

func (s *System) list(folder string) (names []string) {
	for name := range s.nodes {
		if name != folder && filepath.Dir(name) == folder {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

// Files returns the names of all files, in order.
func (s *System) Files() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.nodes {
		if !n.folder {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Watch calls f when a file has been made, written and closed, renamed or removed,
// until stop is called. f must not call back.
func (s *System) Watch(name string, f func()) (stop func(), err error) {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.fault(OpWatch, name)
	switch folder := s.find(filepath.Dir(name)); {
	case err != nil:
	case folder == nil:
		err = syscall.ENOENT
	case !folder.folder:
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &os.PathError{Op: "watch", Path: filepath.Dir(name), Err: err}
	}
	w := &watch{name, f}
	s.watches = append(s.watches, w)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watches = slices.DeleteFunc(s.watches, func(other *watch) bool { return other == w })
	}, nil
}

type watch struct {
	name string
	f    func()
}

func (s *System) changed(name string) {
	for _, w := range s.watches {
		if w.name == name {
			w.f()
		}
	}
}

// gone tells who watches something in a directory that this has gone.
func (s *System) gone(folder string) {
	for _, w := range s.watches {
		if filepath.Dir(w.name) == folder {
			w.f()
		}
	}
}

// Stat tells what is open.
func (fd *FD) Stat() (os.FileInfo, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	if fd.node == nil {
		return nil, syscall.EINVAL
	}
	return fd.node.info(fd.name), nil
}

// Truncate gives a file a size.
func (fd *FD) Truncate(size int64) error {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	if fd.node == nil || fd.node.folder || fd.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return syscall.EINVAL
	}
	if size < fd.node.size {
		kept := make([]byte, size)
		fd.node.readAt(kept, 0)
		fd.node.truncate()
		fd.node.writeAt(kept, 0)
	}
	fd.node.size, fd.written = size, true
	return nil
}

// info is what Stat tells.
type info struct {
	name     string
	size     int64
	folder   bool
	modified time.Time
	node     *node
}

func (n *node) info(name string) info {
	return info{filepath.Base(name), n.size, n.folder, n.modified, n}
}

// SameFile reports whether two infos are of the same file of a System.
func SameFile(a, b os.FileInfo) bool {
	one, ok := a.(info)
	other, both := b.(info)
	return ok && both && one.node == other.node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.folder }
func (i info) ModTime() time.Time { return i.modified }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// File is an open file for who reads and writes it from the front to the back.
type File struct {
	fd *FD
	at int64
}

// OpenFile opens a file, or a directory to be listed, as os.OpenFile does.
func (s *System) OpenFile(name string, flag int) (*File, error) {
	fd, err := s.Open(name, flag)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &File{fd: fd}, nil
}

// Read reads on.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.fd.ReadAt(p, f.at)
	f.at += int64(n)
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes on.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.fd.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// Readdirnames lists the directory, whatever n is.
func (f *File) Readdirnames(int) ([]string, error) { return f.fd.system.List(f.fd.name) }

// Close closes the file.
func (f *File) Close() error {
	f.fd.Close()
	return nil
}
