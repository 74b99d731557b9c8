// Package seam is where the test kit of the completion port takes hold of it.
// Only packages beside it can name what it declares, so no program can.
package seam

import (
	"time"

	"fwx/framework/completion/internal/memory"
)

// Hooks is what a port for tests has instead of, or besides, a port's own.
type Hooks struct {
	// Memory is the operating system of the port; its backend is "fake" then.
	// Nil means the real one.
	Memory *memory.System
	// Faults returns what goes wrong on a worker; nil: nothing does.
	Faults func(worker int) Faults
	// RingEntries is the size of an io_uring's submission queue, so that a test
	// can have it overflow; its completion queue is twice that. 0: as always.
	RingEntries uint32
}

// Kind is what an operation does.
type Kind uint8

// The kinds of operation that faults tell apart.
const (
	Other  Kind = iota // including what must not fail
	Read               // of a file
	Write              // to a file
	Sync               // of a file
	Stream             // a transfer on a pipe
	Recv
	Send
)

// Op is an operation that is about to begin.
type Op struct {
	Kind Kind
	Size int // of its buffer
	User any // its user context; nil for the port's own
	// At is the position in the file.
	At int64
}

// Fate is what becomes of an operation. The zero value is: nothing unusual.
type Fate struct {
	// Delay passes before the backend is told of the operation.
	Delay time.Duration
	// Limit is how much of the buffer is used; 0: all of it. With it a read or
	// receive is short. A write is not: the port must go on, so it needs an Err.
	Limit int
	// Err ends the operation, after Limit bytes of it; a Limit of 0 is none.
	Err error
	// Piece is how much the system takes of what is sent or written at a time;
	// the port must go on with the rest. 0: as always.
	Piece int
}

// Faults says what goes wrong on a worker. It is called on that worker only.
type Faults interface {
	// Start decides the fate of an operation.
	Start(op Op) Fate
	// Refuse tells whether a start finds too many operations in flight.
	Refuse() bool
	// Finish is how long the notification of an operation that has ended is
	// held back; others overtake it.
	Finish() time.Duration
	// Cancel is how long a cancel request is under way.
	Cancel() time.Duration
	// Starve tells whether all free receive buffers are taken away, and for how long.
	Starve() time.Duration
}
