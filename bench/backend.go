//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// backend is the server of all cases but those of short answers. It speaks as much HTTP as the loads do:
// GET / answers with a short text, GET /bytes/N with N bytes, POST swallows its body, and
// a WebSocket is accepted.
type backend struct {
	listener net.Listener
	requests atomic.Int64 // that have been answered, but for those of connections that wait
	waited   atomic.Int64 // those
	bytes    atomic.Int64 // of bodies, both ways
	conns    connections
}

const blockSize = 256 << 10 // that bodies are moved by

var (
	headEnd    = []byte("\r\n\r\n")
	smallText  = bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. It did so again.  "), 4)
	smallReply = append([]byte(replyHead(int64(len(smallText)))), smallText...)
	block      = bytes.Repeat(smallText, blockSize/len(smallText)+1)[:blockSize]
	blocks     = sync.Pool{New: func() any { return new([blockSize]byte) }}
)

// upgradeReply accepts a WebSocket with the key of the example in RFC 6455.
const upgradeReply = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

func replyHead(size int64) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
}

func startBackend(ctx context.Context, config net.ListenConfig) (*backend, error) {
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{listener: listener}
	b.conns.wait.Go(b.accept)
	return b, nil
}

func (b *backend) address() string { return b.listener.Addr().String() }

func (b *backend) counts(context.Context) (counts, error) {
	return counts{b.requests.Load(), b.waited.Load(), b.bytes.Load()}, nil
}

// close ends the server and all its connections.
func (b *backend) close() error {
	err := b.listener.Close()
	b.conns.close()
	return err
}

func (b *backend) accept() {
	for {
		conn, err := b.listener.Accept()
		switch {
		case err == nil:
			b.conns.serve(conn, b.serve)
		case errors.Is(err, net.ErrClosed):
			return
		}
	}
}

// serve answers the requests of a connection until it ends.
func (b *backend) serve(conn net.Conn) {
	buf, filled := make([]byte, 4<<10), 0
	for {
		end := bytes.Index(buf[:filled], headEnd)
		if end < 0 {
			n, err := conn.Read(buf[filled:])
			if err != nil || n == 0 { // n == 0: the head does not end
				return
			}
			filled += n
			continue
		}
		end += len(headEnd)
		r, err := parseRequest(buf[:end])
		if err != nil {
			return
		}
		early := int(min(r.upload, int64(filled-end))) // of the body, came with the head
		b.bytes.Add(int64(early))
		filled = copy(buf, buf[end+early:filled])
		if b.swallow(conn, r.upload-int64(early)) != nil || b.answer(conn, r) != nil {
			return
		}
		if r.waits {
			b.waited.Add(1)
		} else {
			b.requests.Add(1)
		}
		if r.close {
			return
		}
		if r.upgrade {
			_, _ = io.Copy(io.Discard, conn) // whatever the client says
			return
		}
	}
}

// swallow reads the rest of a request's body.
func (b *backend) swallow(conn net.Conn, size int64) error {
	if size == 0 {
		return nil
	}
	buf := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(buf)
	for size > 0 {
		n, err := conn.Read(buf[:min(size, blockSize)])
		if err != nil {
			return err
		}
		b.bytes.Add(int64(n))
		size -= int64(n)
	}
	return nil
}

// answer sends a body of the size that was asked for, or else the short text. A WebSocket is
// accepted.
func (b *backend) answer(conn net.Conn, r request) error {
	size := r.download
	switch {
	case r.upgrade:
		_, err := io.WriteString(conn, upgradeReply)
		return err
	case size < 0:
		_, err := conn.Write(smallReply)
		return err
	}
	if _, err := conn.Write([]byte(replyHead(size))); err != nil {
		return err
	}
	for size > 0 {
		n, err := conn.Write(block[:min(size, blockSize)])
		if err != nil {
			return err
		}
		b.bytes.Add(int64(n))
		size -= int64(n)
	}
	return nil
}

// request is what the server wants to know of one.
type request struct {
	upload   int64 // the size of its body
	download int64 // the size of the answer's, negative for the short text
	close    bool  // the connection ends with the answer
	upgrade  bool  // to a WebSocket
	waits    bool  // a filter has waited for a file
}

func parseRequest(head []byte) (request, error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	r := request{download: -1, waits: bytes.Contains(line, []byte(" /wait"))}
	var err error
	if _, path, ok := bytes.Cut(line, []byte(" /bytes/")); ok {
		size, _, _ := bytes.Cut(path, []byte(" "))
		if r.download, err = parseSize(size); err != nil {
			return r, err
		}
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			r.upload, err = parseSize(value)
		case bytes.EqualFold(name, []byte("connection")):
			r.close = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("upgrade")):
			r.upgrade = bytes.EqualFold(value, []byte("websocket"))
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			err = errors.New("a body without a length")
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseSize(text []byte) (int64, error) {
	size, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil && size < 0 {
		err = errors.New("a negative size")
	}
	return size, err
}

// connections are those of a server, so that it can end them.
type connections struct {
	wait   sync.WaitGroup
	mutex  sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// serve calls handle on a goroutine of its own and closes the connection behind it.
func (c *connections) serve(conn net.Conn, handle func(net.Conn)) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		_ = conn.Close() // nothing was sent
		return
	}
	if c.open == nil {
		c.open = make(map[net.Conn]struct{})
	}
	c.open[conn] = struct{}{}
	c.wait.Go(func() {
		handle(conn)
		_ = conn.Close() // the other side sees what is missing
		c.mutex.Lock()
		defer c.mutex.Unlock()
		delete(c.open, conn)
	})
}

// close ends the connections and waits for their handlers.
func (c *connections) close() {
	c.mutex.Lock()
	c.closed = true
	for conn := range c.open {
		_ = conn.Close() // its handler notices
	}
	c.mutex.Unlock()
	c.wait.Wait()
}
