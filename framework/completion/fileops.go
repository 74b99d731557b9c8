package completion

import (
	"os"
	"slices"

	"fwx/framework/completion/internal/memory"
)

// Truncate starts to give the file a size: what is behind it is lost, what is
// missing reads as zeros.
func (h *Handle) Truncate(o *Overlapped, size int64) error {
	if size < 0 {
		return ErrInvalidArgument
	}
	return h.onPool(o, func(fd int) (any, error) {
		if m := memory.Of(fd); m != nil {
			return nil, m.Truncate(size)
		}
		return nil, truncateFile(fd, size)
	})
}

// Stat starts to find out what is open; TakeValue is the os.FileInfo, whose Name
// means nothing.
func (h *Handle) Stat(o *Overlapped) error {
	return h.onPool(o, func(fd int) (any, error) { return statOpen(fd) })
}

// statOpen finds out what is open.
func statOpen(fd int) (os.FileInfo, error) {
	if m := memory.Of(fd); m != nil {
		return m.Stat()
	}
	return statFile(fd)
}

// SameFile reports whether two infos are of the same file, whatever its name was.
func SameFile(a, b os.FileInfo) bool { return os.SameFile(a, b) || memory.SameFile(a, b) }

// onPool does an operation on the descriptor on a thread of the pool. The
// descriptor stays open until it has completed.
func (d *descriptor) onPool(o *Overlapped, f func(fd int) (any, error)) error {
	if err := d.begin(o, opTask); err != nil {
		return err
	}
	fd := d.fd
	o.task = func() (any, error) { return f(fd) }
	d.worker.offload(d.lane, o)
	return nil
}

// Stat starts to find out about a name; TakeValue is the os.FileInfo. Name and
// root are as for OpenFile.
func (w *Worker) Stat(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func(n names) (any, error) { return n.Stat(name) })
}

// Rename starts to give a file another name, whose former file it replaces.
func (w *Worker) Rename(o *Overlapped, root *Root, oldName, newName string) error {
	return w.onName(o, root, oldName, func(n names) (any, error) { return nil, n.Rename(oldName, newName) })
}

// Remove starts to remove a file or an empty directory.
func (w *Worker) Remove(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func(n names) (any, error) { return nil, n.Remove(name) })
}

// List starts to read a directory; TakeValue is the names in it, in order.
func (w *Worker) List(o *Overlapped, root *Root, name string) error {
	return w.onName(o, root, name, func(n names) (any, error) { return list(n, name) })
}

// onName does an operation on a name on a thread of the pool, in the lane of
// its directory.
func (w *Worker) onName(o *Overlapped, root *Root, name string, f func(names) (any, error)) error {
	if name == "" {
		return ErrInvalidArgument
	}
	n := w.port.names
	if root != nil {
		n = root.names
	}
	return w.runBlocking(o, opTask, folderLane(root, name), func() (any, error) {
		value, err := f(n)
		if err != nil {
			return nil, err // not the typed nil that may come with it
		}
		return value, nil
	})
}

func list(n names, name string) ([]string, error) {
	dir, err := n.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it was only read
	entries, err := dir.Readdirnames(-1)
	slices.Sort(entries)
	return entries, err
}
