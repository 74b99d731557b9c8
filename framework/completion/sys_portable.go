//go:build unix && (!linux || portable)

package completion

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What every Unix has, in place of what only Linux has. On Linux the build tag
// portable takes it too, so that it can be tested there.

const (
	mapNoReserve  = 0
	adviceDiscard = unix.MADV_FREE
)

func rawRecv(fd int, buf []byte) (int, syscall.Errno) { return rawRead(fd, buf) }

func rawRead(fd int, buf []byte) (int, syscall.Errno) { return call(unix.Read, fd, buf) }

func rawWrite(fd int, buf []byte) (int, syscall.Errno) { return call(unix.Write, fd, buf) }

// rawSend needs no MSG_NOSIGNAL, which not every system has: Go ignores SIGPIPE
// unless it is about standard output.
func rawSend(fd int, buf []byte) (int, syscall.Errno) { return call(unix.Write, fd, buf) }

// call makes a system call, again after EINTR.
func call(f func(int, []byte) (int, error), fd int, buf []byte) (int, syscall.Errno) {
	for {
		n, err := f(fd, buf)
		errno := errnoOf(err)
		if errno != unix.EINTR {
			return max(n, 0), errno
		}
	}
}

func errnoOf(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno) //nolint:errorlint // a system call returns a bare Errno
	return errno
}

func acceptSocket(fd int) (int, unix.Sockaddr, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	accepted, sa, err := unix.Accept(fd)
	if err == nil {
		claim(accepted)
	}
	return accepted, sa, err
}

// openSocket opens a socket in non-blocking mode.
func openSocket(family, kind int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		claim(fd)
	}
	return fd, err
}

// transfersAsync: no system that all have transfers data of a file without a thread
// that waits for it.
func transfersAsync(int) bool { return false }

// openBeneath opens name, beneath root if there is one.
func openBeneath(root *Root, name string, flag int, perm os.FileMode) (int, error) {
	if root == nil {
		fd := -1
		err := ignoringEINTR(func() (err error) {
			fd, err = unix.Open(name, flag, uint32(perm))
			return err
		})
		return fd, pathError("open", name, err)
	}
	f, err := root.tree.OpenFile(name, flag, perm)
	if err != nil {
		if inRoot, ok := errors.AsType[*os.PathError](err); ok {
			err = inRoot.Err
		}
		return -1, pathError("open", root.join(name), err)
	}
	defer func() { _ = f.Close() }() // its descriptor lives on
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, pathError("open", root.join(name), err)
}
