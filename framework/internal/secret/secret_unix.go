//go:build unix

package secret

import (
	"io/fs"
	"os"
	"syscall"
)

// forbidden returns the rights that the file must not give.
func forbidden(info fs.FileInfo) fs.FileMode {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return forbiddenTo(os.Geteuid(), ok && int(owner.Uid) == os.Geteuid())
}

// forbiddenTo returns the rights that a file must not give, by the user of the process and
// whether the file is his.
func forbiddenTo(user int, own bool) fs.FileMode {
	const others, group, groupReads = 0o007, 0o070, 0o040
	if own && user != 0 {
		return others | group
	}
	return others | group&^groupReads
}
