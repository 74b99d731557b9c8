package framework

import "fwx/framework/completion"

// A direction between two sockets that no filter watches, and in which much is
// sent, goes through a pipe in the kernel instead of through the program: what is
// received is spliced into it, and from it into the other socket. For small amounts
// an ordinary receive and send are cheaper.

const (
	// bulkChunks is how many full buffers in a row make a bulk transfer.
	bulkChunks = 4
	// bulkLeast is how much has to be moved at once for it to go on.
	bulkLeast = 32 << 10
)

// splice receives into a pipe, if that is worth while and possible.
func (f *flow) splice() bool {
	if f.full < bulkChunks || len(f.c.chain) > 0 {
		return false
	}
	from, plain := f.from().(*completion.Socket)
	if _, plainTo := f.to().(*completion.Socket); !plain || !plainTo {
		return false
	}
	pipe, err := f.c.worker.NewPipe()
	if err != nil {
		f.full = 0
		return false
	}
	if err := from.SpliceIn(f.recv, pipe); err != nil {
		pipe.Release() // it is empty
		return false
	}
	f.pipe = pipe
	return true
}

// countFull counts the full buffers in a row.
func (f *flow) countFull(b *completion.Buffer) {
	if b == nil {
		if f.pipe != nil && f.pipe.Held() < bulkLeast {
			f.full = 0
		}
		return
	}
	if !b.Full() {
		f.full = 0
	} else if f.full < bulkChunks {
		f.full++
	}
}
