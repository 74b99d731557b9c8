// Package brzstd takes off the codings br (RFC 7932) and zstd (RFC 8878), by packages that
// not every program wants to carry.
package brzstd

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"fwx/framework/wire/coding"
)

// Codings returns br and zstd.
func Codings() coding.Codings {
	return coding.Codings{"br": unbrotli, "zstd": unzstd}
}

// Readers are large, so those that have ended are used again: those of zstd by the window
// that they take, of which zstds has as many as windows.
var (
	brotlis sync.Pool
	zstds   [len(windows)]sync.Pool
)

type brotliReader struct{ *brotli.Reader }

func unbrotli(from io.Reader) (io.Reader, error) {
	in := bufio.NewReader(from)
	head, _ := in.Peek(1) // without it there is no body anyway
	if err := coding.ClaimMemory(from, brotliWindow(head)+overhead); err != nil {
		return nil, err
	}
	r, ok := brotlis.Get().(*brotliReader)
	if !ok {
		return &brotliReader{brotli.NewReader(in)}, nil
	}
	return r, r.Reset(in)
}

// brotliWindow returns the size of the window that a stream begins by naming (RFC 7932,
// 9.1).
func brotliWindow(head []byte) int {
	if len(head) == 0 || head[0]&1 == 0 {
		return 1 << 16
	}
	if n := head[0] >> 1 & 7; n != 0 {
		return 1 << (17 + n)
	}
	switch n := head[0] >> 4 & 7; n {
	case 0:
		return 1 << 17
	case 1: // a large window, which is refused
		return 0
	default:
		return 1 << (8 + n)
	}
}

// Close lets the reader be used again.
func (r *brotliReader) Close() error {
	brotlis.Put(r)
	return nil
}

// overhead is what a reader takes beside its window, in bytes.
const overhead = 256 << 10

// windows are the sizes of windows that readers of zstd are made for. The last is the
// largest that senders may use in HTTP (RFC 9659).
var windows = [...]uint64{256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20}

type zstdReader struct {
	*zstd.Decoder
	pool *sync.Pool
}

// unzstd reads zstd. A frame whose window is of another size in windows than that of the
// first one, and larger, is refused.
func unzstd(from io.Reader) (io.Reader, error) {
	in := bufio.NewReader(from)
	head, _ := in.Peek(shortestFrame) // without it there is no frame anyway
	size := 0
	for size < len(windows)-1 && zstdWindow(head) > windows[size] {
		size++
	}
	if err := coding.ClaimMemory(from, int(windows[size])+overhead); err != nil {
		return nil, err
	}
	pool := &zstds[size]
	if r, ok := pool.Get().(*zstdReader); ok {
		return r, r.Reset(in)
	}
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windows[size]))
	return &zstdReader{d, pool}, err
}

// shortestFrame is the length of the shortest frame of zstd, in bytes.
const shortestFrame = 9

// zstdWindow returns the size of the window that a frame begins by naming (RFC 8878,
// 3.1.1.1), or the largest if it cannot be told from so little.
func zstdWindow(head []byte) uint64 {
	if len(head) < shortestFrame || binary.LittleEndian.Uint32(head) != 0xFD2FB528 {
		return windows[len(windows)-1]
	}
	descriptor := head[4]
	if single := descriptor&0x20 != 0; !single {
		base := uint64(1) << (10 + head[5]>>3)
		return base + base/8*uint64(head[5]&7)
	}
	at := 5 + [...]int{0, 1, 2, 4}[descriptor&3] // behind the number of a dictionary
	switch size := head[at:]; {
	case descriptor>>6 == 0:
		return uint64(size[0])
	case descriptor>>6 == 1 && len(size) >= 2:
		return uint64(binary.LittleEndian.Uint16(size)) + 256
	case descriptor>>6 == 2 && len(size) >= 4:
		return uint64(binary.LittleEndian.Uint32(size))
	}
	return windows[len(windows)-1]
}

// Close lets the reader be used again.
func (r *zstdReader) Close() error {
	r.pool.Put(r)
	return nil
}
