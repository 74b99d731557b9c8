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

// statFile asks by a handle of its own, which os.File closes.
func statFile(fd int) (os.FileInfo, error) {
	process := windows.CurrentProcess()
	var same windows.Handle
	if err := windows.DuplicateHandle(process, windows.Handle(fd), process, &same, 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
		return nil, systemError(err)
	}
	f := os.NewFile(uintptr(same), "")
	defer func() { _ = f.Close() }() // it was only asked
	return f.Stat()
}
