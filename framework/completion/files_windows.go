package completion

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"fwx/framework/completion/internal/memory"
)

// stream is what the iocp backend knows of a descriptor.
type stream struct {
	device   bool // of the character kind, such as a console
	blocking bool // it has no overlapped operations: the pool does them
	appends  bool // open for appending
}

// ahead reports whether data has been received that nobody has asked for.
func (s *stream) ahead() bool { return false }

func closeFD(fd int) {
	if !memory.Close(fd) {
		_ = windows.CloseHandle(windows.Handle(fd)) // nothing can be done about a failure
	}
}

// fileIO does on this thread what has no overlapped form, or one that the system
// would do within the call all the same.
func fileIO(o *Overlapped) (int, error) {
	h := windows.Handle(o.desc.fd)
	switch o.op {
	case opSync:
		return 0, o.failure(windows.FlushFileBuffers(h))
	case opReadStream:
		var n uint32
		err := windows.ReadFile(h, o.buf, &n, nil)
		return fileRead(int(n), o.failure(err))
	default:
		return writeAll(o)
	}
}

// writeAll writes to a file or a device on this thread, however long it takes.
func writeAll(o *Overlapped) (int, error) {
	w := &blockingWrite{}
	if !o.desc.stream.blocking {
		event, err := windows.CreateEvent(nil, 1, 0, nil)
		if err != nil {
			return 0, systemError(err)
		}
		defer func() { _ = windows.CloseHandle(event) }() // it was just made
		w.event = event
	}
	for o.done < o.length() {
		n, err := w.write(o)
		switch {
		case err != nil:
			return o.done, o.failure(err)
		case n == 0:
			return o.done, syscall.ENOSPC
		}
		o.wrote(n)
	}
	return o.done, nil
}

// blockingWrite is what the system has of a write that a thread waits for. It is on
// the heap, where it stays in place.
type blockingWrite struct {
	overlapped windows.Overlapped
	event      windows.Handle // 0: the handle knows of no overlapped operations
	n          uint32
}

func (w *blockingWrite) write(o *Overlapped) (int, error) {
	h, data := windows.Handle(o.desc.fd), o.nextWrite()
	data = data[:min(len(data), maxTransfer)]
	if w.event == 0 {
		err := windows.WriteFile(h, data, &w.n, nil)
		return int(w.n), err
	}
	// The lowest bit keeps the packet from the port.
	w.overlapped = windows.Overlapped{HEvent: w.event | 1}
	setOffset(&w.overlapped, o.offset())
	err := windows.WriteFile(h, data, &w.n, &w.overlapped)
	if errors.Is(err, windows.ERROR_IO_PENDING) {
		err = windows.GetOverlappedResult(h, &w.overlapped, &w.n, true)
	}
	return int(w.n), err
}

const soType = 0x1008 // SO_TYPE

// describe finds out what kind of thing fd is.
func describe(d *descriptor, fd int) error {
	h := windows.Handle(fd)
	kind, err := windows.GetFileType(h)
	if err != nil {
		return systemError(err)
	}
	d.lane = laneKey{^uint64(0), uint64(fd)}
	switch kind {
	case windows.FILE_TYPE_DISK:
		d.file, d.async = true, true
		var info windows.ByHandleFileInformation
		if err := windows.GetFileInformationByHandle(h, &info); err != nil {
			return systemError(err)
		}
		d.lane = laneKey{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}
	case windows.FILE_TYPE_CHAR:
		d.stream.device = true
	case windows.FILE_TYPE_PIPE: // a pipe or a socket
		_, err := windows.GetsockoptInt(h, windows.SOL_SOCKET, soType)
		d.socket = err == nil
	}
	return nil
}

// openFile opens name beneath root and fills in d.
func openFile(d *descriptor, root *Root, name string, flag int, perm os.FileMode) error {
	h, err := openOverlapped(root, name, flag, perm)
	if err != nil {
		return pathError("open", root.join(name), err)
	}
	if err := describe(d, int(h)); err != nil {
		closeFD(int(h))
		return pathError("stat", root.join(name), err)
	}
	d.stream.appends = flag&os.O_APPEND != 0 && d.file
	d.fd = int(h)
	return nil
}

// openOverlapped opens a file for overlapped operations. Beneath a root the
// name is resolved by os.Root, and what that has opened is opened anew, by its
// handle and not by its name.
func openOverlapped(root *Root, name string, flag int, perm os.FileMode) (windows.Handle, error) {
	if root == nil {
		return openByName(name, flag|syscall.O_CLOEXEC, uint32(perm.Perm()))
	}
	f, err := root.tree.OpenFile(name, flag, perm.Perm())
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it has served
	return reopen(windows.Handle(f.Fd()), access(flag))
}

// openByName opens a file, a named pipe or a device. A file is opened anew, so
// that others may rename and remove it meanwhile, as elsewhere; a device, so
// that it can be used by a thread that waits.
func openByName(name string, flag int, perm uint32) (windows.Handle, error) {
	first, err := syscall.Open(name, flag|windows.FILE_FLAG_OVERLAPPED, perm)
	if err != nil {
		return 0, err
	}
	h := windows.Handle(first)
	switch kind, err := windows.GetFileType(h); {
	case err == nil && kind == windows.FILE_TYPE_DISK:
		defer closeFD(int(first))
		return reopen(h, access(flag))
	case err == nil && kind == windows.FILE_TYPE_CHAR:
		defer closeFD(int(first))
		again, err := syscall.Open(name, flag, perm)
		return windows.Handle(again), err
	default:
		return h, nil
	}
}

// access returns the rights that the flags of os.OpenFile ask for.
func access(flag int) uint32 {
	rights := uint32(windows.GENERIC_READ)
	switch flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) {
	case os.O_WRONLY:
		rights = windows.GENERIC_WRITE
	case os.O_RDWR:
		rights |= windows.GENERIC_WRITE
	}
	if flag&os.O_APPEND != 0 && rights&windows.GENERIC_WRITE != 0 {
		// All of GENERIC_WRITE but FILE_WRITE_DATA, so that each write goes to the end.
		rights &^= windows.GENERIC_WRITE
		rights |= windows.FILE_APPEND_DATA | windows.FILE_WRITE_ATTRIBUTES | windows.STANDARD_RIGHTS_WRITE | windows.SYNCHRONIZE
	}
	return rights
}

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

var procReOpenFile = kernel32.NewProc("ReOpenFile")

// reopen opens what h is open on once more, for overlapped operations.
func reopen(h windows.Handle, rights uint32) (windows.Handle, error) {
	again, _, err := procReOpenFile.Call(uintptr(h), uintptr(rights), shareAll,
		windows.FILE_FLAG_OVERLAPPED|windows.FILE_FLAG_BACKUP_SEMANTICS)
	if windows.Handle(again) == windows.InvalidHandle {
		return 0, err
	}
	return windows.Handle(again), nil
}

// pathError names the path that an error of the system is about, and only that one.
func pathError(op, path string, err error) error {
	if inner, ok := errors.AsType[*os.PathError](err); ok {
		err = inner.Err
	}
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

func reserveMemory(size int) ([]byte, error) {
	start, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(pointer(start)), size), nil
}

// pointer is for memory that the Go heap knows nothing of.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func releaseMemory(region []byte) {
	_ = windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(region))), 0, windows.MEM_RELEASE) // of reserveMemory
}

// commitMemory makes the memory of a buffer usable.
func commitMemory(mem []byte) bool {
	_, err := windows.VirtualAlloc(uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(len(mem)), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err == nil
}

// discardMemory gives the memory of a buffer back. Where two buffers share a
// page, it stays.
func discardMemory(mem []byte) {
	const page = 4096
	start := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	end := (start + uintptr(len(mem))) &^ (page - 1)
	if start = (start + page - 1) &^ (page - 1); start < end {
		_ = windows.VirtualFree(start, end-start, windows.MEM_DECOMMIT) // only a matter of thrift
	}
}
