package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// pack applies a coding. A level of none is an error of the test.
func pack[W io.WriteCloser](text string, open func(io.Writer) W) string {
	var b bytes.Buffer
	w := open(&b)
	_, _ = io.WriteString(w, text) // into memory
	_ = w.Close()
	return b.String()
}

func gzipped(text string) string { return pack(text, gzip.NewWriter) }
func zlibbed(text string) string { return pack(text, zlib.NewWriter) }
func deflated(text string) string {
	return pack(text, func(w io.Writer) *flate.Writer {
		f, _ := flate.NewWriter(w, flate.BestCompression) // a valid level
		return f
	})
}

const testLimit = 200_000

// decode takes the codings off content that comes in pieces. An error is behind what
// came out before.
func decode(t *testing.T, codings string, pieces ...[]byte) string {
	t.Helper()
	list, err := Standard().Parse([]byte(codings))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(list, testLimit)
	defer d.Close()
	var b strings.Builder
	drain := func() error {
		for d.Pending() {
			piece, err := d.Next()
			if err != nil {
				return err
			}
			if len(piece) > pieceSize {
				t.Fatalf("a piece of %d bytes", len(piece))
			}
			b.Write(piece)
		}
		return nil
	}
	for _, p := range append(pieces, nil) {
		if d.Push(p); p == nil {
			d.End()
		}
		if err := drain(); err != nil {
			switch {
			case errors.Is(err, ErrTooLong):
				return "too long"
			case errors.Is(err, ErrDamaged):
				return "damaged"
			}
			t.Fatal(err)
		}
	}
	text := b.String()
	if len(text) > 100 {
		text = fmt.Sprintf("%d of %.3s", len(text), text)
	}
	return text
}

func TestDecoder(t *testing.T) {
	long := strings.Repeat("abc", 40_000)
	for _, test := range []struct{ name, codings, content, want string }{
		{"gzip", "gzip", gzipped("hello"), "hello"},
		{"its old name", "X-GZip", gzipped("hello"), "hello"},
		{"zlib", "deflate", zlibbed("hello"), "hello"},
		{"raw deflate", "deflate", deflated("hello"), "hello"},
		{"none", "identity, ", "hello", "hello"},
		{"long", "gzip", gzipped(long), "120000 of abc"},
		{"long zlib", "deflate", zlibbed(long), "120000 of abc"},
		{"long deflate", "deflate", deflated(long), "120000 of abc"},
		{"members", "gzip", gzipped("a") + gzipped("") + gzipped("b"), "ab"},
		{"of nothing", "gzip", gzipped(""), ""},
		{"empty", "gzip", "", ""},
		{"two", "deflate, gzip", gzipped(zlibbed("hello")), "hello"},
		{"four", "gzip, deflate, gzip, gzip", gzipped(gzipped(deflated(gzipped(long)))), "120000 of abc"},

		{"as long as may be", "gzip", gzipped(strings.Repeat("x", testLimit)), "200000 of xxx"},
		{"a bomb", "gzip", gzipped(strings.Repeat("x", testLimit+1)), "too long"},
		{"a bomb of zlib", "deflate", zlibbed(strings.Repeat("x", 100*testLimit)), "too long"},
		{"a bomb of deflate", "deflate", deflated(strings.Repeat("x", 100*testLimit)), "too long"},
		{"a bomb in between", "gzip, gzip", gzipped(strings.Repeat("x", 100*testLimit)), "damaged"},
		{"one that ends small", "gzip, gzip", gzipped(strings.Repeat(gzipped(""), testLimit/20)), "too long"},

		{"truncated", "gzip", cut(gzipped("hello"), 1), "damaged"},
		{"truncated in the head", "gzip", gzipped("hello")[:5], "damaged"},
		{"truncated zlib", "deflate", cut(zlibbed("hello"), 1), "damaged"},
		{"truncated deflate", "deflate", cut(deflated("hello"), 1), "damaged"},
		{"a byte", "deflate", "x", "damaged"},
		{"a wrong sum", "gzip", cut(gzipped("hello"), 5) + "aaaaa", "damaged"},
		{"a wrong sum of zlib", "deflate", cut(zlibbed("hello"), 4) + "aaaa", "damaged"},
		{"not what it says", "gzip", "hello", "damaged"},
		{"something behind gzip", "gzip", gzipped("hello") + "x", "damaged"},
		{"something behind zlib", "deflate", zlibbed("hello") + "x", "damaged"},
		{"something behind deflate", "deflate", deflated("hello") + "x", "damaged"},
		{"something behind the inner one", "deflate, gzip", gzipped(zlibbed("hello") + "x"), "damaged"},
		{"a wrong sum of the outer one", "deflate, gzip", cut(gzipped(zlibbed("hello")), 5) + "aaaaa", "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := []byte(test.content)
			if got := decode(t, test.codings, content); got != test.want {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for at := 1; at < len(content); at += 1 + len(content)/100 {
				if got := decode(t, test.codings, content[:at], content[at:]); got != test.want {
					t.Fatalf("cut at %d: got %q, want %q", at, got, test.want)
				}
			}
			pieces := make([][]byte, 0, len(content))
			for i := range content {
				pieces = append(pieces, content[i:i+1])
			}
			if got := decode(t, test.codings, pieces...); got != test.want {
				t.Fatalf("byte by byte: got %q, want %q", got, test.want)
			}
		})
	}
}

func cut(text string, n int) string { return text[:len(text)-n] }

// A decoder comes back often, also while nothing comes out: each time the codings have
// taken in a bounded number of bytes.
func TestDecoderRests(t *testing.T) {
	empty := strings.Repeat(gzipped(""), 200_000)
	for name, test := range map[string]struct{ codings, content string }{
		"empty members around nothing": {"gzip, gzip, gzip", gzipped(gzipped(empty))},
		"empty members":                {"gzip", empty},
		"one that is small":            {"gzip, gzip", gzipped(gzipped("hello"))},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Standard().Parse([]byte(test.codings))
			if err != nil {
				t.Fatal(err)
			}
			d := NewDecoder(list, 64<<20)
			defer d.Close()
			d.Push([]byte(test.content))
			d.End()
			calls, worked := 0, 0
			for d.Pending() {
				if _, err := d.Next(); err != nil {
					t.Fatal(err)
				}
				calls++
				worked += d.Worked()
				if n := d.Worked(); n > workSize+4096 { // what is between two codings is read 4 KiB at a time
					t.Fatalf("%d bytes were taken in before others had a turn", n)
				}
			}
			if worked < len(test.content) || calls < worked/(workSize+4096) {
				t.Errorf("%d bytes were taken in in %d calls, of %d that were given", worked, calls, len(test.content))
			}
		})
	}
}

// What a sender has flushed comes out at once.
func TestDecoderFlush(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	list, err := Standard().Parse([]byte("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(list, testLimit)
	defer d.Close()
	for _, text := range []string{"first", "second"} {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		d.Push(b.Bytes())
		if piece, err := d.Next(); string(piece) != text || err != nil || d.Pending() {
			t.Errorf("%q %v, want %q", piece, err, text)
		}
		b.Reset()
	}
}

func TestParse(t *testing.T) {
	for value, want := range map[string]int{"": 0, "identity": 0, "gzip": 1, " GZIP , identity,deflate": 2, "br": -1, "gzip, compress": -1, "gzip,gzip,gzip,gzip,gzip": -1} {
		list, err := Standard().Parse([]byte(value))
		if want < 0 != errors.Is(err, ErrUnknown) || want >= 0 && len(list) != want {
			t.Errorf("%q: %d %v", value, len(list), err)
		}
	}
}

// A decoder that is closed in the midst leaves nothing behind, and one that panics is
// damaged content.
func TestDecoderEnds(t *testing.T) {
	list, err := Standard().Parse([]byte("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(list, testLimit)
	d.Push([]byte(gzipped(strings.Repeat("x", 100_000))))
	if piece, err := d.Next(); len(piece) != pieceSize || err != nil {
		t.Errorf("%d bytes, %v", len(piece), err)
	}
	d.Close()
	d.Close()
	if piece, err := d.Next(); piece != nil || err != nil || d.Pending() {
		t.Errorf("%d bytes, %v", len(piece), err)
	}
	d = NewDecoder([]Coding{func(io.Reader) (io.Reader, error) { panic("oops") }}, testLimit)
	d.Push([]byte("x"))
	if _, err := d.Next(); !errors.Is(err, ErrDamaged) || d.Pending() {
		t.Error(err)
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		content := []byte(gzipped(strings.Repeat("hello, world; ", size/14)))
		list, err := Standard().Parse([]byte("gzip"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				d := NewDecoder(list, 1<<30)
				d.Push(content)
				d.End()
				for d.Pending() {
					if _, err := d.Next(); err != nil {
						b.Fatal(err)
					}
				}
				d.Close()
			}
		})
		b.Run(fmt.Sprintf("gzip.Reader alone/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			var r gzip.Reader
			p := make([]byte, pieceSize)
			for b.Loop() {
				if err := r.Reset(bytes.NewReader(content)); err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := r.Read(p); err != nil {
						break
					}
				}
			}
		})
	}
}
