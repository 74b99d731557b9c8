package completion

import "path/filepath"

// Root is a directory beneath which files are opened. It is safe for use by
// all workers.
type Root struct {
	rootFolder
	path string
}

// Path returns the path that the root was opened by.
func (r *Root) Path() string { return r.path }

func (r *Root) join(name string) string {
	if r == nil {
		return name
	}
	return filepath.Join(r.path, name)
}
