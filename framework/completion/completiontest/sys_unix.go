//go:build unix

package completiontest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// pipe hooks the two ends of a pipe.
func (r *rig) pipe() (read, write *completion.Handle) {
	r.Helper()
	if m := r.kit.memory(); m != nil {
		read, write := m.Pipe()
		return r.hook(read.Number()), r.hook(write.Number())
	}
	var fds [2]int
	r.must(unix.Pipe(fds[:]))
	closeOnExec(fds)
	return r.hook(fds[0]), r.hook(fds[1])
}

// openFD opens a file for hooking.
func (r *rig) openFD(name string, flag int) int {
	r.Helper()
	if m := r.kit.memory(); m != nil {
		fd, err := m.Open(name, flag)
		r.must(err)
		return fd.Number()
	}
	fd, err := unix.Open(name, flag|unix.O_CLOEXEC, 0o600)
	r.must(err)
	return fd
}

// fifo makes a FIFO and returns its name.
func (r *rig) fifo() string {
	r.Helper()
	r.needsSystem("a descriptor of the system")
	name := filepath.Join(r.TempDir(), "fifo")
	r.must(unix.Mkfifo(name, 0o600))
	return name
}

// silent returns a stream that nobody writes to.
func (r *rig) silent() *completion.Handle {
	r.Helper()
	return r.file(r.fifo(), os.O_RDONLY)
}

// socketPair hooks one end of a pair of sockets and returns the other.
func (r *rig) socketPair() (*completion.Handle, io.ReadWriteCloser) {
	r.Helper()
	r.needsSystem("a descriptor of the system")
	fds := r.unixPair()
	return r.hook(fds[0]), os.NewFile(uintptr(fds[1]), "socket")
}

// sharedSocket returns one end of a socket pair, to be hooked, another
// descriptor of the same end, and the other end.
func (r *rig) sharedSocket() (fd int, same, peer *os.File) {
	r.Helper()
	r.needsSystem("a descriptor of the system")
	fds := r.unixPair()
	dup, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	r.must(err)
	return fds[0], os.NewFile(uintptr(dup), "socket"), os.NewFile(uintptr(fds[1]), "peer")
}

// unixPair returns the two ends of a connection, in non-blocking mode.
func (r *rig) unixPair() [2]int {
	r.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	r.must(err)
	closeOnExec(fds)
	for _, fd := range fds {
		r.must(unix.SetNonblock(fd, true))
	}
	return fds
}

func closeOnExec(fds [2]int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}

// passDescriptor sends data with a descriptor attached.
func passDescriptor(c *net.UnixConn, data []byte) error {
	_, _, err := c.WriteMsgUnix(data, unix.UnixRights(0), nil)
	return err
}

// urgentByte is what arrives of an urgent "U".
const urgentByte = "U"

// sendOutOfBand sends data with its last byte marked urgent; done is false if it is to
// be tried again when the socket takes more.
func sendOutOfBand(fd uintptr, data []byte) (done bool, err error) {
	err = unix.Sendto(int(fd), data, unix.MSG_OOB, nil)
	return !errors.Is(err, unix.EAGAIN), err
}

// The errors of the system that rows expect.
const (
	errAddressInUse      = unix.EADDRINUSE
	errConnectionRefused = unix.ECONNREFUSED
	errConnectionReset   = unix.ECONNRESET
	errPeerReset         = unix.ECONNRESET // as the standard library has it
	errBrokenPipe        = unix.EPIPE
	errBadDescriptor     = unix.EBADF
	errNotThere          = unix.ENOENT
)
