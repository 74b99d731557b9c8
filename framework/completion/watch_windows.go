package completion

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/windows"
)

// watchedFolder is a directory whose changes are read, through a handle of its own.
type watchedFolder struct {
	fd     int // until it is hooked
	handle *Handle
	read   *Overlapped
	buf    []byte
}

const (
	watchEvents = windows.FILE_NOTIFY_CHANGE_FILE_NAME | windows.FILE_NOTIFY_CHANGE_DIR_NAME |
		windows.FILE_NOTIFY_CHANGE_SIZE | windows.FILE_NOTIFY_CHANGE_LAST_WRITE | windows.FILE_NOTIFY_CHANGE_CREATION
	watchBuffer = 16 << 10
)

// open resolves a directory beneath root and opens it for its changes.
func (f *watchedFolder) open(root *Root, folder, _ string) error {
	h, err := openFolder(root, folder)
	f.fd = int(h)
	return pathError("watch", root.join(folder), err)
}

func openFolder(root *Root, folder string) (windows.Handle, error) {
	if root == nil {
		return createFolder(folder)
	}
	dir, err := root.tree.Open(folder)
	if err != nil {
		return 0, err
	}
	defer func() { _ = dir.Close() }() // it has served
	return reopen(windows.Handle(dir.Fd()), windows.FILE_LIST_DIRECTORY)
}

func createFolder(folder string) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(name, windows.FILE_LIST_DIRECTORY, shareAll, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
}

// discard gives up a directory that no watch was entered for.
func (f *watchedFolder) discard() { closeFD(f.fd) }

// enter begins to read the changes for a watch.
func (s *watches) enter(t *Watch) error {
	f, w := &t.folder, t.worker
	f.handle = &Handle{}
	if err := w.adopt(&f.handle.descriptor, f.fd); err != nil {
		f.discard()
		return err
	}
	f.buf, f.read = make([]byte, watchBuffer), w.internalOverlapped((*watchRead)(t))
	if err := t.next(); err != nil {
		_ = f.handle.Close() // it was just hooked
		return err
	}
	if s.all == nil {
		s.all = make(map[*Watch]struct{})
	}
	s.all[t] = struct{}{}
	return nil
}

// next reads on. What changes between two reads the system keeps.
func (t *Watch) next() error {
	f := &t.folder
	if err := f.handle.begin(f.read, opChanges); err != nil {
		return err
	}
	f.read.buf = f.buf
	t.worker.backend.start(f.read)
	return nil
}

// watchRead is a Watch as the notification of its reads.
type watchRead Watch

// CompleteAsyncIO takes the changes to the watch.
func (r *watchRead) CompleteAsyncIO(_ bool, bytes int, err error, _ *Overlapped, _ any) {
	(*Watch)(r).changes(bytes, err)
}

// changes looks for the file among what was read and reads on.
func (t *Watch) changes(bytes int, err error) {
	if t.closed || t.folder.handle.Closed() {
		return
	}
	if err == nil && (bytes == 0 || t.concerns(t.folder.buf[:bytes])) || err != nil {
		// Without bytes the changes were too many, and any may have been lost.
		// After an error, most likely the directory has gone.
		t.touch()
	}
	if err == nil {
		err = t.next()
	}
	if err != nil {
		t.worker.logger.Warn("watching a file has ended", "name", t.name, "error", err)
	}
}

// concerns reports whether one of the changes, as FILE_NOTIFY_INFORMATION has
// them, is of the file.
func (t *Watch) concerns(changes []byte) bool {
	for len(changes) >= 12 {
		next := int(binary.LittleEndian.Uint32(changes))
		size := int(binary.LittleEndian.Uint32(changes[8:]))
		if strings.EqualFold(fromUTF16(changes[12:][:min(size, len(changes)-12)]), t.name) {
			return true
		}
		if next == 0 || next > len(changes) {
			return false
		}
		changes = changes[next:]
	}
	return false
}

func fromUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// settled is called when one watch less is being added.
func (s *watches) settled() {}

// remove forgets a watch.
func (s *watches) remove(t *Watch) {
	if _, ok := s.all[t]; !ok {
		return
	}
	delete(s.all, t)
	if h := t.folder.handle; !h.Closed() {
		_ = h.Close() // it was open
	}
}

// shutdown ends the watching.
func (s *watches) shutdown() {
	for t := range s.all {
		s.remove(t)
	}
}
