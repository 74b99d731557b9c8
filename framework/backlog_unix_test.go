//go:build unix

package framework

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullBacklog returns the address of a server that does not answer connects.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))(t)
	unix.CloseOnExec(fd)
	t.Cleanup(func() { _ = unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Listen(fd, 0))
	file := os.NewFile(uintptr(must(unix.Dup(fd))(t)), "listener")
	ln := must(net.FileListener(file))(t)
	file.Close()
	t.Cleanup(func() { ln.Close() })
	address := ln.Addr().String()
	for { // fill the queue of connections to be accepted
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond) //nolint:noctx // it has a limit
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
}
