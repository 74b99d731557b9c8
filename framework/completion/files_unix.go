//go:build unix

package completion

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fileIO does a file operation on this thread, however long it takes.
func fileIO(o *Overlapped) (int, error) {
	switch o.op {
	case opSync:
		return 0, ignoringEINTR(func() error { return unix.Fsync(o.desc.fd) })
	case opRead:
		n, err := 0, error(nil)
		err = ignoringEINTR(func() error {
			n, err = unix.Pread(o.desc.fd, o.buf, o.ov.Offset)
			return err
		})
		return fileRead(n, err)
	case opWriteGather:
		return writeAllGather(o)
	default:
		return writeAll(o)
	}
}

// fileRead turns the result of a read into the port's: the end of a file is an error.
func fileRead(n int, err error) (int, error) {
	if err == nil && n == 0 {
		err = ErrHandleEOF
	}
	return max(n, 0), err
}

func writeAll(o *Overlapped) (int, error) {
	for o.done < len(o.buf) {
		n, err := unix.Pwrite(o.desc.fd, o.rest(), o.ov.Offset+int64(o.done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return o.done, err
		case n == 0:
			return o.done, unix.ENOSPC
		default:
			o.done += n
		}
	}
	return o.done, nil
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR { //nolint:errorlint // a system call returns a bare Errno
			return err
		}
	}
}

// describe finds out what kind of thing fd is.
func describe(d *descriptor, fd int) error {
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return err
	}
	d.lane = laneKey{uint64(st.Dev), st.Ino} //nolint:unconvert // Dev is narrower on some architectures
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFBLK, unix.S_IFDIR:
		d.file = true
		d.async = transfersAsync(fd)
		// It means nothing on a file, except to io_uring.
		return unix.SetNonblock(fd, false)
	default:
		return describeStream(d, fd)
	}
}

func describeStream(d *descriptor, fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	access := flags & unix.O_ACCMODE
	d.noRead, d.noWrite = access == unix.O_WRONLY, access == unix.O_RDONLY
	if flags&unix.O_NONBLOCK != 0 {
		return nil
	}
	return unix.SetNonblock(fd, true)
}

// openFile opens name beneath root and fills in d.
func openFile(d *descriptor, root *Root, name string, flag int, perm os.FileMode) error {
	// Without O_NONBLOCK the open of a FIFO waits for its other end.
	fd, err := openBeneath(root, name, flag|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, perm.Perm())
	if err != nil {
		return err
	}
	if err := describe(d, fd); err != nil {
		closeFD(fd)
		return pathError("stat", root.join(name), err)
	}
	d.fd = fd
	return nil
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

func truncateFile(fd int, size int64) error {
	return ignoringEINTR(func() error { return unix.Ftruncate(fd, size) })
}

// statFile asks by a descriptor of its own, which os.File closes.
func statFile(fd int) (os.FileInfo, error) {
	same, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(same), "")
	defer func() { _ = f.Close() }() // it was only asked
	return f.Stat()
}
