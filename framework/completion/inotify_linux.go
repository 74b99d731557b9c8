//go:build !portable

package completion

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// inotifyEvent is an event as inotify(7) describes it.
type inotifyEvent struct {
	number int // of the watch
	mask   uint32
	name   string // in the directory that is watched
}

// nextInotifyEvent takes the first event off what an inotify was read for.
func nextInotifyEvent(from []byte) (e inotifyEvent, rest []byte) {
	e.number = int(int32(binary.NativeEndian.Uint32(from)))
	e.mask = binary.NativeEndian.Uint32(from[4:])
	size := min(int(binary.NativeEndian.Uint32(from[12:])), len(from)-unix.SizeofInotifyEvent)
	name := from[unix.SizeofInotifyEvent:][:size]
	e.name = string(bytes.TrimRight(name, "\x00"))
	return e, from[unix.SizeofInotifyEvent+size:]
}
