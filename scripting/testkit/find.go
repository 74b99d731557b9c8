package testkit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suffix ends the name of a test, which is that of its script with it in place of ".lua".
const suffix = "_test.lua"

// Find returns the tests at paths: a test itself, or all those in a directory and
// beneath it. Directories whose names begin with a dot are left out.
func Find(paths []string) ([]string, error) {
	var found []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if !strings.HasSuffix(path, suffix) {
				return nil, fmt.Errorf("%s is not a test: the name of one ends in %s", path, suffix)
			}
			found = append(found, filepath.Clean(path))
			continue
		}
		if err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && name != path && strings.HasPrefix(entry.Name(), "."):
				return fs.SkipDir
			case !entry.IsDir() && strings.HasSuffix(name, suffix):
				found = append(found, name)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
