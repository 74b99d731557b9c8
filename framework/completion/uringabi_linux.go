//go:build !portable

package completion

// The binary interface of io_uring, as in <linux/io_uring.h>.

const (
	opcodeWritev      = 2
	opcodeFsync       = 3
	opcodePollAdd     = 6
	opcodeSendmsg     = 9
	opcodeRecvmsg     = 10
	opcodeAsyncCancel = 14
	opcodeRead        = 22
	opcodeWrite       = 23
	opcodeSend        = 26
	opcodeRecv        = 27

	sqeAsync        = 1 << 4
	sqeBufferSelect = 1 << 5

	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featFastPoll   = 1 << 5
	featExtArg     = 1 << 8

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerIowqMaxWorkers = 19
	registerPbufRing       = 22

	cqeBuffer       = 1 << 0
	cqeMore         = 1 << 1
	cqeSockNonEmpty = 1 << 2
	cqeBufferShift  = 16

	recvPollFirst = 1 << 0 // in ioprio
	recvMultishot = 1 << 1
	pollAddMulti  = 1 << 0 // in len

	offSQRing = 0
	offSQEs   = 0x10000000
)

type uringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sqOff                                                                  struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cqOff struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		_                                                           uint64
	}
}

type uringSQE struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	opFlags  uint32
	userData uint64
	bufGroup uint16
	_        [22]byte
}

type uringCQE struct {
	userData uint64
	res      int32
	flags    uint32
}

// uringBuf is an entry of a ring of provided buffers. In the first entry the
// kernel reads tail as the tail of the ring.
type uringBuf struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16
}

type uringBufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	_           [3]uint64
}

type uringGetEventsArg struct {
	sigmask   uint64
	sigmaskSz uint32
	_         uint32
	ts        uint64
}
