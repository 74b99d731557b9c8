package framework

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"fwx/framework/wire/http1"
)

// validators tell one version of a file from another (RFC 9110, 8.8).
type validators struct {
	tag      string
	modified time.Time // in whole seconds; zero: unknown
}

// validatorsOf returns the validators among the fields of a response, or else those of the
// file, which it adds to the fields.
func validatorsOf(fields *[]Field, info fs.FileInfo) (v validators) {
	own := func(name string) (string, bool) {
		i := slices.IndexFunc(*fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
		if i < 0 {
			return "", false
		}
		return (*fields)[i].Value, true
	}
	date, found := own("Last-Modified")
	if !found {
		v.modified = info.ModTime().Truncate(time.Second)
		*fields = append(*fields, Field{"Last-Modified", v.modified.UTC().Format(http.TimeFormat)})
	} else if at, err := http.ParseTime(date); err == nil {
		v.modified = at
	}
	if v.tag, found = own("ETag"); !found {
		v.tag = fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
		*fields = append(*fields, Field{"ETag", v.tag})
	}
	return v
}

// precondition returns the status for a GET or HEAD: 200, 304 or 412 (RFC 9110, 13.2.2).
func (v *validators) precondition(r *http1.Request) int {
	if r.Find("if-match", 0) >= 0 {
		if !v.listed(r, "if-match", sameTag) {
			return 412
		}
	} else if at, err := http.ParseTime(string(r.Get("if-unmodified-since"))); err == nil && !v.modified.IsZero() && v.modified.After(at) {
		return 412
	}
	if r.Find("if-none-match", 0) >= 0 {
		if v.listed(r, "if-none-match", similarTag) {
			return 304
		}
	} else if at, err := http.ParseTime(string(r.Get("if-modified-since"))); err == nil && !v.modified.IsZero() && !v.modified.After(at) {
		return 304
	}
	return 200
}

// rangeHolds reports whether a Range applies: If-Range may say that it does not.
func (v *validators) rangeHolds(r *http1.Request) bool {
	condition := r.Get("if-range")
	switch at, err := http.ParseTime(string(condition)); {
	case condition == nil:
		return true
	case err == nil:
		return !v.modified.IsZero() && v.modified.Equal(at)
	default:
		return sameTag(string(condition), v.tag)
	}
}

// sameTag is the strong comparison of entity tags, similarTag the weak one (RFC 9110,
// 8.8.3.2).
func sameTag(a, b string) bool { return a == b && a != "" && a[0] == '"' }

func similarTag(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

// listed reports whether the tag is in one of the lists with a name.
func (v *validators) listed(r *http1.Request, name string, same func(a, b string) bool) bool {
	for i := r.Find(name, 0); i >= 0; i = r.Find(name, i+1) {
		list := r.Value(i)
		if string(list) == "*" {
			return true
		}
		for tag, rest := nextTag(list); tag != nil; tag, rest = nextTag(rest) {
			if same(string(tag), v.tag) {
				return true
			}
		}
	}
	return false
}

// nextTag returns the first entity tag of a list; nil if the list is empty or does not begin
// with a tag.
func nextTag(list []byte) (tag, rest []byte) {
	list = bytes.TrimLeft(list, " \t,")
	start := 0
	if bytes.HasPrefix(list, []byte("W/")) {
		start = 2
	}
	if len(list) <= start || list[start] != '"' {
		return nil, nil
	}
	n := bytes.IndexByte(list[start+1:], '"')
	if n < 0 {
		return nil, nil
	}
	end := start + n + 2
	return list[:end], list[end:]
}

// byteRange returns the part of a file that a Range asks for, and 206. It returns 200 if the
// Range is ignored, because it is missing, malformed or has several parts, and 416 if the file
// has no such part.
func byteRange(text []byte, size int64) (offset, length int64, status int) {
	unit, spec, _ := bytes.Cut(text, []byte("="))
	first, last, ok := bytes.Cut(spec, []byte("-"))
	if !http1.EqualFold(unit, "bytes") || !ok {
		return 0, 0, 200
	}
	from, hasFrom, okFrom := position(first)
	to, hasTo, okTo := position(last)
	switch {
	case !okFrom || !okTo || !hasFrom && !hasTo || hasFrom && hasTo && to < from:
		return 0, 0, 200
	case !hasFrom: // the last bytes of the file
		from, to = max(0, size-to), size-1
	case !hasTo:
		to = size - 1
	}
	if from >= size || to < from {
		return 0, 0, 416
	}
	return from, min(to, size-1) - from + 1, 206
}

// position parses a number of a Range, which may be missing.
func position(text []byte) (n int64, there, ok bool) {
	if len(text) == 0 {
		return 0, false, true
	}
	if slices.ContainsFunc(text, func(b byte) bool { return b < '0' || b > '9' }) {
		return 0, false, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil { // it is larger than any file
		n = math.MaxInt64
	}
	return n, true, true
}
