package completion

import (
	"errors"
	"os"
	"path/filepath"
)

// Root is a directory beneath which files are opened. It is safe for use by
// all workers. Its methods are for a thread that may block: those of a worker are
// Worker.Stat and the like, and RunBlocking.
type Root struct {
	names

	tree *os.Root // nil: in the memory of a test
	rootFolder
	path string
}

// OpenRoot opens a directory.
func (p *Port) OpenRoot(path string) (*Root, error) {
	if m, ok := p.names.(memoryNames); ok {
		return openRootInMemory(m.system, path)
	}
	tree, err := os.OpenRoot(path)
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
			err = &os.PathError{Op: "open", Path: path, Err: errNotDirectory}
		}
		return nil, err
	}
	folder, err := folderOf(tree)
	if err != nil {
		_ = tree.Close() // it was only read
		return nil, err
	}
	return &Root{names: treeNames{tree}, tree: tree, rootFolder: folder, path: path}, nil
}

// Stat tells what a path stands for, and blocks meanwhile.
func (p *Port) Stat(path string) (os.FileInfo, error) { return p.names.Stat(path) }

// MkdirAll makes a directory and those above it that are missing, and blocks meanwhile.
func (p *Port) MkdirAll(path string, perm os.FileMode) error { return p.names.MkdirAll(path, perm) }

// Path returns the path that the root was opened by.
func (r *Root) Path() string { return r.path }

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error {
	if r.tree == nil {
		return nil
	}
	return errors.Join(r.close(), r.tree.Close())
}

func (r *Root) join(name string) string {
	if r == nil {
		return name
	}
	return filepath.Join(r.path, name)
}
