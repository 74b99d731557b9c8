//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// clients is the load where wrk cannot make it: a number of clients, each of which makes
// one exchange after the other.
type clients struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mutex sync.Mutex
	took  []time.Duration
	err   error
}

// client is one of them.
type client interface {
	// exchange makes one exchange, and returns early when the context ends.
	exchange(ctx context.Context) error
	close()
}

func startClients(ctx context.Context, n int, newClient func(i int) client) *clients {
	ctx, cancel := context.WithCancel(ctx)
	c := &clients{cancel: cancel}
	for i := range n {
		c.running.Go(func() { c.run(ctx, newClient(i)) })
	}
	return c
}

func (c *clients) run(ctx context.Context, one client) {
	defer one.close()
	var took []time.Duration
	var err error
	for err == nil && ctx.Err() == nil {
		begun := time.Now()
		if err = one.exchange(ctx); err == nil {
			took = append(took, time.Since(begun))
		}
	}
	if ctx.Err() != nil {
		err = nil // broken off by stop
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.took = append(c.took, took...)
	if c.err == nil {
		c.err = err
	}
}

// stop breaks the exchanges off.
func (c *clients) stop() (latencies, error) {
	c.cancel()
	c.running.Wait()
	return percentiles(c.took), c.err
}

// peer is a client's connection to the contender, dialed when it is first needed.
type peer struct {
	address string
	secure  bool // by TLS
	conn    net.Conn
	reader  *bufio.Reader
}

// dial connects. Once ctx ends nothing waits for the connection any more.
func (p *peer) dial(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever waits gets an error
	if p.secure {
		c := tls.Client(conn, clientTLS())
		if err := c.HandshakeContext(ctx); err != nil {
			stop()
			return errors.Join(err, conn.Close())
		}
		conn = c
	}
	p.conn = conn
	if p.reader == nil {
		p.reader = bufio.NewReaderSize(nil, readerSize)
	}
	p.reader.Reset(conn)
	return nil
}

// readerSize is how much a client reads at once of answers without a body to speak of;
// bodies are read by blocks.
const readerSize = 4 << 10

func (p *peer) close() {
	if p.conn != nil {
		_ = p.conn.Close() // all that was wanted has been read
		p.conn = nil
	}
}

// request sends the head of a request.
func (p *peer) request(method, path, headers string) error {
	_, err := io.WriteString(p.conn, method+" "+path+" HTTP/1.1\r\nHost: bench\r\n"+headers+"\r\n")
	return err
}

// answer reads an answer.
func (p *peer) answer() error {
	response, err := http.ReadResponse(p.reader, nil) //nolint:bodyclose // closing would read the body, which discard does
	if err != nil {
		return err
	}
	switch {
	case response.StatusCode != http.StatusOK:
		return errors.New(response.Status)
	case response.ContentLength >= 0:
		return p.discard(response.ContentLength)
	case response.Close:
		return errors.New("the answer has no length")
	}
	_, err = io.Copy(io.Discard, response.Body) // in chunks, as what a script writes anew may be
	return err
}

// discard reads over the body of an answer.
func (p *peer) discard(size int64) error {
	buffered := min(size, int64(p.reader.Buffered()))
	if _, err := p.reader.Discard(int(buffered)); err != nil {
		return err
	}
	size -= buffered
	if size == 0 {
		return nil
	}
	buf := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(buf)
	for size > 0 {
		n, err := p.conn.Read(buf[:min(size, blockSize)])
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", size, err)
		}
		size -= int64(n)
	}
	return nil
}

// getter requests a path again and again over one connection.
type getter struct {
	peer
	path string
}

func (g *getter) exchange(ctx context.Context) error {
	if err := g.dial(ctx); err != nil {
		return err
	}
	if err := g.request(http.MethodGet, g.path, ""); err != nil {
		return err
	}
	return g.answer()
}

// caller makes a connection for each request.
type caller struct{ peer }

func (c *caller) exchange(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.dial(ctx); err != nil {
		return err
	}
	defer c.close()
	if err := c.request(http.MethodGet, "/", "Connection: close\r\n"); err != nil {
		return err
	}
	if err := c.answer(); err != nil {
		return err
	}
	if _, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection goes on behind the answer: %w", err)
	}
	return nil
}

// poster sends a body again and again over one connection.
type poster struct {
	peer
	size int64
}

func (p *poster) exchange(ctx context.Context) error {
	if err := p.dial(ctx); err != nil {
		return err
	}
	err := p.request(http.MethodPost, "/", "Content-Length: "+strconv.FormatInt(p.size, 10)+"\r\n")
	for left := p.size; left > 0 && err == nil; {
		var n int
		n, err = p.conn.Write(block[:min(left, blockSize)])
		left -= int64(n)
	}
	if err != nil {
		return err
	}
	return p.answer()
}

// openIdle opens connections, makes a request on each and leaves it open until stop is called.
func openIdle(ctx context.Context, address string, secure bool, connections int) (stop func(), err error) {
	const openers = 32
	ctx, cancel := context.WithCancel(ctx)
	errs := make(chan error, openers)
	for i := range openers {
		go func() {
			var err error
			for n := i; n < connections && err == nil; n += openers {
				err = (&getter{peer{address: address, secure: secure}, "/"}).exchange(ctx)
			}
			errs <- err
		}()
	}
	late := time.AfterFunc(patience, cancel) // which ends them
	for range openers {
		if one := <-errs; err == nil {
			err = one
		}
	}
	if !late.Stop() {
		err = fmt.Errorf("not all of %d connections were answered within %v", connections, patience)
	}
	return cancel, err
}
