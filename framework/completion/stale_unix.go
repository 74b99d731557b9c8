//go:build unix

package completion

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bind binds a socket to its address. A unix socket that a program has left
// behind, on which nobody listens, is removed first.
func bind(fd int, address Address) error {
	err := bindSocket(fd, address)
	if !errors.Is(err, unix.EADDRINUSE) || !address.IsUnix() {
		return err
	}
	if user := userOf(address); user != "" {
		return fmt.Errorf("%w by %s", err, user)
	}
	if err := os.Remove(address.Path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return bindSocket(fd, address)
}

// userOf says what is in the way at the path of a unix socket; empty: nothing but
// a socket on which nobody listens.
func userOf(address Address) string {
	info, err := os.Lstat(address.Path)
	if err == nil && info.Mode().Type() != os.ModeSocket {
		return "a file that is not a socket"
	}
	fd, err := newSocket(address)
	if err != nil {
		return "another program, perhaps"
	}
	defer closeFD(fd)
	if errors.Is(unix.Connect(fd, toSockaddr(address)), unix.ECONNREFUSED) {
		return ""
	}
	return "a program that listens"
}
