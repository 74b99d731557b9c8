package completion

import (
	"errors"
	"os"
	"path/filepath"
)

// Root is a directory beneath which files are opened. It is safe for use by
// all workers.
type Root struct {
	dir  *os.File
	tree *os.Root // the same directory
	fd   int
	path string
}

// OpenRoot opens a directory.
func OpenRoot(path string) (*Root, error) {
	tree, err := os.OpenRoot(path)
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
			err = &os.PathError{Op: "open", Path: path, Err: errNotDirectory}
		}
		return nil, err
	}
	dir, err := tree.Open(".")
	if err != nil {
		_ = tree.Close() // it was only read
		return nil, err
	}
	return &Root{dir: dir, tree: tree, fd: int(dir.Fd()), path: path}, nil
}

// Path returns the path that the root was opened by.
func (r *Root) Path() string { return r.path }

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error { return errors.Join(r.dir.Close(), r.tree.Close()) }

func (r *Root) join(name string) string {
	if r == nil {
		return name
	}
	return filepath.Join(r.path, name)
}
