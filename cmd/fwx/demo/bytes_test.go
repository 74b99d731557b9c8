package demo_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"fwx/cmd/fwx/demo"
)

// take returns the first n bytes of the stream.
func take(tb testing.TB, n int) []byte {
	tb.Helper()
	p := make([]byte, n)
	if _, err := io.ReadFull(demo.Bytes(), p); err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestBytesDefinition(t *testing.T) {
	// The published first outputs of SplitMix64 with seed 0.
	want := []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec}
	p := take(t, 8*len(want))
	for i, w := range want {
		if got := binary.LittleEndian.Uint64(p[8*i:]); got != w {
			t.Errorf("number %d = %#x, want %#x", i, got, w)
		}
	}
}

func TestBytesInParts(t *testing.T) {
	const size = 100_003
	want := take(t, size)
	tests := []struct {
		name   string
		reader io.Reader
	}{
		{"one byte at a time", iotest.OneByteReader(demo.Bytes())},
		{"halves", iotest.HalfReader(demo.Bytes())},
		{"parts of any size", partsReader{demo.Bytes(), rand.New(rand.NewPCG(1, 2))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := io.ReadAll(io.LimitReader(test.reader, size))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("the stream depends on how it is read")
			}
		})
	}
}

// partsReader reads from 0 to 20 bytes at a time.
type partsReader struct {
	io.Reader
	random *rand.Rand
}

func (r partsReader) Read(p []byte) (int, error) {
	return r.Reader.Read(p[:min(len(p), r.random.IntN(21))])
}

func BenchmarkBytes(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	r := demo.Bytes()
	for b.Loop() {
		if _, err := r.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
