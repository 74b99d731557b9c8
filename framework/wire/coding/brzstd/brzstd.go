// Package brzstd takes off the codings br (RFC 7932) and zstd (RFC 8878), by packages that
// not every program wants to carry.
package brzstd

import (
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

// Readers are large, so those that have ended are used again.
var brotlis, zstds sync.Pool

type brotliReader struct{ *brotli.Reader }

func unbrotli(from io.Reader) (io.Reader, error) {
	r, ok := brotlis.Get().(*brotliReader)
	if !ok {
		return &brotliReader{brotli.NewReader(from)}, nil
	}
	return r, r.Reset(from)
}

// Close lets the reader be used again.
func (r *brotliReader) Close() error {
	brotlis.Put(r)
	return nil
}

// maxWindow is the largest window that senders of zstd may use in HTTP (RFC 9659).
const maxWindow = 8 << 20

type zstdReader struct{ *zstd.Decoder }

func unzstd(from io.Reader) (io.Reader, error) {
	if r, ok := zstds.Get().(*zstdReader); ok {
		return r, r.Reset(from)
	}
	d, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	return &zstdReader{d}, err
}

// Close lets the reader be used again.
func (r *zstdReader) Close() error {
	zstds.Put(r)
	return nil
}
