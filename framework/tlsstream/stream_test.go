package tlsstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

const patience = 30 * time.Second

// rig is a stream of the port that is connected to a peer by crypto/tls.
type rig struct {
	t      *testing.T
	w      *completion.Worker
	stream *Stream
	peer   *tls.Conn
	plain  *net.TCPConn // of the peer
}

// result is the end of an operation.
type result struct {
	data []byte
	n    int
	err  error
}

// newPort makes a port of one worker.
func newPort(t *testing.T, backend string) *completion.Worker {
	t.Helper()
	port, err := completion.New(completion.Options{Workers: 1, Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := port.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if n := port.Panics(); n > 0 {
			t.Errorf("%d handlers panicked", n)
		}
	})
	return port.Workers()[0]
}

// newRig connects a stream, as the client, to a server of the standard library.
func newRig(t *testing.T, backend string, version uint16) *rig {
	t.Helper()
	ca := fwxtest.NewAuthority(t)
	r := &rig{t: t, w: newPort(t, backend)}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It accepts once.
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	shaken := make(chan error, 1)
	r.connect(l.Addr(), &tls.Config{RootCAs: ca.Pool, ServerName: "a.example"}, func(err error) { shaken <- err })
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r.plain = conn.(*net.TCPConn)
	r.peer = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{ca.Issue("a.example").Certificate}, MaxVersion: version})
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), r.peer.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return r
}

// connect connects the stream and begins its handshake.
func (r *rig) connect(to net.Addr, config *tls.Config, done func(error)) {
	r.t.Helper()
	connected := make(chan error, 1)
	r.on(func() {
		o := r.w.CreateOverlapped()
		err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			if err == nil {
				socket, _ := o.TakeValue().(*completion.Socket)
				r.stream, err = Client(socket, config, done)
			}
			connected <- err
		}), nil)
		if err == nil {
			err = r.w.Connect(o, completion.Address{AddrPort: netip.MustParseAddrPort(to.String())})
		}
		if err != nil {
			connected <- err
		}
	})
	if err := <-connected; err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) on(f func()) {
	r.t.Helper()
	if err := r.w.Call(f); err != nil {
		r.t.Fatal(err)
	}
}

// begin starts an operation; its end is sent to the channel.
func (r *rig) begin(start func(*completion.Overlapped) error) (o *completion.Overlapped, results chan result) {
	r.t.Helper()
	results = make(chan result, 1)
	r.on(func() {
		o = r.w.CreateOverlapped()
		inside := true
		err := o.SetNotificationInterface(completion.CompletionFunc(func(_ bool, n int, err error, o *completion.Overlapped, _ any) {
			if inside {
				r.t.Error("the notification was called inside the start")
			}
			res := result{n: n, err: err}
			if b := o.TakeBuffer(); b != nil {
				res.data = bytes.Clone(b.Bytes())
				b.Release()
			}
			results <- res
		}), nil)
		if err == nil {
			err = start(o)
		}
		inside = false
		if err != nil {
			results <- result{err: err}
		}
	})
	return o, results
}

func (r *rig) send(data []byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return r.stream.Send(o, data) }
}

func (r *rig) wait(results chan result) result {
	r.t.Helper()
	select {
	case res := <-results:
		return res
	case <-time.After(patience):
		r.t.Fatal("an operation has not completed")
		return result{}
	}
}

// onEach runs a test on each backend, with both versions.
func onEach(t *testing.T, test func(r *rig)) {
	t.Helper()
	for _, backend := range completion.Backends() {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(backend+" "+tls.VersionName(version), func(t *testing.T) { test(newRig(t, backend, version)) })
		}
	}
}

// TestContract sees that a stream has the contract of a socket.
func TestContract(t *testing.T) {
	onEach(t, func(r *rig) {
		t := r.t
		first, cancelled := r.begin(r.stream.Recv)
		if _, busy := r.begin(r.stream.Recv); !errors.Is(r.wait(busy).err, completion.ErrBusy) {
			t.Error("two receive at a time")
		}
		if _, empty := r.begin(r.send(nil)); !errors.Is(r.wait(empty).err, completion.ErrInvalidArgument) {
			t.Error("nothing can be sent")
		}
		r.on(func() { _ = first.Cancel() })
		if res := r.wait(cancelled); !errors.Is(res.err, completion.ErrOperationAborted) {
			t.Errorf("cancelled: %+v", res)
		}
		// What arrives then is for the next.
		if _, err := r.peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got := r.begin(r.stream.Recv); string(r.wait(got).data) != "hello" {
			t.Error("what was sent is lost")
		}
		large := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		_, sent := r.begin(r.send(large))
		got := make([]byte, len(large))
		if _, err := io.ReadFull(r.peer, got); err != nil || !bytes.Equal(got, large) {
			t.Errorf("the peer gets something else: %v", err)
		}
		if res := r.wait(sent); res.err != nil || res.n != len(large) {
			t.Errorf("sent: %d, %v", res.n, res.err)
		}
		// Each side ends, one after the other.
		r.on(func() {
			if err := r.stream.CloseSend(); err != nil {
				t.Error(err)
			}
		})
		if n, err := r.peer.Read(got); !errors.Is(err, io.EOF) {
			t.Errorf("the peer reads %d, %v", n, err)
		}
		if _, err := r.peer.Write([]byte("the last")); err != nil {
			t.Fatal(err)
		}
		if err := r.peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, last := r.begin(r.stream.Recv); string(r.wait(last).data) != "the last" {
			t.Error("what was sent behind our end is lost")
		}
		for range 2 {
			if _, end := r.begin(r.stream.Recv); r.wait(end).err != nil {
				t.Error("the end is an error")
			}
		}
		r.on(func() {
			if err := r.stream.Close(); err != nil || !r.stream.Closed() {
				t.Error(err)
			}
		})
		for _, start := range []func(*completion.Overlapped) error{r.stream.Recv, r.send([]byte("x"))} {
			if _, closed := r.begin(start); !errors.Is(r.wait(closed).err, completion.ErrHandleClosed) {
				t.Error("a closed stream goes on")
			}
		}
	})
}

func TestTruncated(t *testing.T) {
	onEach(t, func(r *rig) {
		_, got := r.begin(r.stream.Recv)
		if err := r.plain.CloseWrite(); err != nil {
			r.t.Fatal(err)
		}
		if res := r.wait(got); !errors.Is(res.err, ErrTruncated) {
			r.t.Errorf("%+v", res)
		}
		r.on(func() { _ = r.stream.Reset() })
	})
}

// TestBroken changes a byte on its way: the record must not be believed.
func TestBroken(t *testing.T) {
	onEach(t, func(r *rig) {
		_, got := r.begin(r.stream.Recv)
		if _, err := r.plain.Write([]byte{23, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32}); err != nil {
			r.t.Fatal(err)
		}
		if res := r.wait(got); res.err == nil || len(res.data) > 0 {
			r.t.Errorf("%+v", res)
		}
		if _, err := r.peer.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			r.t.Errorf("the peer is not told: %v", err)
		}
		r.on(func() { _ = r.stream.Reset() })
	})
}

// TestClose closes a stream on which something waits; the peer is told that this is
// the end.
func TestClose(t *testing.T) {
	onEach(t, func(r *rig) {
		_, got := r.begin(r.stream.Recv)
		r.on(func() { _ = r.stream.Close() })
		if res := r.wait(got); !errors.Is(res.err, completion.ErrOperationAborted) {
			r.t.Errorf("%+v", res)
		}
		if n, err := r.peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			r.t.Errorf("the peer reads %d, %v", n, err)
		}
	})
}

// TestAbort ends handshakes that the peer does not answer.
func TestAbort(t *testing.T) {
	mine := errors.New("mine")
	for name, end := range map[string]func(*Stream){
		"abort": func(s *Stream) { s.Abort(mine) },
		"close": func(s *Stream) { _ = s.Close() },
		"reset": func(s *Stream) { _ = s.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It accepts nobody.
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			r := &rig{t: t, w: newPort(t, "auto")}
			shaken := make(chan error, 2)
			r.connect(l.Addr(), &tls.Config{ServerName: "a.example"}, func(err error) { shaken <- err })
			r.on(func() {
				if !r.stream.Handshaking() {
					t.Error("it is over before it began")
				}
				end(r.stream)
			})
			if err := <-shaken; !errors.Is(err, mine) && !errors.Is(err, errClosed) {
				t.Errorf("%v", err)
			}
			r.on(func() {
				if r.stream.Abort(mine); r.stream.Handshaking() {
					t.Error("it goes on")
				}
				_ = r.stream.Reset()
			})
			if len(shaken) > 0 {
				t.Error("it was told twice")
			}
		})
	}
}

// pingPong sends back what it receives, for as many rounds.
type pingPong struct {
	stream     *Stream
	recv, send *completion.Overlapped
	buffer     *completion.Buffer
	rounds     int
	done       chan error
}

func (p *pingPong) CompleteAsyncIO(_ bool, n int, err error, o *completion.Overlapped, _ any) {
	switch {
	case err != nil || n == 0:
		p.done <- err
		return
	case o == p.recv:
		p.buffer = o.TakeBuffer()
		err = p.stream.Send(p.send, p.buffer.Bytes())
	default:
		p.buffer.Release()
		if p.rounds--; p.rounds == 0 {
			p.done <- nil
			return
		}
		err = p.stream.Recv(p.recv)
	}
	if err != nil {
		p.done <- err
	}
}

// TestAllocations sees that a stream that stands allocates nothing for each operation
// but what crypto/tls does: a small reader each time that it looks for a record, which
// our side does twice for each message, and the peer once.
func TestAllocations(t *testing.T) {
	if fwxtest.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the system calls of iocp allocate")
	}
	const warm, rounds = 200, 2000
	r := newRig(t, "auto", tls.VersionTLS13)
	p := &pingPong{stream: r.stream, rounds: warm + rounds, done: make(chan error, 1)}
	r.on(func() {
		p.recv, p.send = r.w.CreateOverlapped(), r.w.CreateOverlapped()
		if err := errors.Join(p.recv.SetNotificationInterface(p, nil), p.send.SetNotificationInterface(p, nil), p.stream.Recv(p.recv)); err != nil {
			t.Error(err)
		}
	})
	message := make([]byte, 1000)
	turn := func(n int) {
		for range n {
			if _, err := r.peer.Write(message); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r.peer, message); err != nil {
				t.Fatal(err)
			}
		}
	}
	turn(warm)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	turn(rounds)
	runtime.ReadMemStats(&after)
	if err := <-p.done; err != nil {
		t.Fatal(err)
	}
	if each := float64(after.Mallocs-before.Mallocs) / rounds; each > 3.5 {
		t.Errorf("%.2f allocations for each message", each)
	}
	r.on(func() { _ = r.stream.Reset() })
}
