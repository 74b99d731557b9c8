//go:build !linux || portable

package completion

import "os"

// rootFolder is empty: names are resolved by os.Root alone.
type rootFolder struct{}

func folderOf(*os.Root) (rootFolder, error) { return rootFolder{}, nil }

func (rootFolder) close() error { return nil }
