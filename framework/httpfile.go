package framework

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"fwx/framework/completion"
	"fwx/framework/wire/http1"
)

// AnswerFile is Answer with a file as the body, which is read by the port as fast as the
// client takes it. The handle must be one of the connection's worker, open for reading;
// it belongs to the framework from then on, which closes it. What is no regular file is
// answered with 404.
//
// With status 200 a GET or HEAD gets the file, or the part that Range asks for, with
// Last-Modified and ETag, unless fields have them, and If-Match, If-None-Match,
// If-Modified-Since, If-Unmodified-Since and If-Range are heeded (RFC 9110, 13 and 14). A
// Range of several parts is answered with all of the file. A file that becomes shorter
// meanwhile breaks the response off.
func AnswerFile(status int, fields []Field, file *completion.Handle) Verdict {
	return Verdict{kind: verdictAnswer, answer: &answer{status: status, fields: fields, file: file}}
}

// dispose gives up an answer that is not used.
func (an *answer) dispose() {
	if an != nil && an.file != nil {
		_ = an.file.Close() // an error means that it is closed
	}
}

// fileAnswer is an answer whose body is read from a file. While a piece goes to the
// client the next one is read.
type fileAnswer struct {
	x      *Exchange // nil: it is over
	answer *answer
	o      *completion.Overlapped

	piece  []byte // to read into
	ready  []byte // what of it has been read and not sent yet
	offset int64
	left   int64
}

// fileFound and fileRead are the answer as the notification of its operations.
type (
	fileFound fileAnswer
	fileRead  fileAnswer
)

// respondFile begins to answer the request with a file in the server's place.
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

// CompleteAsyncIO sends the head of the answer, and begins to read.
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
		x.fail(404, ByFilter, "the answer's file is no regular file")
	default:
		f.begin(info)
	}
	h.proceed()
}

// begin sends the head of the answer.
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
	if !x.claim(2 * int(min(f.left, pieceSize))) { // one that is read, and one on its way
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

// choose narrows the answer to what Range asks for, and returns its status.
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
		x.breakResponse(ByGateway, "the answer's file has become shorter")
	case err != nil:
		x.breakResponse(ByGateway, "the answer's file: "+err.Error())
	default:
		f.ready = f.piece[:bytes]
		f.send()
	}
	h.proceed()
}

// send sends what was read, unless something is on its way, and reads on.
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

// endFile closes the file of the exchange's answer, if it has one.
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

// maxPieces bounds the pieces that a worker keeps for the next who needs one.
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

// giveBackPiece takes it back.
func (w *httpPool) giveBackPiece(p []byte) {
	if len(w.pieces) < maxPieces {
		w.pieces = append(w.pieces, p)
	}
}

// validFields reports whether fields can be sent.
func validFields(fields []Field) bool {
	return !slices.ContainsFunc(fields, func(f Field) bool { return !http1.ValidName(f.Name) || !http1.ValidValue(f.Value) })
}
