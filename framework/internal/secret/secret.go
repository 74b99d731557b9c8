// Package secret looks at files that have private keys and passwords.
package secret

import (
	"fmt"
	"os"
)

// Check returns an error for a file whose secret others can know or replace: one that others, or
// the group, may do more with than its owner needs. The group may read a file that is not
// the user's own, which is how the administrator gives it to a service. It takes the
// rights of Windows for granted, and what is no regular file.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if mode := info.Mode().Perm(); mode&forbidden(info) != 0 {
		return fmt.Errorf("%s has a secret and can be read or written by others than its owner (mode %04o): chmod %04o %s", path, uint32(mode), uint32(mode&^forbidden(info)), path)
	}
	return nil
}
