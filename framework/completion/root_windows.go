package completion

import "os"

type rootFolder struct{ dir *os.Root }

// OpenRoot opens a directory.
func OpenRoot(path string) (*Root, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &os.PathError{Op: "open", Path: path, Err: errNotDirectory}
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Root{rootFolder: rootFolder{dir: dir}, path: path}, nil
}

// Close closes the directory; files opened beneath it stay open.
func (r *Root) Close() error { return r.dir.Close() }
