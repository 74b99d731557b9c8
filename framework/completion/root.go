package completion

import (
	"errors"
	"os"
	"path/filepath"
)

// Root is a directory beneath which files are opened. It is safe for use by
// all workers.
type Root struct {
	tree *os.Root
	rootFolder
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
	folder, err := folderOf(tree)
	if err != nil {
		_ = tree.Close() // it was only read
		return nil, err
	}
	return &Root{tree: tree, rootFolder: folder, path: path}, nil
}

// Path returns the path that the root was opened by.
func (r *Root) Path() string { return r.path }

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error { return errors.Join(r.close(), r.tree.Close()) }

func (r *Root) join(name string) string {
	if r == nil {
		return name
	}
	return filepath.Join(r.path, name)
}
