//go:build !unix

package secret

import "io/fs"

// forbidden returns nothing: the rights are not in the mode.
func forbidden(fs.FileInfo) fs.FileMode { return 0 }
