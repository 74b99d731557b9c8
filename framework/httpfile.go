package framework

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"fwx/framework/completion"
	"fwx/framework/wire/http1"
)

// AnswerFile is Answer with a file as the body. The completion port reads the file as fast as
// the client reads the response. The handle must belong to the connection's worker and be open
// for reading; from then on the framework owns it and closes it. Anything but a regular file
// is answered with 404.
//
// With status 200 a GET or HEAD is answered with the file, or with the part that Range asks
// for, and with Last-Modified and ETag unless fields contain them. If-Match, If-None-Match,
// If-Modified-Since, If-Unmodified-Since and If-Range are evaluated (RFC 9110, 13 and 14). A
// Range with several parts is answered with the whole file. If the file is truncated
// meanwhile, the response is broken off.
func AnswerFile(status int, fields []Field, file *completion.Handle) Verdict {
	return Verdict{kind: verdictAnswer, answer: &answer{status: status, fields: fields, file: file}}
}

// dispose releases an answer that is not used.
func (an *answer) dispose() {
	if an != nil && an.file != nil {
		_ = an.file.Close() // an error means that it is already closed
	}
}

// fileAnswer is a response whose body is read from a file. While one piece is sent to the
// client, the next one is read.
type fileAnswer struct {
	x      *Exchange // nil: the exchange has ended
	answer *answer
	o      *completion.Overlapped

	piece  []byte // buffer to read into
	ready  []byte // the part of piece that has been read and not yet sent
	offset int64
	left   int64
}

// fileFound and fileRead are the answer as the notification of its operations.
type (
	fileFound fileAnswer
	fileRead  fileAnswer
)

// respondFile begins to answer the request with a file instead of the server's response.
func (x *Exchange) respondFile(an *answer) {
	x.dropServer()
	x.discardRequest()
	x.responseState = responseHeld
	f := &fileAnswer{x: x, answer: an, o: x.h.w.worker.CreateOverlapped()}
	x.file = f
	x.h.await(waitDisk)
	err := f.o.SetNotificationInterface((*fileFound)(f), nil)
	if err == nil {
		err = an.file.Stat(f.o)
	}
	if err != nil {
		x.fail(500, ByGateway, "the answer's file: "+err.Error())
	}
}

// CompleteAsyncIO sends the head of the response and begins to read.
func (n *fileFound) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	f := (*fileAnswer)(n)
	x := f.x
	defer x.recoverPanic()
	if x == nil {
		return
	}
	h := x.h
	info, _ := o.TakeValue().(fs.FileInfo)
	switch {
	case err != nil:
		x.fail(500, ByGateway, "the answer's file: "+err.Error())
	case !info.Mode().IsRegular():
		x.fail(404, ByFilter, "the answer's file is not a regular file")
	default:
		f.begin(info)
	}
	h.proceed()
}

// begin sends the head of the response.
func (f *fileAnswer) begin(info fs.FileInfo) {
	x, an := f.x, f.answer
	status, fields := an.status, slices.Clip(an.fields)
	f.left = info.Size()
	method := string(x.request.Asked())
	if status == 200 && (method == "GET" || method == "HEAD") {
		v := validatorsOf(&fields, info)
		status = v.precondition(&x.request)
		fields = append(fields, Field{"Accept-Ranges", "bytes"})
		if status == 200 && method == "GET" && v.rangeHolds(&x.request) {
			status = f.choose(&fields)
		}
	}
	if status == 304 || status == 412 || status == 416 {
		f.left = 0
	}
	if !x.claim(2 * int(min(f.left, pieceSize))) { // one is read while the other is sent
		x.fail(503, ByLimit, errMemory.Error())
		return
	}
	x.makeAnswer(status, fields)
	x.sendAnswer(f.left)
	if f.left == 0 || x.contentless() {
		x.finish()
		return
	}
	f.piece = x.h.w.piece()
	if err := f.o.SetNotificationInterface((*fileRead)(f), nil); err != nil {
		x.breakResponse(ByGateway, "the answer's file: "+err.Error())
		return
	}
	f.read()
}

// choose selects the part that Range asks for, and returns the status.
func (f *fileAnswer) choose(fields *[]Field) int {
	size := f.left
	offset, length, status := byteRange(f.x.request.Get("range"), size)
	switch status {
	case 206:
		f.offset, f.left = offset, length
		*fields = append(*fields, Field{"Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size)})
	case 416:
		*fields = append(*fields, Field{"Content-Range", fmt.Sprintf("bytes */%d", size)})
	}
	return status
}

// read reads the next piece.
func (f *fileAnswer) read() {
	ov, err := f.o.GetOverlapped()
	if err == nil {
		ov.Offset = f.offset
		err = f.answer.file.ReadFile(ov, f.piece[:min(int64(len(f.piece)), f.left)])
	}
	if err != nil {
		f.x.breakResponse(ByGateway, "the answer's file: "+err.Error())
	}
}

// CompleteAsyncIO sends what was read.
func (n *fileRead) CompleteAsyncIO(_ bool, bytes int, err error, _ *completion.Overlapped, _ any) {
	f := (*fileAnswer)(n)
	x := f.x
	defer x.recoverPanic()
	if x == nil {
		return
	}
	h := x.h
	switch {
	case errors.Is(err, completion.ErrHandleEOF):
		x.breakResponse(ByGateway, "the answer's file was truncated while it was sent")
	case err != nil:
		x.breakResponse(ByGateway, "the answer's file: "+err.Error())
	default:
		f.ready = f.piece[:bytes]
		f.send()
	}
	h.proceed()
}

// send sends what was read, unless a send is in progress, and reads the next piece.
func (f *fileAnswer) send() {
	x := f.x
	h := x.h
	if len(f.ready) == 0 || h.sending {
		return
	}
	n := len(f.ready)
	h.write(f.ready)
	f.ready = nil
	f.offset += int64(n)
	f.left -= int64(n)
	x.bytesDown += int64(n)
	h.await(waitDisk)
	if f.left == 0 {
		x.finish()
		return
	}
	h.flush()
	f.read()
}

// endFile closes the file of the exchange's response, if it has one.
func (x *Exchange) endFile() {
	f := x.file
	if f == nil {
		return
	}
	x.file, f.x = nil, nil
	f.answer.dispose()
	if f.piece != nil && !f.o.InFlight() {
		x.h.w.giveBackPiece(f.piece)
	}
}

// pieceSize is how much of a file is read or written at a time.
const pieceSize = 64 << 10

// maxPieces bounds the spare pieces of a worker.
const maxPieces = 16

// piece returns memory for a piece of a file.
func (w *httpPool) piece() []byte {
	if n := len(w.pieces); n > 0 {
		p := w.pieces[n-1]
		w.pieces = w.pieces[:n-1]
		return p
	}
	return make([]byte, pieceSize)
}

// giveBackPiece returns a piece to the pool.
func (w *httpPool) giveBackPiece(p []byte) {
	if len(w.pieces) < maxPieces {
		w.pieces = append(w.pieces, p)
	}
}

// validFields reports whether fields can be sent.
func validFields(fields []Field) bool {
	return !slices.ContainsFunc(fields, func(f Field) bool { return !http1.ValidName(f.Name) || !http1.ValidValue(f.Value) })
}
