package framework

import "fwx/framework/completion"

// A direction between two sockets that no filter sees, and that carries bulk data, goes
// through a pipe in the kernel instead of through the program: received data is spliced into
// the pipe, and from there into the other socket. For small amounts an ordinary receive and
// send are cheaper.

const (
	// bulkChunks is how many full buffers in a row count as a bulk transfer.
	bulkChunks = 4
	// bulkLeast is how much each splice must move for the bulk transfer to continue.
	bulkLeast = 32 << 10
)

// splice receives into a pipe, if that is possible and worth it. It returns false if not.
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
