//go:build !portable

package completion

import "os"

// rootFolder is the directory as the system calls take it.
type rootFolder struct {
	dir *os.File
	fd  int
}

func folderOf(tree *os.Root) (rootFolder, error) {
	dir, err := tree.Open(".")
	if err != nil {
		return rootFolder{}, err
	}
	return rootFolder{dir: dir, fd: int(dir.Fd())}, nil
}

func (f rootFolder) close() error { return f.dir.Close() }
