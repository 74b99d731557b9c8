package framework

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// SpoolConfig says where the bodies of requests are stored that are too long for memory, see
// OverflowSpool.
type SpoolConfig struct {
	// Dir is the directory of the files, which is created if it is missing; empty means the
	// system's directory for temporary files.
	Dir string `toml:"dir"`
	// MaxBody bounds the size of one body; a longer one is answered with 413. 0 means 1 GiB.
	MaxBody strict.Size `toml:"max_body"`
	// MaxTotal bounds the size of all bodies together; beyond it requests are answered with
	// 503. 0 means 10 GiB.
	MaxTotal strict.Size `toml:"max_total"`

	Table strict.Table `toml:"."`
}

const (
	defaultSpoolBody  = 1 << 30
	defaultSpoolTotal = 10 << 30
)

func (c *SpoolConfig) check(check strict.Checker) {
	check.Size("max_body", &c.MaxBody, 1, math.MaxInt64, defaultSpoolBody)
	check.Size("max_total", &c.MaxTotal, 1, math.MaxInt64, max(defaultSpoolTotal, c.MaxBody))
	if c.MaxTotal < c.MaxBody {
		check.Errorf("max_total", "wants at least the %d bytes of max_body, not %d", c.MaxBody, c.MaxTotal)
	}
}

// checkSpool reports a spool whose directory is something else.
func (c *Config) checkSpool(check strict.Checker, l *ListenerConfig) {
	if l.HTTP == nil || l.HTTP.Spool.Dir == "" {
		return
	}
	dir := c.path(l.HTTP.Spool.Dir)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		check.Sub("http", l.HTTP.Table).Sub("spool", l.HTTP.Spool.Table).Errorf("dir", "%s is not a directory", dir)
	}
}

// makeSpool makes the directory of a listener's spool.
func (l *listener) makeSpool() error {
	if l.config.HTTP == nil {
		return nil
	}
	l.spoolDir = os.TempDir()
	if dir := l.config.HTTP.Spool.Dir; dir != "" {
		l.spoolDir = l.generation.Load().config.path(dir)
	}
	if err := l.fw.port.MkdirAll(l.spoolDir, 0o700); err != nil {
		return fmt.Errorf("listener %q: http.spool.dir: %w", l.config.Name, err)
	}
	return nil
}

// SpooledBodyFilter is a RequestBodyFilter that asks for bodies by WholeBody with
// OverflowSpool.
type SpooledBodyFilter interface {
	// SpooledBody is called once, instead of RequestBody, with a body that was longer than
	// the limit. Replace sends something else instead, Drop sends no body.
	SpooledBody(x *Exchange, body *Spool) Verdict
}

// Spool is the body of a request on disk. Its file is unlinked once it is open, so it vanishes
// with the gateway no matter how that ends. It is written and read by the completion port: a
// slow disk slows down the client, and nothing piles up.
type Spool struct {
	x      *Exchange // nil: the spool has been given up
	l      *listener
	path   string
	state  spoolState
	handle *completion.Handle // nil: the file is being opened
	o      *completion.Overlapped
	size   int64
	done   int64 // how many bytes have been written, or read back

	gathered []byte // bytes not yet written
	inFlight []byte // bytes being written, or the piece being read
	ended    bool   // the body is complete
}

type spoolState uint8

const (
	spoolTaking    spoolState = iota // the client is sending the body
	spoolShown                       // the body is being shown to the filters
	spoolReleasing                   // the body is being sent to the server
)

// spoolOpened and spoolMoved are the spool as the notification of its operations.
type (
	spoolOpened Spool
	spoolMoved  Spool
)

// Size returns the length of the body in bytes.
func (s *Spool) Size() int64 { return s.size }

// ReadFile starts to read a part of the body, like Handle.ReadFile, for the filter that has
// been given the body and has not given its verdict. Afterwards it returns ErrTerminating.
func (s *Spool) ReadFile(ov *completion.OVERLAPPED, buf []byte) error {
	if s.x == nil || s.state != spoolShown {
		return ErrTerminating
	}
	return s.handle.ReadFile(ov, buf)
}

// beginSpool starts to write a body to disk of which a part has been gathered, and more has
// arrived.
func (x *Exchange) beginSpool(gathered, more []byte) {
	h := x.h
	s := &Spool{x: x, l: h.c.listener, o: h.w.worker.CreateOverlapped(), gathered: gathered}
	s.path = filepath.Join(s.l.spoolDir, "fwx-"+x.ID()+".spool")
	x.spool = s
	if !x.claim(2 * pieceSize) { // one is gathered while the other is written
		x.fail(503, ByLimit, errMemory.Error())
		return
	}
	if !s.reserve(len(gathered)) {
		return
	}
	err := s.o.SetNotificationInterface((*spoolOpened)(s), nil)
	if err == nil {
		err = h.w.worker.OpenFile(s.o, nil, s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		s.failed(err)
		return
	}
	s.take(more)
}

func (s *Spool) failed(err error) { s.x.fail(503, ByGateway, fmt.Sprintf("the spool: %v", err)) }

// reserve counts n more bytes of the body. It returns false if that is too much, after
// answering the request.
func (s *Spool) reserve(n int) bool {
	s.size += int64(n)
	total := s.l.spooled.Add(int64(n))
	s.l.httpSpooled.Add(float64(n))
	switch c := &s.x.h.config.Spool; {
	case s.size > int64(c.MaxBody):
		s.x.fail(413, ByLimit, "the body is longer than the max_body of the spool")
		return false
	case total > int64(c.MaxTotal):
		s.x.fail(503, ByLimit, "the spool has reached its max_total")
		return false
	}
	return true
}

// CompleteAsyncIO unlinks the file and begins to write.
func (n *spoolOpened) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	s := (*Spool)(n)
	s.handle, _ = o.TakeValue().(*completion.Handle)
	if s.handle != nil {
		s.unlink(o.Worker())
	}
	x := s.x
	defer x.recoverPanic()
	if x == nil {
		s.close()
		return
	}
	h := x.h
	if err == nil {
		err = o.SetNotificationInterface((*spoolMoved)(s), nil)
	}
	if err == nil {
		s.write()
	} else {
		s.failed(err)
	}
	h.proceed()
}

// unlink removes the file's name.
func (s *Spool) unlink(w *completion.Worker) {
	left := func(err error) {
		if err != nil {
			s.l.fw.logger.Error("a file of the spool could not be removed", "listener", s.l.config.Name, "file", s.path, "error", err)
		}
	}
	o := w.CreateOverlapped()
	err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) { left(err) }), nil)
	if err == nil {
		err = w.Remove(o, nil, s.path)
	}
	left(err)
}

// take adds a part of the body.
func (s *Spool) take(content []byte) {
	if s.reserve(len(content)) {
		s.gathered = append(s.gathered, content...)
		s.write()
	}
}

// busy reports whether the spool cannot take more now.
func (s *Spool) busy() bool {
	return s.state != spoolTaking || s.ended || len(s.gathered) >= pieceSize && s.o.InFlight()
}

// end notes that the whole body has arrived.
func (s *Spool) end() {
	s.ended = true
	s.x.h.await(waitDisk)
	s.write()
}

// write writes what has been gathered, if it is enough for a piece, and shows the body to the
// filters when all of it has been written.
func (s *Spool) write() {
	if s.handle == nil || s.o.InFlight() {
		return
	}
	if s.ended && len(s.gathered) == 0 {
		s.show()
		return
	}
	if !s.ended && len(s.gathered) < pieceSize {
		return
	}
	s.inFlight, s.gathered = s.gathered, s.inFlight[:0]
	s.move(s.handle.WriteFile, s.inFlight)
}

// move begins to write or read a piece at the current offset.
func (s *Spool) move(begin func(*completion.OVERLAPPED, []byte) error, piece []byte) {
	ov, err := s.o.GetOverlapped()
	if err == nil {
		ov.Offset = s.done
		err = begin(ov, piece)
	}
	if err != nil {
		s.failed(err)
	}
}

// CompleteAsyncIO continues after a piece has been written or read.
func (n *spoolMoved) CompleteAsyncIO(_ bool, bytes int, err error, _ *completion.Overlapped, _ any) {
	s := (*Spool)(n)
	x := s.x
	defer x.recoverPanic()
	if x == nil {
		return
	}
	h := x.h
	if err != nil {
		s.failed(err)
		h.proceed()
		return
	}
	s.done += int64(bytes)
	if s.state == spoolReleasing {
		s.send(s.inFlight[:bytes])
	} else {
		s.writeOn()
	}
	h.proceed()
}

// writeOn continues after a piece has been written.
func (s *Spool) writeOn() {
	if cap(s.inFlight) > 4*pieceSize {
		s.inFlight = nil
	}
	if !s.ended {
		s.x.h.await(waitBody)
	}
	s.write()
}

// show shows the body to the filters.
func (s *Spool) show() {
	s.state, s.gathered, s.inFlight = spoolShown, nil, nil
	s.x.startPass(&s.x.up, filterPass{stage: askSpooled})
}

// askSpooled shows the body to a filter, if it has asked for it.
func (x *Exchange) askSpooled(l *httpLink) Verdict {
	a := x.upGathered.requestOf(l)
	if a == nil || !a.spool {
		return Pass
	}
	a.informed = true
	f, ok := l.filter.(SpooledBodyFilter)
	if !ok {
		return Fail("it is no SpooledBodyFilter and wants bodies spooled")
	}
	return f.SpooledBody(x, x.spool)
}

// passSpooled forwards the request, after the filters have seen the body.
func (x *Exchange) passSpooled() {
	x.upGathered.pass()
	x.requestState = requestHeld
	x.forward()
}

// replaceSpooled sends something else instead of the body. Filters that have been asked are
// not asked again.
func (x *Exchange) replaceSpooled(data []byte) {
	x.endSpool()
	x.startPass(&x.up, filterPass{stage: askRequestBody, chunk: data, end: true})
}

// release begins to send the body to the server.
func (s *Spool) release() {
	s.state, s.done, s.inFlight = spoolReleasing, 0, s.x.h.w.piece()
	s.proceed()
}

// proceed reads the next piece once the server has been sent the previous one.
func (s *Spool) proceed() {
	x := s.x
	if s.state != spoolReleasing || s.o.InFlight() || x.up.held || x.peerClosed || x.server == nil {
		return
	}
	h := x.h
	if x.server.sending || len(x.server.out) > maxOut {
		h.await(waitServer)
		return
	}
	if s.done == s.size {
		h.w.giveBackPiece(s.inFlight)
		x.endSpool()
		x.startPass(&x.up, filterPass{stage: askRequestBody, end: true})
		return
	}
	h.await(waitDisk)
	s.move(s.handle.ReadFile, s.inFlight[:min(pieceSize, s.size-s.done)])
}

// send sends a piece to the server, through the filters that have not seen the body.
func (s *Spool) send(piece []byte) {
	s.x.startPass(&s.x.up, filterPass{stage: askRequestBody, chunk: piece})
	if s.x != nil {
		s.proceed()
	}
}

// endSpool gives up the exchange's spool, if it has one.
func (x *Exchange) endSpool() {
	s := x.spool
	if s == nil {
		return
	}
	x.spool, s.x = nil, nil
	s.l.spooled.Add(-s.size)
	s.l.httpSpooled.Add(-float64(s.size))
	s.close()
}

func (s *Spool) close() {
	if s.handle != nil {
		_ = s.handle.Close() // it is open
	}
}
