//go:build linux

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attack is a number of clients that want to keep a gateway from serving others.
type attack struct {
	name    string
	clients int
	secure  bool // the gateway terminates TLS
	// attempt does what a client does on a connection of its own, until it is refused or
	// the context ends.
	attempt func(ctx context.Context, conn net.Conn) error
}

func attacks() []attack {
	return []attack{
		{name: "readers", clients: 5000, attempt: neverRead},
		{name: "slow-heads", clients: 5000, attempt: dripHead},
		{name: "hellos", clients: 5000, secure: true, attempt: onlyHello},
		{name: "messages", clients: 2000, attempt: unfinishedMessage},
		{name: "layers", clients: 8, attempt: again(layeredUpload)},
		{name: "decode", clients: 4, attempt: again(getBomb("/decode"))},
		{name: "encode", clients: 4, attempt: again(getBomb("/encode"))},
		{name: "nested", clients: 4, attempt: again(getBomb("/nested"))},
		{name: "timers", clients: 4, attempt: again(getBomb("/timers"))},
	}
}

// attacker makes attempts, each on a connection of its own. That it is refused is what it
// must expect.
type attacker struct {
	peer
	attempt func(context.Context, net.Conn) error
}

// retryPause keeps attackers that are refused at once from being a load of the machine.
const retryPause = 100 * time.Millisecond

func (a *attacker) exchange(ctx context.Context) error {
	dialer := net.Dialer{Control: smallBuffer}
	conn, err := dialer.DialContext(ctx, "tcp", a.address)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends what waits for it
		_ = a.attempt(ctx, conn)                                    // refused: the next attempt follows
		stop()
		_ = conn.Close() // nothing more is wanted from it
	}
	return sleep(ctx, retryPause)
}

// smallBuffer gives a socket the smallest buffer for what it receives.
func smallBuffer(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) // with a larger one the attack is weaker
	})
}

// smallSendBuffer keeps what a listener's connections send from taking much of the memory
// that the system has for all of TCP, of which those of the gateway get theirs too: a real
// server is another machine.
func smallSendBuffer(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10) // with a larger one the machine is what is attacked
	})
}

// neverRead asks for a large body and does not read it.
func neverRead(ctx context.Context, conn net.Conn) error {
	if _, err := io.WriteString(conn, "GET /bytes/20971520 HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// dripHead sends a byte of a head each second.
func dripHead(ctx context.Context, conn net.Conn) error {
	for _, b := range bytes.Repeat([]byte("X"), 1<<10) {
		if _, err := conn.Write([]byte{b}); err != nil {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// onlyHello begins a TLS handshake and says nothing more.
func onlyHello(_ context.Context, conn net.Conn) error {
	if _, err := conn.Write(clientHello()); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	return err
}

// clientHello is the first message of a handshake.
var clientHello = sync.OnceValue(func() []byte {
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, clientTLS()).HandshakeContext(context.Background()) // it ends with the pipe
	}()
	message := make([]byte, 4<<10)
	n, _ := server.Read(message) // a pipe does not fail
	_, _ = server.Close(), client.Close()
	return message[:n]
})

// unfinishedMessage sends all but the last byte of a WebSocket's message of a MiB.
func unfinishedMessage(_ context.Context, conn net.Conn) error {
	const upgrade = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, upgrade); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = reader.ReadString('\n'); err != nil {
			return err
		}
	}
	const size = 1 << 20
	frame := []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 0, size >> 16, 0, 0, 0, 0, 0, 0} // text, masked with zeros
	_, err := conn.Write(frame)
	for left := size - 1; left > 0 && err == nil; {
		var n int
		n, err = conn.Write(block[:min(left, blockSize)])
		left -= n
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, reader)
	return err
}

// again makes an attempt until it is refused.
func again(attempt func(context.Context, net.Conn) error) func(context.Context, net.Conn) error {
	return func(ctx context.Context, conn net.Conn) error {
		for {
			if err := attempt(ctx, conn); err != nil {
				return err
			}
		}
	}
}

// getBomb has the script do what it does for a path.
func getBomb(path string) func(context.Context, net.Conn) error {
	return func(_ context.Context, conn net.Conn) error {
		return askOnce(conn, []byte("GET "+path+" HTTP/1.1\r\nHost: bench\r\n\r\n"))
	}
}

// layeredUpload uploads a body that is small on the wire and large once it is decoded.
func layeredUpload(_ context.Context, conn net.Conn) error { return askOnce(conn, layered()) }

var layered = sync.OnceValue(func() []byte {
	var empty, body bytes.Buffer
	_ = gzip.NewWriter(&empty).Close() // a buffer takes everything
	body.Write(bytes.Repeat(empty.Bytes(), 1<<20))
	for range 2 {
		var outer bytes.Buffer
		w := gzip.NewWriter(&outer)
		_, _ = w.Write(body.Bytes())
		_ = w.Close()
		body = outer
	}
	head := "POST /layers HTTP/1.1\r\nHost: bench\r\nContent-Encoding: gzip, gzip, gzip\r\nContent-Length: " +
		strconv.Itoa(body.Len()) + "\r\n\r\n"
	return append([]byte(head), body.Bytes()...)
})

// askOnce sends a request and reads the answer, whatever it is.
func askOnce(conn net.Conn, request []byte) error {
	p := peer{conn: conn, reader: bufio.NewReaderSize(conn, readerSize)}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	return p.answer()
}
