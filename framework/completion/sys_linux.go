//go:build !portable

package completion

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	mapNoReserve  = unix.MAP_NORESERVE
	adviceDiscard = unix.MADV_DONTNEED
)

// The system calls here never block for long, so those of the hot path are
// made raw: Go's scheduler need not know of them.

func rawRecv(fd int, buf []byte) (int, syscall.Errno) { return rawIO(unix.SYS_RECVFROM, fd, buf) }

func rawRead(fd int, buf []byte) (int, syscall.Errno) { return rawIO(unix.SYS_READ, fd, buf) }

func rawWrite(fd int, buf []byte) (int, syscall.Errno) { return rawIO(unix.SYS_WRITE, fd, buf) }

// rawIO makes a read, write or recvfrom (without address), again after EINTR.
func rawIO(call uintptr, fd int, buf []byte) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func rawSend(fd int, data []byte) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func acceptSocket(fd int) (int, unix.Sockaddr, error) {
	return unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
}

// openSocket opens a socket in non-blocking mode.
func openSocket(family, kind int) (int, error) {
	return unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// transfersAsync reports whether the kernel can transfer data of a file without a
// thread that waits for it. With files of network and user-space file systems,
// as a rule, it cannot.
func transfersAsync(fd int) bool {
	// Behind the end of any file, and so without effect.
	const offset = 1 << 62
	var buf [1]byte
	_, err := unix.Preadv2(fd, [][]byte{buf[:]}, offset, unix.RWF_NOWAIT)
	switch err {
	case unix.EOPNOTSUPP:
		return false
	case unix.EBADF: // open for writing only
		return onLocalFileSystem(fd)
	default:
		return true
	}
}

func onLocalFileSystem(fd int) bool {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC,
		unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CODA_SUPER_MAGIC, unix.PROC_SUPER_MAGIC:
		return false
	default:
		return true
	}
}

// openBeneath opens name, beneath root if there is one.
func openBeneath(root *Root, name string, flag int, perm os.FileMode) (int, error) {
	how := unix.OpenHow{Flags: uint64(flag)}
	if flag&os.O_CREATE != 0 {
		how.Mode = uint64(perm)
	}
	return openAt(root, name, &how)
}

// openAt opens name, beneath root if there is one.
func openAt(root *Root, name string, how *unix.OpenHow) (int, error) {
	dir := unix.AT_FDCWD
	if root != nil {
		dir = root.fd
		how.Resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
	}
	for tries := 0; ; tries++ {
		var fd int
		err := ignoringEINTR(func() (err error) {
			fd, err = unix.Openat2(dir, name, how)
			return err
		})
		// EAGAIN: something was renamed meanwhile, so that the kernel could
		// not tell whether ".." led out of root.
		if err != unix.EAGAIN || tries == openTries { //nolint:errorlint // a system call returns a bare Errno
			return fd, pathError("open", root.join(name), err)
		}
	}
}

const openTries = 32
