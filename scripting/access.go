package scripting

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fwx/framework/completion"
)

// access is which files a script may open. Its directories are opened once; what
// is opened later is looked for beneath them, so that neither "..", nor a
// symbolic link, nor an absolute path leads anywhere else.
type access struct {
	filter      string
	dir         string
	read, write []*grant

	empty string   // in a trial: a directory that stands in for those that a start would make
	made  []string // those, as far as they are missing

	systemRoots func() (*x509.CertPool, error)
}

// grant is one entry of [filter.allow]: a directory, or a single file in one.
type grant struct {
	entry  string // relative to access.dir, cleaned
	folder string // of the directory, likewise
	file   string // the only file of it; empty: all
	root   *completion.Root
}

// mode is what a script wants a file for.
type mode string

const (
	reading mode = "read"
	writing mode = "write"
)

func newAccess(s Settings) *access {
	a := &access{filter: s.Name, dir: s.Dir, systemRoots: s.System.Roots}
	for _, entry := range s.Allow.Read {
		a.read = append(a.read, &grant{entry: entry})
	}
	for _, entry := range s.Allow.Write {
		a.write = append(a.write, &grant{entry: entry})
	}
	return a
}

// open opens the directories on a port. One to be written to is made if it is missing.
func (a *access) open(port *completion.Port) error {
	for _, g := range a.write { // first: what they make can be read
		if err := a.openGrant(port, g, true); err != nil {
			return fmt.Errorf("allow.write: %w", err)
		}
	}
	for _, g := range a.read {
		if err := a.openGrant(port, g, false); err != nil {
			return fmt.Errorf("allow.read: %w", err)
		}
	}
	return nil
}

func (a *access) openGrant(port *completion.Port, g *grant, create bool) (err error) {
	isFolder := strings.HasSuffix(g.entry, "/") || g.entry == "."
	g.entry = filepath.Clean(g.entry)
	if info, err := port.Stat(filepath.Join(a.dir, g.entry)); err == nil {
		isFolder = info.IsDir()
	}
	g.folder, g.file = g.entry, ""
	if !isFolder {
		g.folder, g.file = filepath.Dir(g.entry), filepath.Base(g.entry)
	}
	path := filepath.Join(a.dir, g.folder)
	switch {
	case a.empty != "":
		path, err = a.standIn(port, path, create)
	case create:
		err = port.MkdirAll(path, defaultFolderMode)
	}
	if err == nil {
		g.root, err = port.OpenRoot(path)
	}
	return err
}

func (a *access) close() (errs []error) {
	for _, g := range append(a.read, a.write...) {
		if g.root != nil {
			errs = append(errs, g.root.Close())
		}
	}
	return errs
}

// maxPath bounds the name of a file. No system has longer ones, and on Windows
// [os.Root] would take the beginning of one for the whole.
const maxPath = 32<<10 - 2

// find returns the directory by which a script may open a file for a mode, and
// the file's name beneath it.
func (a *access) find(m mode, path string) (*grant, string, error) {
	if len(path) > maxPath {
		return nil, "", &codedError{fmt.Sprintf("%s a file: the name has more than %d bytes", m, maxPath), "ENAMETOOLONG"}
	}
	if filepath.IsLocal(path) {
		clean := filepath.Clean(path)
		var best *grant
		for _, g := range a.grants(m) {
			if g.covers(clean) && (best == nil || len(g.entry) > len(best.entry)) {
				best = g
			}
		}
		if best != nil {
			name, err := filepath.Rel(best.folder, clean)
			return best, name, err
		}
	}
	return nil, "", a.denied(string(m), path, string(m))
}

// denied is the error of something that an entry of [filter.allow] would allow.
func (a *access) denied(verb, what, key string) error {
	return &codedError{
		fmt.Sprintf("filter %q is not allowed to %s %s: add it to %s in [filter.allow]", a.filter, verb, what, key), codeDenied,
	}
}

func (a *access) grants(m mode) []*grant {
	if m == reading {
		return a.read
	}
	return a.write
}

// covers reports whether a clean relative path is the entry or beneath it.
func (g *grant) covers(path string) bool {
	if g.entry == "." {
		return true
	}
	rest, ok := strings.CutPrefix(path, g.entry)
	return ok && (rest == "" || g.file == "" && rest[0] == filepath.Separator)
}

// explain makes an error of an open file name the path that the script gave, and
// says so when the path has led out of the directory.
func explain(verb, path string, err error) error {
	if err == nil {
		return nil
	}
	if isEscape(err) {
		return &codedError{fmt.Sprintf("%s %s: it leads out of what [filter.allow] names", verb, path), codeDenied}
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	if linkError, ok := errors.AsType[*os.LinkError](err); ok {
		err = linkError.Err
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}
