// Package files reads files of a configuration and remembers what they were, so that a reload
// can see whether one of them has changed. The contents count, not the times.
//
// Package framework exports File as its own, and package certs reads certificates with Read.
// It touches nothing but the files.
package files

import (
	"crypto/sha256"
	"os"
)

// File is a file that has been read.
type File struct {
	Path string
	Sum  [sha256.Size]byte // of what was read; zero: it could not be
}

// Read reads a file and adds what it was to the list, also if it cannot be read.
func Read(path string, list *[]File) ([]byte, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator says which file
	f := File{Path: path}
	if err == nil {
		f.Sum = sha256.Sum256(text)
	}
	*list = append(*list, f)
	return text, err
}

// Changed reports whether the file is not what it was.
func (f File) Changed() bool {
	var now []File
	_, _ = Read(f.Path, &now) // a file that cannot be read has a sum, too
	return now[0] != f
}
