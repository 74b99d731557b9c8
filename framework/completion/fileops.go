package completion

import (
	"cmp"
	"os"
	"slices"
)

// Truncate starts to give the file a size: what is behind it is lost, what is
// missing reads as zeros.
func (h *Handle) Truncate(o *Overlapped, size int64) error {
	if size < 0 {
		return ErrInvalidArgument
	}
	return h.onPool(o, func(fd int) (any, error) { return nil, truncateFile(fd, size) })
}

// Stat starts to find out what is open; TakeValue is the os.FileInfo, whose Name
// means nothing.
func (h *Handle) Stat(o *Overlapped) error {
	return h.onPool(o, func(fd int) (any, error) { return statFile(fd) })
}

// onPool does an operation on the descriptor on a thread of the pool. The
// descriptor stays open until it has completed.
func (d *descriptor) onPool(o *Overlapped, f func(fd int) (any, error)) error {
	if err := d.begin(o, opTask); err != nil {
		return err
	}
	fd := d.fd
	o.task = func() (any, error) { return f(fd) }
	d.worker.port.pool.submit(d.lane, o)
	return nil
}

// Stat starts to find out about a name; TakeValue is the os.FileInfo. Name and
// root are as for OpenFile.
func (w *Worker) Stat(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func() (any, error) {
		if root == nil {
			return os.Stat(name)
		}
		return root.tree.Stat(name)
	})
}

// Rename starts to give a file another name, whose former file it replaces.
func (w *Worker) Rename(o *Overlapped, root *Root, oldName, newName string) error {
	return w.onName(o, root, oldName, func() (any, error) {
		if root == nil {
			return nil, os.Rename(oldName, newName)
		}
		return nil, root.tree.Rename(oldName, newName)
	})
}

// Remove starts to remove a file or an empty directory.
func (w *Worker) Remove(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func() (any, error) {
		if root == nil {
			return nil, os.Remove(name)
		}
		return nil, root.tree.Remove(name)
	})
}

// List starts to read a directory; TakeValue is its entries, a []os.DirEntry by name.
func (w *Worker) List(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func() (any, error) { return list(root, name) })
}

// onName does an operation on a name on a thread of the pool, in the lane of
// its directory.
func (w *Worker) onName(o *Overlapped, root *Root, name string, f func() (any, error)) error {
	if name == "" {
		return ErrInvalidArgument
	}
	return w.runBlocking(o, opTask, folderLane(root, name), func() (any, error) {
		value, err := f()
		if err != nil {
			return nil, err // not the typed nil that may come with it
		}
		return value, nil
	})
}

func list(root *Root, name string) ([]os.DirEntry, error) {
	if root == nil {
		return os.ReadDir(name)
	}
	dir, err := root.tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it was only read
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}
