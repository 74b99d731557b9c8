package completion

import (
	"os"
	"path/filepath"
)

// Root is a directory beneath which files are opened. It is safe for use by
// all workers.
type Root struct {
	dir  *os.File
	fd   int
	path string
}

// OpenRoot opens a directory.
func OpenRoot(path string) (*Root, error) {
	dir, err := os.Open(path) //nolint:gosec // the caller's to choose
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat()
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: errNotDirectory}
	}
	if err != nil {
		_ = dir.Close() // it was only read
		return nil, err
	}
	return &Root{dir: dir, fd: int(dir.Fd()), path: path}, nil
}

// Path returns the path that the root was opened by.
func (r *Root) Path() string { return r.path }

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error { return r.dir.Close() }

func (r *Root) join(name string) string {
	if r == nil {
		return name
	}
	return filepath.Join(r.path, name)
}
