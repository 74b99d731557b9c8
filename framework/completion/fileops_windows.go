package completion

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

func truncateFile(fd int, size int64) error {
	end := size // a FILE_END_OF_FILE_INFO
	return systemError(windows.SetFileInformationByHandle(windows.Handle(fd), windows.FileEndOfFileInfo,
		(*byte)(unsafe.Pointer(&end)), uint32(unsafe.Sizeof(end))))
}

// statFile asks through a handle of its own: os.NewFile binds what it is given to Go's
// completion port, after which it could not be hooked to ours.
func statFile(fd int) (os.FileInfo, error) {
	own, err := ownHandle(windows.Handle(fd))
	if err != nil {
		return nil, systemError(err)
	}
	f := os.NewFile(uintptr(own), "")
	defer func() { _ = f.Close() }() // it was only asked
	return f.Stat()
}

// ownHandle returns another handle of what is open: of a file one that was opened anew, and
// otherwise a copy, which is of use once the handle has been hooked.
func ownHandle(h windows.Handle) (own windows.Handle, err error) {
	if kind, err := windows.GetFileType(h); err == nil && kind == windows.FILE_TYPE_DISK {
		return reopen(h, windows.FILE_READ_ATTRIBUTES)
	}
	process := windows.CurrentProcess()
	err = windows.DuplicateHandle(process, h, process, &own, 0, false, windows.DUPLICATE_SAME_ACCESS)
	return own, err
}
