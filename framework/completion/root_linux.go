package completion

import "os"

type rootFolder struct {
	dir *os.File
	fd  int
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
	return &Root{rootFolder: rootFolder{dir: dir, fd: int(dir.Fd())}, path: path}, nil
}

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error { return r.dir.Close() }
