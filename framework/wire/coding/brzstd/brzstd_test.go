package brzstd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"fwx/framework/wire/coding"
)

const testLimit = 200_000

func packed(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = brotli.NewWriter(&b)
	if name == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// decode decodes content that comes in pieces of a size.
func decode(t *testing.T, codings, content string, size int) (string, error) {
	t.Helper()
	list, err := coding.Standard().With(Codings()).Parse([]byte(codings))
	if err != nil {
		t.Fatal(err)
	}
	d := coding.NewDecoder(list, testLimit)
	defer d.Close()
	var b strings.Builder
	for rest := []byte(content); ; {
		for d.Pending() {
			piece, err := d.Next()
			if err != nil {
				return "", err
			}
			b.Write(piece)
		}
		n := min(size, len(rest))
		if n == 0 {
			d.End()
			if !d.Pending() {
				return b.String(), nil
			}
			continue
		}
		d.Push(rest[:n])
		rest = rest[n:]
	}
}

func TestCodings(t *testing.T) {
	long := strings.Repeat("some words, ", 10_000)
	for _, name := range []string{"br", "zstd"} {
		for _, test := range []struct {
			name, codings, content, want string
			err                          error
		}{
			{"short", name, packed(t, name, "hello"), "hello", nil},
			{"of nothing", name, packed(t, name, ""), "", nil},
			{"empty", name, "", "", nil},
			{"long", name, packed(t, name, long), long, nil},
			{"both", "br, zstd", packed(t, "zstd", packed(t, "br", "hello")), "hello", nil},
			{"as long as may be", name, packed(t, name, strings.Repeat("x", testLimit)), strings.Repeat("x", testLimit), nil},
			{"a bomb", name, packed(t, name, strings.Repeat("x", 100*testLimit)), "", coding.ErrTooLong},
			{"one byte too long", name, packed(t, name, strings.Repeat("x", testLimit+1)), "", coding.ErrTooLong},
			{"truncated", name, packed(t, name, long)[:20], "", coding.ErrDamaged},
			{"not what it says", name, "hello, this is neither", "", coding.ErrDamaged},
			{"something behind it", name, packed(t, name, "hello") + "x", "", coding.ErrDamaged},
		} {
			sizes := []int{1 << 20, 7, 1}
			switch {
			case len(test.content) < 100:
				for size := 2; size < len(test.content); size++ {
					sizes = append(sizes, size)
				}
			case len(test.content) > 10_000:
				sizes = sizes[:2]
			}
			for _, size := range sizes {
				if got, err := decode(t, test.codings, test.content, size); got != test.want || !errors.Is(err, test.err) {
					t.Errorf("%s, %s, in pieces of %d bytes: %d bytes, %v, want %d bytes, %v", name, test.name, size, len(got), err, len(test.want), test.err)
				}
			}
		}
	}
	// A window of 16 MiB, which a sender must not use.
	if _, err := decode(t, "zstd", "\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", 100); !errors.Is(err, coding.ErrDamaged) {
		t.Error(err)
	}
}

// What a sender has flushed comes out at once.
func TestFlush(t *testing.T) {
	type flusher interface {
		io.WriteCloser
		Flush() error
	}
	for name, open := range map[string]func(w io.Writer) flusher{
		"br": func(w io.Writer) flusher { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) flusher {
			z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	} {
		list, err := Codings().Parse([]byte(name))
		if err != nil {
			t.Fatal(err)
		}
		d := coding.NewDecoder(list, testLimit)
		var b bytes.Buffer
		w := open(&b)
		for _, text := range []string{"first", "second"} {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			d.Push(bytes.Clone(b.Bytes()))
			b.Reset()
			if piece, err := d.Next(); string(piece) != text || err != nil {
				t.Errorf("%s: %q %v, want %q", name, piece, err, text)
			}
		}
		d.Close()
	}
}
