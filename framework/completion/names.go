package completion

import (
	"io"
	"os"
	"path/filepath"

	"fwx/framework/completion/internal/memory"
)

// names is what can be done with the names of files, in a blocking way: with all of
// the system's, or with those beneath a directory, which no name leads out of.
type names interface {
	// Stat tells what a name stands for.
	Stat(name string) (os.FileInfo, error)
	// Open opens a file, or a directory to be listed, as os.OpenFile does.
	Open(name string, flag int, perm os.FileMode) (File, error)
	// Rename gives a file another name, whose former file it replaces.
	Rename(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// MkdirAll makes a directory and those above it that are missing.
	MkdirAll(name string, perm os.FileMode) error
}

// File is what Root.Open returns, for a thread that may block.
type File interface {
	io.ReadWriteCloser
	// Readdirnames returns up to n names in a directory, in any order.
	Readdirnames(n int) ([]string, error)
}

// systemNames are those of the whole system.
type systemNames struct{}

func (systemNames) Stat(name string) (os.FileInfo, error)        { return os.Stat(name) }
func (systemNames) Rename(oldName, newName string) error         { return os.Rename(oldName, newName) }
func (systemNames) Remove(name string) error                     { return os.Remove(name) }
func (systemNames) MkdirAll(name string, perm os.FileMode) error { return os.MkdirAll(name, perm) }

func (systemNames) Open(name string, flag int, perm os.FileMode) (File, error) {
	return opened(os.OpenFile(name, flag, perm)) //nolint:gosec // the caller says which file
}

// treeNames are those beneath a directory.
type treeNames struct{ *os.Root }

func (t treeNames) Open(name string, flag int, perm os.FileMode) (File, error) {
	return opened(t.OpenFile(name, flag, perm))
}

// opened keeps a nil *os.File from becoming a File.
func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// memoryNames are those of the memory of a test.
type memoryNames struct{ system *memory.System }

func (m memoryNames) Stat(name string) (os.FileInfo, error)     { return m.system.Stat(name) }
func (m memoryNames) Rename(oldName, newName string) error      { return m.system.Rename(oldName, newName) }
func (m memoryNames) Remove(name string) error                  { return m.system.Remove(name) }
func (m memoryNames) MkdirAll(name string, _ os.FileMode) error { return m.system.Mkdir(name) }
func (m memoryNames) Open(name string, flag int, _ os.FileMode) (File, error) {
	f, err := m.system.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// memoryRoot is those beneath a directory of it.
type memoryRoot struct {
	memoryNames
	root *Root
}

// openRootInMemory is OpenRoot in the memory of a test.
func openRootInMemory(m *memory.System, path string) (*Root, error) {
	info, err := m.Stat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: errNotDirectory}
	}
	if err != nil {
		return nil, err
	}
	r := &Root{path: path}
	r.names = memoryRoot{memoryNames{m}, r}
	return r, nil
}

// inMemory returns the whole name of one beneath a root. There are no symbolic
// links, so the name says where it leads.
func (r *Root) inMemory(name string) (string, error) {
	if r != nil && !filepath.IsLocal(name) {
		return "", &os.PathError{Op: "open", Path: name, Err: errEscapes}
	}
	return r.join(name), nil
}

func (m memoryRoot) Stat(name string) (os.FileInfo, error) {
	name, err := m.root.inMemory(name)
	if err != nil {
		return nil, err
	}
	return m.memoryNames.Stat(name)
}

func (m memoryRoot) Open(name string, flag int, perm os.FileMode) (File, error) {
	name, err := m.root.inMemory(name)
	if err != nil {
		return nil, err
	}
	return m.memoryNames.Open(name, flag, perm)
}

func (m memoryRoot) Rename(oldName, newName string) error {
	oldName, err := m.root.inMemory(oldName)
	if err != nil {
		return err
	}
	if newName, err = m.root.inMemory(newName); err != nil {
		return err
	}
	return m.memoryNames.Rename(oldName, newName)
}

func (m memoryRoot) Remove(name string) error {
	name, err := m.root.inMemory(name)
	if err != nil {
		return err
	}
	return m.memoryNames.Remove(name)
}

func (m memoryRoot) MkdirAll(name string, perm os.FileMode) error {
	name, err := m.root.inMemory(name)
	if err != nil {
		return err
	}
	return m.memoryNames.MkdirAll(name, perm)
}
