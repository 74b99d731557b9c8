//go:build !portable

package completion

import (
	"sync/atomic"
	"unsafe"
)

// bufferRing is the ring of receive buffers that the kernel may choose from, so
// that a waiting receive holds none. It is kept as full as its target says,
// which grows when receives find it empty.
type bufferRing struct {
	pool    *bufferPool
	mem     []byte
	entries []uringBuf
	tail    uint16
	target  int // how many buffers should be in it
}

const (
	bufferGroup     = 1
	bufferRingStart = 64
	// bufferRingEntries bounds the ring, which the kernel uses round robin: all
	// buffers that were ever lent come to take memory.
	bufferRingEntries = 256
)

func openBufferRing(r *ring, pool *bufferPool) (*bufferRing, error) {
	mem, err := reserveMemory(bufferRingEntries * int(unsafe.Sizeof(uringBuf{})))
	if err != nil {
		return nil, err
	}
	b := &bufferRing{
		pool: pool, mem: mem, target: min(bufferRingStart, pool.limit),
		entries: unsafe.Slice((*uringBuf)(unsafe.Pointer(&mem[0])), bufferRingEntries),
	}
	reg := uringBufReg{ringAddr: uint64(uintptr(unsafe.Pointer(&mem[0]))), ringEntries: bufferRingEntries, bgid: bufferGroup}
	if err := r.register(registerPbufRing, uintptr(unsafe.Pointer(&reg)), 1); err != nil {
		releaseMemory(mem)
		return nil, err
	}
	b.fill()
	return b, nil
}

// fill lends the kernel buffers up to the target, as far as there are any.
func (b *bufferRing) fill() {
	before := b.tail
	for b.pool.lent < b.target {
		buf := b.pool.get()
		if buf == nil {
			break
		}
		e := &b.entries[b.tail%bufferRingEntries]
		e.addr = uint64(uintptr(unsafe.Pointer(&buf.mem[0])))
		e.len = uint32(len(buf.mem))
		e.id = buf.id
		b.tail++
		b.pool.lent++
	}
	if b.tail != before {
		b.publish()
	}
}

// publish stores the tail, which the kernel reads from the first entry, after
// the entries before it. There is no 16-bit atomic store, so the store covers
// the neighbouring id as well, which is the kernel's to read only.
func (b *bufferRing) publish() {
	word := (*uint32)(unsafe.Pointer(&b.entries[0].id))
	if littleEndian {
		atomic.StoreUint32(word, uint32(b.tail)<<16|uint32(b.entries[0].id))
	} else {
		atomic.StoreUint32(word, uint32(b.entries[0].id)<<16|uint32(b.tail))
	}
}

var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// take returns the buffer that the kernel has chosen and filled.
func (b *bufferRing) take(id uint16) *Buffer {
	b.pool.lent--
	return b.pool.all[id]
}

// scarce reports whether so few buffers are left that none should be kept for
// a receive that may never come.
func (b *bufferRing) scarce() bool {
	left := b.pool.limit - b.pool.inUse + b.pool.lent
	return b.pool.tight(1) || left <= b.pool.limit/8+1
}

// enlarge raises the target after a receive found the ring empty.
func (b *bufferRing) enlarge() {
	b.target = min(b.target*2, bufferRingEntries, b.pool.limit)
}

// close takes the buffers back; the ring of the kernel must be closed.
func (b *bufferRing) close() {
	for ; b.pool.lent > 0; b.pool.lent-- {
		b.tail--
		b.pool.putBack(b.pool.all[b.entries[b.tail%bufferRingEntries].id])
	}
	releaseMemory(b.mem)
}
