package scripting

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// errnoNames are the names that other systems have for errors of this one, so
// that a script need not know which it runs on.
var errnoNames = map[syscall.Errno]string{
	windows.ERROR_FILE_NOT_FOUND:    "ENOENT",
	windows.ERROR_PATH_NOT_FOUND:    "ENOENT",
	windows.ERROR_INVALID_NAME:      "ENOENT",
	windows.ERROR_ACCESS_DENIED:     "EACCES",
	windows.ERROR_FILE_EXISTS:       "EEXIST",
	windows.ERROR_ALREADY_EXISTS:    "EEXIST",
	windows.ERROR_DIR_NOT_EMPTY:     "ENOTEMPTY",
	windows.ERROR_SHARING_VIOLATION: "EBUSY",
	windows.ERROR_LOCK_VIOLATION:    "EBUSY",
	windows.ERROR_DISK_FULL:         "ENOSPC",
	windows.ERROR_DIRECTORY:         "ENOTDIR",
	syscall.EACCES:                  "EACCES",
	syscall.EADDRINUSE:              "EADDRINUSE",
	syscall.EADDRNOTAVAIL:           "EADDRNOTAVAIL",
	syscall.EBADF:                   "EBADF",
	syscall.EBUSY:                   "EBUSY",
	syscall.ECONNABORTED:            "ECONNABORTED",
	syscall.ECONNREFUSED:            "ECONNREFUSED",
	syscall.ECONNRESET:              "ECONNRESET",
	syscall.EDQUOT:                  "EDQUOT",
	syscall.EEXIST:                  "EEXIST",
	syscall.EHOSTUNREACH:            "EHOSTUNREACH",
	syscall.EINVAL:                  "EINVAL",
	syscall.EIO:                     "EIO",
	syscall.EISDIR:                  "EISDIR",
	syscall.EMFILE:                  "EMFILE",
	syscall.ENETUNREACH:             "ENETUNREACH",
	syscall.ENOBUFS:                 "ENOBUFS",
	syscall.ENOSPC:                  "ENOSPC",
	syscall.ENOTCONN:                "ENOTCONN",
	syscall.ENOTEMPTY:               "ENOTEMPTY",
	syscall.EPERM:                   "EPERM",
	syscall.EPIPE:                   "EPIPE",
	syscall.EROFS:                   "EROFS",
	syscall.ETIMEDOUT:               "ETIMEDOUT",
}

// errnoName returns the name of an error of the system, if it has one.
func errnoName(errno syscall.Errno) string { return errnoNames[errno] }

// folderFlags open a directory to be listed; a file is told by its listing.
const folderFlags = os.O_RDONLY
