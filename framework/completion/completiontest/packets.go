package completiontest

import (
	"bytes"
	"errors"
	"fmt"

	"fwx/framework/completion"
)

var packetRows = []row{
	{name: "packets/there and back", test: packetsEcho},
	{name: "packets/IPv6", test: packetsIPv6},
	{name: "packets/connected", test: packetsConnected},
	{name: "packets/many receives, many sends", test: packetsMany},
	{name: "packets/one that is too large", test: packetTruncated, options: completion.Options{BufferSize: 2 << 10}},
	{name: "packets/few buffers", test: packetsFewBuffers, options: completion.Options{MaxBuffers: 1}},
	{name: "packets/cancel and close", test: packetsCancel},
	{name: "packets/misuse", test: packetsMisuse},
}

// listenPacket opens a UDP socket on an address.
func (r *rig) listenPacket(address string) *completion.PacketSocket {
	r.Helper()
	r.needsSystem("UDP")
	a, err := completion.ParseAddress(address)
	r.must(err)
	var s *completion.PacketSocket
	r.on(func() { s, err = r.w.ListenPacket(a) })
	r.supported(err)
	return s
}

func sendingTo(s *completion.PacketSocket, data []byte, to completion.Address) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error { return s.SendTo(o, data, to) }
}

// from returns who sent what p has received.
func (p *op) from() (from completion.Address) {
	p.r.Helper()
	p.r.on(func() { from = p.o.From() })
	return from
}

func packetsEcho(r *rig) { r.packetsBetween(loopback) }

func packetsIPv6(r *rig) { r.packetsBetween("[::1]:0") }

func (r *rig) packetsBetween(address string) {
	r.Helper()
	a, b := r.listenPacket(address), r.listenPacket(address)
	for _, size := range []int{1, 0, 100, 1400, 60_000} {
		data := bytes.Repeat([]byte{byte(size)}, size)
		recv := r.op().begin(b.RecvFrom)
		if res := r.op().begin(sendingTo(a, data, b.LocalAddress())).ok(); res.n != size {
			r.Errorf("sent %d bytes of %d", res.n, size)
		}
		if res := recv.ok(); res.n != size || !bytes.Equal(res.data, data) {
			r.Errorf("received %d bytes of %d", res.n, size)
		}
		if from := recv.from(); from != a.LocalAddress() {
			r.Errorf("received from %v, not %v", from, a.LocalAddress())
		}
		// And back to where it came from.
		recv2 := r.op().begin(a.RecvFrom)
		r.op().begin(sendingTo(b, data, recv.from())).ok()
		recv2.ok()
	}
}

func packetsConnected(r *rig) {
	server, other := r.listenPacket(loopback), r.listenPacket(loopback)
	var client *completion.PacketSocket
	var err error
	r.on(func() { client, err = r.w.ConnectPacket(server.LocalAddress()) })
	r.must(err)
	if client.RemoteAddress() != server.LocalAddress() {
		r.Errorf("connected to %v", client.RemoteAddress())
	}
	recv := r.op().begin(client.RecvFrom)
	r.op().begin(sendingTo(other, []byte("from another"), client.LocalAddress())).ok()
	r.op().begin(sendingTo(client, []byte("hello"), completion.Address{})).ok()
	in := r.op().begin(server.RecvFrom)
	in.ok()
	r.op().begin(sendingTo(server, []byte("answer"), in.from())).ok()
	if res := recv.ok(); string(res.data) != "answer" {
		r.Errorf("received %q", res.data)
	}
	r.close(server)
	recv.begin(client.RecvFrom)
	r.op().begin(sendingTo(client, []byte("anyone?"), completion.Address{})).ok()
	r.is(recv.wait().err, errConnectionRefused)
}

func packetsMany(r *rig) {
	const n = 200
	a, b := r.listenPacket(loopback), r.listenPacket(loopback)
	recvs, sends := r.someOps(n), r.someOps(n)
	r.startAll(recvs, func(int) func(*completion.Overlapped) error { return b.RecvFrom })
	r.startAll(sends, func(i int) func(*completion.Overlapped) error {
		return sendingTo(a, fmt.Appendf(nil, "%d", i), b.LocalAddress())
	})
	seen := make(map[string]bool, n)
	for i := range n {
		sends[i].ok()
		seen[string(recvs[i].ok().data)] = true
	}
	if len(seen) != n {
		r.Errorf("%d datagrams of %d", len(seen), n)
	}
}

func packetTruncated(r *rig) {
	a, b := r.listenPacket(loopback), r.listenPacket(loopback)
	for _, size := range []int{2048, 2049, 10_000, 2048} {
		data := bytes.Repeat([]byte("x"), size)
		recv := r.op().begin(b.RecvFrom)
		r.op().begin(sendingTo(a, data, b.LocalAddress())).ok()
		res := recv.wait()
		if truncated := errors.Is(res.err, completion.ErrTruncated); truncated != (size > 2048) || res.n != 2048 || len(res.data) != 2048 {
			r.Errorf("%d bytes: %d bytes, %v", size, res.n, res.err)
		}
	}
}

func packetsFewBuffers(r *rig) {
	const n = 20
	a, b := r.listenPacket(loopback), r.listenPacket(loopback)
	held := r.op()
	held.keep = true
	held.begin(b.RecvFrom)
	r.op().begin(sendingTo(a, []byte("held"), b.LocalAddress())).ok()
	held.ok()
	recvs := r.someOps(n)
	r.startAll(recvs, func(int) func(*completion.Overlapped) error { return b.RecvFrom })
	for i := range n {
		r.op().begin(sendingTo(a, []byte{byte(i)}, b.LocalAddress())).ok()
	}
	r.must(recvs[n-1].cancel())
	recvs[n-1].aborted()
	r.on(func() { held.o.TakeBuffer().Release() })
	for _, p := range recvs[:n-1] {
		p.ok()
	}
}

func packetsCancel(r *rig) {
	s := r.listenPacket(loopback)
	p, q := r.op().begin(s.RecvFrom), r.op().begin(s.RecvFrom)
	r.must(p.cancel())
	p.aborted()
	r.close(s)
	q.aborted()
	r.is(p.try(s.RecvFrom), completion.ErrHandleClosed)
}

func packetsMisuse(r *rig) {
	s := r.listenPacket(loopback)
	p := r.op()
	r.is(p.try(sendingTo(s, []byte("x"), completion.Address{})), completion.ErrInvalidArgument)
	r.is(p.try(sendingTo(s, []byte("x"), completion.Address{Path: "/x"})), completion.ErrInvalidArgument)
	six, err := completion.ParseAddress("[::1]:9")
	r.must(err)
	r.is(p.try(sendingTo(s, []byte("x"), six)), completion.ErrInvalidArgument)
	if res := p.begin(sendingTo(s, make([]byte, 1<<17), s.LocalAddress())).wait(); res.err == nil || res.n != 0 {
		r.Errorf("sent %d bytes, %v", res.n, res.err)
	}
	r.on(func() {
		if _, err := r.w.ListenPacket(s.LocalAddress()); !errors.Is(err, errAddressInUse) {
			r.Errorf("a second socket on an address: %v", err)
		}
		_, err := r.w.ListenPacket(completion.Address{})
		r.isHere(err, completion.ErrInvalidArgument)
		_, err = r.w.ConnectPacket(completion.Address{Path: "/x"})
		r.isHere(err, completion.ErrInvalidArgument)
	})
}
