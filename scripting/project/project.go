// Package project writes a small project to begin with: a configuration, a filter in
// Lua with its test, and settings for editors.
package project

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fwx/scripting/stubs"
)

//go:embed all:template
var template embed.FS

// The permissions of what is written.
const (
	folderMode = 0o755
	fileMode   = 0o644
)

// file is one to be written, by its path in the project, with slashes.
type file struct {
	path    string
	content []byte
}

// files returns what a project consists of.
func files() (list []file, err error) {
	for _, from := range []struct {
		files  fs.FS
		folder string // in the project
	}{{sub(template, "template"), ""}, {stubs.Files, "stubs"}} {
		err = errors.Join(err, fs.WalkDir(from.files, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(from.files, path)
			list = append(list, file{strings.TrimPrefix(from.folder+"/"+path, "/"), content})
			return err
		}))
	}
	return list, err
}

// sub returns a folder of an embedded file system, which is there.
func sub(files fs.FS, folder string) fs.FS {
	inner, err := fs.Sub(files, folder)
	if err != nil {
		panic(err)
	}
	return inner
}

// Write writes a project into a directory, which it makes, and returns the paths of
// its files there. If one of them exists already, nothing is written.
func Write(dir string) (paths []string, err error) {
	list, err := files()
	if err != nil {
		return nil, err
	}
	var there []string
	for _, f := range list {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.path))); err == nil {
			there = append(there, f.path)
		}
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("%s has %s already: nothing was written", dir, strings.Join(there, ", "))
	}
	for _, f := range list {
		if err := write(filepath.Join(dir, filepath.FromSlash(f.path)), f.content); err != nil {
			return paths, err
		}
		paths = append(paths, f.path)
	}
	return paths, nil
}

// write makes a file that does not exist, and the directories above it.
func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // the user says where
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
