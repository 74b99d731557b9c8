package completiontest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/windows"

	"fwx/framework/completion"
)

var pipeNumber atomic.Uint32

// pipe hooks the two ends of a pipe: a named one, because those without a name
// are not for overlapped operations.
func (r *rig) pipe() (read, write *completion.Handle) {
	r.Helper()
	if m := r.kit.memory(); m != nil {
		read, write := m.Pipe()
		return r.hook(read.Number()), r.hook(write.Number())
	}
	text := fmt.Sprintf(`\\.\pipe\completiontest-%d-%d`, os.Getpid(), pipeNumber.Add(1))
	name, err := windows.UTF16PtrFromString(text)
	r.must(err)
	const size = 64 << 10
	from, err := windows.CreateNamedPipe(name, windows.PIPE_ACCESS_INBOUND|windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_FIRST_PIPE_INSTANCE,
		windows.PIPE_TYPE_BYTE, 1, size, size, 0, nil)
	r.must(err)
	to, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
	r.must(err)
	return r.hook(int(from)), r.hook(int(to))
}

// openFD opens a file for hooking.
func (r *rig) openFD(name string, flag int) int {
	r.Helper()
	if m := r.kit.memory(); m != nil {
		fd, err := m.Open(name, flag)
		r.must(err)
		return fd.Number()
	}
	h, err := syscall.Open(name, flag|windows.FILE_FLAG_OVERLAPPED, 0o600)
	r.must(err)
	return int(h)
}

// fifo would make a FIFO.
func (r *rig) fifo() string {
	r.Helper()
	r.Skip("not on this system: FIFOs")
	return ""
}

// silent returns a stream that nobody writes to.
func (r *rig) silent() *completion.Handle {
	r.Helper()
	read, _ := r.pipe()
	return read
}

// socketPair hooks one end of a pair of sockets and returns the other.
func (r *rig) socketPair() (*completion.Handle, io.ReadWriteCloser) {
	r.Helper()
	r.needsSystem("a descriptor of the system")
	l, err := net.Listen("tcp4", loopback) //nolint:noctx // it ends at once
	r.must(err)
	defer func() { _ = l.Close() }() // it has served
	address, err := netip.ParseAddrPort(l.Addr().String())
	r.must(err)
	fd, err := windows.WSASocket(windows.AF_INET, windows.SOCK_STREAM, windows.IPPROTO_TCP, nil, 0, windows.WSA_FLAG_OVERLAPPED)
	r.must(err)
	r.must(windows.Connect(fd, &windows.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}))
	peer, err := l.Accept()
	r.must(err)
	return r.hook(int(fd)), peer
}

// sharedSocket would return one end of a socket pair and another descriptor of it.
func (r *rig) sharedSocket() (fd int, same, peer *os.File) {
	r.Helper()
	r.Skip("not on this system: socket pairs, and events of a description that others share")
	return 0, nil, nil
}

// passDescriptor would send data with a descriptor attached.
func passDescriptor(*net.UnixConn, []byte) error { return errors.ErrUnsupported }

// urgentByte is what arrives of an urgent "U": it is not in the stream.
const urgentByte = ""

// sendOutOfBand sends data with its last byte marked urgent.
func sendOutOfBand(fd uintptr, data []byte) (done bool, err error) {
	var n uint32
	buf := windows.WSABuf{Len: uint32(len(data)), Buf: &data[0]}
	return true, windows.WSASend(windows.Handle(fd), &buf, 1, &n, msgOOB, nil, nil)
}

const msgOOB = 1 // MSG_OOB

// The errors that rows expect, as the port names them.
var (
	errAddressInUse      error = syscall.EADDRINUSE
	errConnectionRefused error = syscall.ECONNREFUSED
	errConnectionReset   error = syscall.ECONNRESET
	errPeerReset         error = syscall.WSAECONNRESET // as the standard library has it
	errBrokenPipe        error = syscall.EPIPE
	errBadDescriptor     error = syscall.EBADF
	errNotThere                = errors.ErrUnsupported // of a unix socket
)
