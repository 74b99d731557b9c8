package completiontest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"fwx/framework/completion"
)

var socketRows = []row{
	{name: "sockets/accept, connect, half-close", test: halfClose},
	{name: "sockets/unix", test: unixSockets},
	{name: "sockets/unix, the end with the data", test: unixEnd},
	{name: "sockets/IPv6", test: ipv6},
	{name: "sockets/address in use", test: addressInUse},
	{name: "sockets/connection refused", test: connectionRefused},
	{name: "sockets/one receive and one send at a time", test: oneAtATime},
	{name: "sockets/close in flight", test: closeInFlight},
	{name: "sockets/close in the notification", test: closeInNotification},
	{name: "sockets/reset", test: reset},
	{name: "sockets/send after a reset", test: sendAfterReset},
	{name: "sockets/slow reader", test: slowReader},
	{name: "sockets/cancel in the middle of a send", test: cancelSend},
	{name: "sockets/data in pieces of every size", test: pieces},
	{name: "sockets/urgent data", test: urgentData},
	{name: "sockets/a descriptor passed", test: descriptorPassed},
	{name: "sockets/a connection that is reset before it is accepted", test: resetBeforeAccept},
	{name: "sockets/an accepted connection for another worker", test: acceptElsewhere, options: completion.Options{Workers: 2}},
	{name: "sockets/an accepted connection that nobody takes", test: acceptDropped},
	{name: "sockets/many connections", test: manyConnections},
}

// loopback is this machine and a port to be chosen. Where the system has more than one
// address of its own it is not 127.0.0.1: tests that run at the same time connect to
// ports of that which nobody has any more, and one of the suite must not get what they say.
var loopback = map[bool]string{true: "127.0.0.2:0", false: "127.0.0.1:0"}[runtime.GOOS == "linux" || runtime.GOOS == "windows"]

// listen listens on an address.
func (r *rig) listen(address string) *completion.Listener {
	r.Helper()
	a, err := completion.ParseAddress(address)
	r.must(err)
	var l *completion.Listener
	r.on(func() { l, err = r.w.Listen(a) })
	r.supported(err)
	return l
}

func (r *rig) connecting(a completion.Address) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return o.Worker().Connect(o, a) }
}

// attach makes an accepted connection a socket.
func (r *rig) attach(res result) *completion.Socket {
	r.Helper()
	accepted, ok := res.value.(completion.Accepted)
	if !ok {
		r.Fatalf("Accept gave a %T, %v", res.value, res.err)
	}
	var s *completion.Socket
	var err error
	r.on(func() { s, err = r.w.Attach(accepted) })
	r.must(err)
	return s
}

// pairOf connects two sockets through an address.
func (r *rig) pairOf(address string) (client, server *completion.Socket) {
	r.Helper()
	l := r.listen(address)
	accept := r.op().begin(l.Accept)
	connect := r.op().begin(r.connecting(l.Address()))
	server = r.attach(accept.ok())
	client, ok := connect.ok().value.(*completion.Socket)
	if !ok {
		r.Fatal("Connect gave no socket")
	}
	r.close(l)
	return client, server
}

// pair connects two TCP sockets.
func (r *rig) pair() (client, server *completion.Socket) {
	r.Helper()
	return r.pairOf(loopback)
}

// peer connects a socket of the port to one of the standard library.
func (r *rig) peer() (*completion.Socket, *net.TCPConn) {
	r.Helper()
	r.needsSystem("a socket of the standard library")
	l := r.listen(loopback)
	accept := r.op().begin(l.Accept)
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(l.Address().AddrPort))
	r.must(err)
	r.Cleanup(func() { _ = c.Close() }) // it may be closed already
	s := r.attach(accept.ok())
	r.close(l)
	return s, c
}

// exchange sends both ways, half-closes and expects the end of the stream.
func (r *rig) exchange(a, b *completion.Socket) {
	r.Helper()
	for _, way := range [][2]*completion.Socket{{a, b}, {b, a}} {
		recv := r.op().begin(way[1].Recv)
		r.op().begin(sending(way[0], []byte("hello"))).ok()
		if res := recv.ok(); string(res.data) != "hello" {
			r.Errorf("received %q", res.data)
		}
	}
	recv := r.op().begin(b.Recv)
	r.on(func() {
		if err := a.CloseSend(); err != nil {
			r.Error(err)
		}
	})
	if res := recv.ok(); res.n != 0 || res.data != nil {
		r.Errorf("at the end of the stream: %d bytes", res.n)
	}
	// The other direction goes on.
	r.op().begin(sending(b, []byte("still"))).ok()
	if res := r.op().begin(a.Recv).ok(); string(res.data) != "still" {
		r.Errorf("received %q", res.data)
	}
}

func halfClose(r *rig) {
	a, b := r.pair()
	if got, want := b.RemoteAddress().AddrPort, a.LocalAddrPort(); got != want {
		r.Errorf("remote address %v, want %v", got, want)
	}
	r.exchange(a, b)
}

func unixSockets(r *rig) {
	path := filepath.Join(r.TempDir(), "s")
	a, b := r.pairOf("unix:" + path)
	r.exchange(a, b)
	if matches, err := filepath.Glob(path); err != nil || len(matches) > 0 {
		r.Errorf("the socket of a closed listener is left: %v, %v", matches, err)
	}
	_, err := completion.ParseAddress("unix:" + strings.Repeat("x", 200))
	r.must(err)
	r.on(func() {
		if _, err := r.w.Listen(completion.Address{Path: strings.Repeat("x", 200)}); err == nil {
			r.Error("a path that is too long could be listened on")
		}
	})
}

// unixEnd has data and the end of the stream arrive before anybody receives.
func unixEnd(r *rig) {
	a, b := r.pairOf("unix:" + filepath.Join(r.TempDir(), "s"))
	r.op().begin(sending(a, []byte("x"))).ok()
	r.on(func() {
		if err := a.CloseSend(); err != nil {
			r.Error(err)
		}
	})
	for _, want := range []string{"x", ""} {
		if res := r.op().begin(b.Recv).ok(); string(res.data) != want {
			r.Errorf("received %q, want %q", res.data, want)
		}
	}
}

func ipv6(r *rig) {
	probe, err := net.Listen("tcp", "[::1]:0") //nolint:noctx // it ends at once
	if err != nil {
		r.Skip("no IPv6 here: ", err)
	}
	_ = probe.Close() // it was only a probe
	a, b := r.pairOf("[::1]:0")
	r.exchange(a, b)
}

func addressInUse(r *rig) {
	l := r.listen(loopback)
	r.on(func() {
		_, err := r.w.Listen(l.Address())
		if !errors.Is(err, errAddressInUse) || !strings.Contains(err.Error(), l.Address().String()) {
			r.Errorf("error %v", err)
		}
	})
}

func connectionRefused(r *rig) {
	l := r.listen(loopback)
	r.close(l)
	p := r.op()
	err := p.try(r.connecting(l.Address()))
	if err == nil {
		res := p.wait()
		if err = res.err; res.value != nil {
			r.Errorf("a failed Connect gave a %T", res.value)
		}
	}
	r.is(err, errConnectionRefused)
	if runtime.GOOS == "windows" && r.kit.memory() != nil {
		return // the fake has unix sockets there too
	}
	r.is(r.op().try(r.connecting(completion.Address{Path: filepath.Join(r.TempDir(), "none")})), errNotThere)
}

func oneAtATime(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(a.Recv)
	r.is(r.op().try(a.Recv), completion.ErrBusy)
	send := r.op().begin(sending(a, make([]byte, 32<<20)))
	r.is(r.op().try(sending(a, []byte("x"))), completion.ErrBusy)
	l := r.listen(loopback)
	accept := r.op().begin(l.Accept)
	r.is(r.op().try(l.Accept), completion.ErrBusy)
	r.close(l)
	accept.aborted()
	r.close(a)
	recv.aborted()
	send.aborted()
	r.close(b)
}

func closeInFlight(r *rig) {
	a, b := r.pair()
	recv := r.op().begin(a.Recv)
	send := r.op().begin(sending(a, make([]byte, 32<<20)))
	r.close(a)
	recv.aborted()
	if res := send.wait(); !errors.Is(res.err, completion.ErrOperationAborted) || res.n == 0 && !r.kit.faulty() {
		r.Errorf("a send in flight: %d bytes, %v", res.n, res.err)
	}
	r.close(b)

	l := r.listen(loopback)
	accept := r.op().begin(l.Accept)
	r.close(l)
	accept.aborted()
	r.on(func() {
		if a.LocalAddrPort().IsValid() {
			r.Error("the descriptor is open after the last completion")
		}
	})
	// A connection that nobody answers: TEST-NET-1 goes nowhere, or is refused.
	p := r.op()
	address, err := completion.ParseAddress("192.0.2.1:9")
	r.must(err)
	r.on(func() {
		if p.start(r.connecting(address)) == nil {
			_ = p.o.Cancel() // it may have ended
		} else {
			p.results <- result{err: completion.ErrOperationAborted}
		}
	})
	if res := p.wait(); res.err == nil || res.value != nil {
		r.Errorf("a cancelled Connect: %v, %v", res.value, res.err)
	}
}

// closeInNotification closes a socket in the notification of one of two
// operations on it.
func closeInNotification(r *rig) {
	for range 50 {
		a, b := r.pair()
		recv, send := r.op(), r.op().begin(sending(a, make([]byte, 32<<20)))
		done := make(chan error, 2)
		recv.then = func(res result) {
			done <- res.err
			done <- a.Close()
		}
		recv.begin(a.Recv)
		r.op().begin(sending(b, []byte("x"))).ok()
		r.must(receive(r, done))
		r.must(receive(r, done))
		send.aborted()
		r.close(b)
	}
}

func reset(r *rig) {
	s, c := r.peer()
	r.on(func() {
		if err := s.Reset(); err != nil {
			r.Error(err)
		}
	})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, errPeerReset) {
		r.Errorf("the peer of a reset reads %v", err)
	}
	s, c = r.peer()
	recv := r.op().begin(s.Recv)
	r.must(c.SetLinger(0))
	r.must(c.Close())
	r.is(recv.wait().err, errConnectionReset)
}

func sendAfterReset(r *rig) {
	s, c := r.peer()
	send := r.op().begin(sending(s, make([]byte, 32<<20)))
	r.must(c.SetLinger(0))
	r.must(c.Close())
	if res := send.wait(); !errors.Is(res.err, errConnectionReset) && !errors.Is(res.err, errBrokenPipe) {
		r.Errorf("a send in flight: %v", res.err)
	}
	res := r.op().begin(sending(s, []byte("x"))).wait()
	if !errors.Is(res.err, errBrokenPipe) && !errors.Is(res.err, errConnectionReset) {
		r.Errorf("a send after the reset: %v", res.err)
	}
}

func slowReader(r *rig) {
	s, c := r.peer()
	data := make([]byte, 16<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	send := r.op().begin(sending(s, data))
	got, buf := make([]byte, 0, len(data)), make([]byte, 10_000)
	for len(got) < len(data) {
		n, err := c.Read(buf)
		r.must(err)
		got = append(got, buf[:n]...)
	}
	if res := send.ok(); res.n != len(data) || !bytes.Equal(got, data) {
		r.Errorf("sent %d bytes of %d; equal: %t", res.n, len(data), bytes.Equal(got, data))
	}
}

// cancelSend cancels sends of which a part is on its way: the count says how much. There are
// many because the system may be about to try one again when the cancel comes.
func cancelSend(r *rig) {
	data := make([]byte, 64<<20)
	for range 20 {
		r.cancelSend(data)
	}
}

func (r *rig) cancelSend(data []byte) {
	s, c := r.peer()
	send := r.op().begin(sending(s, data))
	buf := make([]byte, 1<<20)
	n, err := io.ReadFull(c, buf)
	r.must(err)
	r.must(send.cancel())
	res := send.wait()
	r.is(res.err, completion.ErrOperationAborted)
	r.close(s)
	rest, err := io.Copy(io.Discard, c)
	r.must(err)
	if got := n + int(rest); got != res.n {
		r.Errorf("the peer got %d bytes, the completion says %d", got, res.n)
	}
}

// pieces sends pieces around the size of a receive buffer.
func pieces(r *rig) {
	a, b := r.pair()
	recv, send := r.op(), r.op()
	for _, size := range []int{1, 2, 100, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 100_000, 1 << 20} {
		data := bytes.Repeat([]byte{byte(size%251 + 1)}, size)
		send.begin(sending(a, data))
		got := 0
		for got < size {
			res := recv.begin(b.Recv).ok()
			r.same(res.data, data[0])
			got += res.n
		}
		send.ok()
		if got != size {
			r.Errorf("received %d bytes of %d", got, size)
		}
	}
}

// urgentData has a receive end short of what is there, and the next say that
// there is nothing if a signal comes: the rest must not be waited for, and nothing
// be lost.
func urgentData(r *rig) {
	r.withSignals(func() {
		for range 20 {
			r.receiveUrgent()
		}
	})
}

func (r *rig) receiveUrgent() {
	s, c := r.peer()
	r.must(sendUrgent(c, []byte("beforeU")))
	_, err := c.Write([]byte("behind"))
	r.must(err)
	recv := r.op()
	var got []byte
	for !bytes.HasSuffix(got, []byte("behind")) {
		got = append(got, recv.begin(s.Recv).ok().data...)
	}
	if want := "before" + urgentByte + "behind"; string(got) != want {
		r.Errorf("received %q, want %q", got, want)
	}
	r.close(s)
}

// descriptorPassed has a receive end short at a message that a descriptor came
// with: the rest must not be waited for.
func descriptorPassed(r *rig) {
	r.needsSystem("a socket of the standard library")
	l := r.listen("unix:" + filepath.Join(r.TempDir(), "s"))
	accept := r.op().begin(l.Accept)
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Address().Path})
	r.must(err)
	defer func() { r.must(c.Close()) }()
	s := r.attach(accept.ok())
	r.must(passDescriptor(c, []byte("with")))
	_, err = c.Write([]byte("without"))
	r.must(err)
	var got []byte
	for string(got) != "withwithout" {
		got = append(got, r.op().begin(s.Recv).ok().data...)
	}
}

// resetBeforeAccept has connections go away while they wait to be accepted. The
// system may tell of them or not, but the next is not to be lost.
func resetBeforeAccept(r *rig) {
	r.needsSystem("a socket of the standard library")
	l := r.listen(loopback)
	address := net.TCPAddrFromAddrPort(l.Address().AddrPort)
	for range 3 {
		c, err := net.DialTCP("tcp", nil, address)
		r.must(err)
		r.must(c.SetLinger(0))
		r.must(c.Close())
	}
	c, err := net.DialTCP("tcp", nil, address)
	r.must(err)
	defer func() { r.must(c.Close()) }()
	_, err = c.Write([]byte("x"))
	r.must(err)
	accept, recv := r.op(), r.op()
	for {
		res := accept.begin(l.Accept).wait()
		if errors.Is(res.err, syscall.ECONNABORTED) {
			continue
		}
		s := r.attach(res)
		got := recv.begin(s.Recv).wait()
		r.close(s)
		if got.err == nil && string(got.data) == "x" {
			return
		}
	}
}

func acceptElsewhere(r *rig) {
	l := r.listen(loopback)
	accept := r.op().begin(l.Accept)
	connect := r.op().begin(r.connecting(l.Address()))
	accepted, ok := accept.ok().value.(completion.Accepted)
	if !ok {
		r.Fatal("no connection")
	}
	other := r.port.Workers()[1]
	recv := r.opOn(other)
	r.onWorker(other, func() {
		s, err := other.Attach(accepted)
		if err == nil {
			err = recv.start(s.Recv)
		}
		if err != nil {
			r.Error(err)
		}
		if _, err := other.Attach(accepted); !errors.Is(err, completion.ErrAlreadyHooked) {
			r.Errorf("attached twice: %v", err)
		}
	})
	client, ok := connect.ok().value.(*completion.Socket)
	if !ok {
		r.Fatal("no socket")
	}
	r.is(r.op().try(func(*completion.Overlapped) error { return client.Recv(recv.o) }), completion.ErrInvalidArgument)
	r.op().begin(sending(client, []byte("x"))).ok()
	recv.ok()
}

// acceptDropped starts an accept again without taking the connection, whose
// peer must not be left waiting.
func acceptDropped(r *rig) {
	l := r.listen(loopback)
	accept := r.op()
	accept.keep = true
	accept.begin(l.Accept)
	connect := r.op().begin(r.connecting(l.Address()))
	accept.ok()
	s, ok := connect.ok().value.(*completion.Socket)
	if !ok {
		r.Fatal("no socket")
	}
	recv := r.op().begin(s.Recv)
	accept.begin(l.Accept)
	r.is(recv.wait().err, errConnectionReset)
}

// manyConnections goes through connections quickly, so that descriptors and
// slots are used again at once.
func manyConnections(r *rig) {
	l := r.listen(loopback)
	accept, connect, recv, send := r.op(), r.op(), r.op(), r.op()
	for range 300 {
		accept.begin(l.Accept)
		connect.begin(r.connecting(l.Address()))
		server := r.attach(accept.ok())
		client, ok := connect.ok().value.(*completion.Socket)
		if !ok {
			r.Fatal("no socket")
		}
		recv.begin(server.Recv)
		send.begin(sending(client, []byte("x"))).ok()
		recv.ok()
		recv.begin(server.Recv)
		r.close(client)
		if res := recv.ok(); res.n != 0 {
			r.Errorf("%d bytes at the end", res.n)
		}
		r.close(server)
	}
}

// sendUrgent sends data with its last byte marked urgent.
func sendUrgent(c *net.TCPConn, data []byte) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) (done bool) {
		done, sendErr = sendOutOfBand(fd, data)
		return done
	})
	return errors.Join(err, sendErr)
}
