package coding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Coding makes a reader of what a coding was applied to. The reader ends by io.EOF where
// what it reads does, and has an error for anything that is there behind the end of the
// coding. If it is an io.Closer it is closed in the end.
type Coding func(io.Reader) (io.Reader, error)

// Codings are the codings that can be taken off, by their names in lower case.
type Codings map[string]Coding

// Standard returns gzip and deflate.
func Standard() Codings {
	return Codings{"gzip": gunzip, "x-gzip": gunzip, "deflate": inflate}
}

// With returns the codings and others, too.
func (c Codings) With(others Codings) Codings {
	all := maps.Clone(c)
	maps.Copy(all, others)
	return all
}

// maxCodings bounds the codings that were applied one to the other.
const maxCodings = 4

// ErrUnknown answers Parse for a coding that is not known, or too many of them.
var ErrUnknown = errors.New("a content coding that cannot be taken off")

// Parse returns the codings of the values of Content-Encoding, in the order in which they
// are taken off; none if the content goes as it is.
func (c Codings) Parse(values ...[]byte) (list []Coding, err error) {
	for _, value := range values {
		for name := range bytes.SplitSeq(value, []byte{','}) {
			name := strings.ToLower(string(bytes.Trim(name, " \t")))
			if name == "" || name == "identity" {
				continue
			}
			one := c[name]
			if one == nil || len(list) == maxCodings {
				return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
			}
			list = append(list, one)
		}
	}
	slices.Reverse(list)
	return list, nil
}
