package completion

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"fwx/framework/completion/internal/memory"
)

// The system calls here never block for long, so those of the hot path are
// made raw: Go's scheduler need not know of them.

func closeFD(fd int) {
	if !memory.Close(fd) {
		_ = unix.Close(fd) // nothing can be done about a failure
	}
}

func closeSocket(fd int) { closeFD(fd) }

// setLinger makes the coming close send an RST.
func setLinger(fd int) {
	if m := memory.Of(fd); m != nil {
		m.SetLinger()
		return
	}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // a unix socket has none
}

func shutdownSend(fd int) error {
	if m := memory.Of(fd); m != nil {
		return m.CloseSend()
	}
	return unix.Shutdown(fd, unix.SHUT_WR)
}

func reserveMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
}

func releaseMemory(region []byte) { _ = unix.Munmap(region) } // mapped by reserveMemory

// commitMemory makes the memory of a buffer usable; here it always is.
func commitMemory([]byte) bool { return true }

// discardMemory gives the memory of a buffer back; it is zero when used again.
func discardMemory(mem []byte) {
	_ = unix.Madvise(mem, unix.MADV_DONTNEED) // only a matter of thrift
}

// outcome is how the attempt of an operation went.
type outcome uint8

const (
	ended   outcome = iota // o.bytes and o.err are set
	again                  // the descriptor is not ready
	starved                // there is no receive buffer
)

// attempt tries to do the operation of o on a descriptor in non-blocking mode.
func attempt(o *Overlapped) outcome {
	switch o.op {
	case opRecv:
		return attemptRecv(o)
	case opSend:
		return attemptSend(o)
	case opAccept:
		return attemptAccept(o)
	case opConnect:
		return attemptConnect(o)
	case opReadStream:
		return attemptRead(o)
	case opWriteStream:
		return attemptWrite(o)
	case opRecvFrom:
		return attemptRecvFrom(o)
	case opSendTo:
		return attemptSendTo(o)
	case opWriteGatherStream:
		return attemptWriteGather(o)
	case opSpliceIn:
		return attemptSpliceIn(o)
	case opSpliceOut:
		return attemptSpliceOut(o)
	default:
		panic(fmt.Sprintf("completion: operation %d is not one of readiness", o.op))
	}
}

func attemptRecv(o *Overlapped) outcome {
	pool := &o.worker.buffers
	b := pool.get()
	if b == nil {
		return starved
	}
	n, errno := rawIO(unix.SYS_RECVFROM, o.desc.fd, b.mem)
	if errno != 0 || n == 0 {
		pool.putBack(b)
		return o.outcome(0, errno)
	}
	b.n = n
	o.buffer = b
	return o.outcome(n, 0)
}

func attemptSend(o *Overlapped) outcome {
	for {
		n, errno := rawSend(o.desc.fd, o.rest())
		if errno != 0 {
			return o.outcome(o.done, errno)
		}
		if o.done += n; o.done == len(o.buf) {
			return o.outcome(o.done, 0)
		}
	}
}

func attemptAccept(o *Overlapped) outcome {
	fd, sa, err := unix.Accept4(o.desc.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		errno, _ := err.(syscall.Errno) //nolint:errorlint // a system call returns a bare Errno
		return o.outcome(0, errno)
	}
	// What newSocket has set on the listener, the connection inherits.
	o.value = Accepted{fd: fd, Remote: fromSockaddr(sa)}
	return o.outcome(0, 0)
}

// attemptConnect looks how the connection that openSocket began has gone.
func attemptConnect(o *Overlapped) outcome {
	code, err := unix.GetsockoptInt(o.desc.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		o.err = err
		return ended
	}
	if code == 0 && !connected(o.desc.fd) {
		return again
	}
	return o.outcome(0, syscall.Errno(code))
}

// connected tells a spurious wake-up from a connection that stands.
func connected(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err == nil
}

func attemptRead(o *Overlapped) outcome {
	n, errno := rawIO(unix.SYS_READ, o.desc.fd, o.buf)
	if errno == 0 && n == 0 {
		o.err = ErrHandleEOF
		return ended
	}
	return o.outcome(n, errno)
}

func attemptWrite(o *Overlapped) outcome {
	for {
		n, errno := rawIO(unix.SYS_WRITE, o.desc.fd, o.rest())
		if errno != 0 {
			return o.outcome(o.done, errno)
		}
		if o.done += n; o.done == len(o.buf) {
			return o.outcome(o.done, 0)
		}
	}
}

// outcome records the result of a system call.
func (o *Overlapped) outcome(n int, errno syscall.Errno) outcome {
	if errno == unix.EAGAIN {
		return again
	}
	o.bytes, o.err = n, errnoError(errno)
	return ended
}

// errnoError avoids a typed nil and gives a cancelled operation its name.
func errnoError(errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case unix.ECANCELED:
		return ErrOperationAborted
	default:
		return errno
	}
}

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
		return unix.SetNonblock(fd, true)
	}
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

// openFile opens name beneath root and fills in d.
func openFile(d *descriptor, root *Root, name string, flag int, perm os.FileMode) error {
	// Without O_NONBLOCK the open of a FIFO waits for its other end.
	how := unix.OpenHow{Flags: uint64(flag) | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY}
	if flag&os.O_CREATE != 0 {
		how.Mode = uint64(perm.Perm())
	}
	fd, err := openAt(root, name, &how)
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

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

const listenBacklog = 4096

func listen(address Address) (int, Address, error) {
	fd, err := newSocket(address)
	if err != nil {
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, err)
	}
	if err := bindAndListen(fd, address); err != nil {
		closeFD(fd)
		return 0, Address{}, fmt.Errorf("listen on %s: %w", address, err)
	}
	if !address.IsUnix() {
		address.AddrPort = localAddrPort(fd)
	}
	return fd, address, nil
}

// removeSocket returns what removes a unix socket from its directory, if it is
// still the one that is there now.
func removeSocket(path string) func() {
	if path[0] == '@' { // abstract: in no directory
		return nil
	}
	created, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	return func() {
		if now, err := os.Lstat(path); err == nil && os.SameFile(created, now) {
			_ = os.Remove(path) // the socket has ended, whatever is left of it
		}
	}
}

// connectSocket opens a socket and begins to connect it.
func connectSocket(address Address) (int, error) {
	fd, err := newSocket(address)
	if err != nil {
		return 0, err
	}
	err = ignoringEINTR(func() error { return unix.Connect(fd, toSockaddr(address)) })
	switch {
	case err == nil, errors.Is(err, unix.EINPROGRESS):
		return fd, nil
	case errors.Is(err, unix.EAGAIN): // the backlog of a unix socket is full, and nothing tells when it no longer is
		err = unix.ECONNREFUSED
	}
	closeFD(fd)
	return 0, os.NewSyscallError("connect", err)
}

func bindAndListen(fd int, address Address) error {
	if !address.IsUnix() {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, toSockaddr(address)); err != nil {
		return err
	}
	return unix.Listen(fd, listenBacklog)
}

func newSocket(address Address) (int, error) {
	family := unix.AF_INET6
	switch {
	case address.IsUnix():
		family = unix.AF_UNIX
	case address.Addr().Is4():
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil && family != unix.AF_UNIX {
		setNoDelay(fd)
	}
	return fd, os.NewSyscallError("socket", err)
}

func setNoDelay(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // only a matter of speed
}

func toSockaddr(a Address) unix.Sockaddr {
	switch {
	case a.IsUnix():
		return &unix.SockaddrUnix{Name: a.Path}
	case a.Addr().Is4():
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	default:
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
	}
}

func fromSockaddr(sa unix.Sockaddr) Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		return Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))}
	case *unix.SockaddrUnix:
		return Address{Path: sa.Name}
	default:
		return Address{}
	}
}

func localAddrPort(fd int) netip.AddrPort {
	if local, ok := localInMemory(fd); ok {
		return local
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return fromSockaddr(sa).AddrPort
}
