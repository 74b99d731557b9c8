package scripting

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"fwx/framework/completion"
)

const (
	// maxHead bounds the head of a response, those of the kind 1xx before it included.
	maxHead = 64 << 10
	// maxInformational bounds the responses of the kind 1xx before the one.
	maxInformational = 8
	// idleLimit is how long a connection is kept for the next request.
	idleLimit = 30 * time.Second
	// maxIdle bounds those that are kept for one server.
	maxIdle = 16
	// joined bounds the body that is sent together with the head.
	joined = 8 << 10
)

// clientKey is what connections that can stand for each other have in common.
type clientKey struct {
	target string
	tls    tlsOptions
	secure bool
}

// clients are the connections of a state that no request uses.
type clients map[clientKey][]*client

// client is a connection to a server of HTTP/1.
type client struct {
	state      *state
	key        clientKey
	conn       transport
	bound      *io.LimitedReader // what is beneath in
	in         *bufio.Reader
	beneath    error // how the connection has failed
	unanswered bool  // no byte of the answer has come
	expiry     *completion.Timer
}

// newClient connects to a server.
func (s *state) newClient(key clientKey, t target, d time.Duration) (*client, error) {
	var secured *tlsOptions
	if key.secure {
		secured = &key.tls
	}
	conn, err := s.dial(t, secured, d, "http/1.1")
	if err != nil {
		return nil, err
	}
	c := &client{state: s, key: key, conn: conn}
	c.bound = &io.LimitedReader{R: (*clientEnd)(c)}
	c.in = bufio.NewReader(c.bound)
	c.expiry = s.worker.NewTimer(c.drop)
	return c, nil
}

func (c *client) count(n *census) {
	n.bytes += int64(c.in.Size())
	c.conn.count(n)
}

// clientEnd is a client as what its buffer reads from.
type clientEnd client

// Read notes the error: what reads here gives it other words.
func (e *clientEnd) Read(p []byte) (int, error) {
	n, err := e.conn.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		e.beneath = err
	}
	return n, err
}

// take returns a connection to be used again; nil if there is none.
func (all clients) take(key clientKey) *client {
	for list := all[key]; len(list) > 0; list = all[key] {
		c := list[len(list)-1] // the others may grow old
		c.leave()
		if c.conn.quiet() {
			return c
		}
		c.conn.close() // the server has ended it, or said what nobody asked for
	}
	return nil
}

// leave takes a client out of those that are kept.
func (c *client) leave() {
	c.expiry.Stop()
	c.conn.listen(nil)
	all := c.state.clients
	all[c.key] = slices.DeleteFunc(all[c.key], func(other *client) bool { return other == c })
	if len(all[c.key]) == 0 {
		delete(all, c.key)
	}
}

// drop closes a client that is kept.
func (c *client) drop() {
	c.leave()
	c.conn.close()
}

// keep keeps a client for the next request, until its server ends the connection.
func (c *client) keep() {
	all := c.state.clients
	if c.state.closing || len(all[c.key]) >= maxIdle {
		c.conn.close()
		return
	}
	all[c.key] = append(all[c.key], c)
	c.expiry.Reset(idleLimit)
	c.conn.listen(c.drop)
}

// dropIdle closes one of the connections that are kept; false if there is none.
func (all clients) dropIdle() bool {
	for _, list := range all {
		list[0].drop()
		return true
	}
	return false
}

// close closes all that are kept.
func (all clients) close() {
	for len(all) > 0 {
		all.dropIdle()
	}
}

// exchange makes a request on a connection, which is kept if another can follow and
// closed otherwise.
func (c *client) exchange(x *exchange) (*response, error) {
	var (
		answer *response
		again  bool
	)
	c.unanswered = true
	err := c.write(x)
	if err == nil {
		answer, again, err = c.read(x)
	}
	if err == nil && again {
		c.keep()
	} else {
		c.conn.close()
	}
	if err != nil {
		return nil, explainExchange(x, err)
	}
	return answer, nil
}

// explainExchange names the server.
func explainExchange(x *exchange, err error) error {
	at := x.url.Scheme + "://" + x.url.Host
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &codedError{at + ": the server ended the connection before its answer did", codeClosed}
	}
	return fmt.Errorf("%s: %w", at, err)
}

// write sends the request.
func (c *client) write(x *exchange) error {
	head := x.head()
	if len(x.body) <= joined {
		_, err := c.conn.Write(append(head, x.body...))
		return err
	}
	_, err := c.conn.Write(head)
	if err == nil {
		_, err = c.conn.Write(x.body)
	}
	return err
}

// head returns the request's line and headers, which have been checked.
func (x *exchange) head() []byte {
	host := x.host
	if host == "" {
		host = x.url.Host
	}
	var b []byte
	b = fmt.Appendf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", x.method, escapeRest(x.url.RequestURI()), host)
	if x.header.Get("User-Agent") == "" {
		b = append(b, "User-Agent: fwx\r\n"...)
	}
	for _, name := range slices.Sorted(maps.Keys(x.header)) {
		for _, value := range x.header[name] {
			b = fmt.Appendf(b, "%s: %s\r\n", name, value)
		}
	}
	if !x.plain {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	if len(x.body) > 0 || x.method == http.MethodPost || x.method == http.MethodPut || x.method == http.MethodPatch {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(x.body))
	}
	return append(b, "\r\n"...)
}

// escapeRest escapes what net/url leaves in a query and what would end the line's
// middle part.
func escapeRest(uri string) string {
	var b strings.Builder
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// read reads the response; again says that another request can follow.
func (c *client) read(x *exchange) (answer *response, again bool, err error) {
	r, err := c.readHead(x)
	if err != nil {
		return nil, false, err
	}
	defer r.Body.Close() //nolint:errcheck // What is left of it is of no interest.
	body, err := readBody(r, x)
	if err != nil {
		return nil, false, c.explain(err)
	}
	again = !r.Close && c.in.Buffered() == 0
	return &response{status: r.StatusCode, header: r.Header, body: body, url: x.url.String()}, again, nil
}

// readHead reads the head of the response.
func (c *client) readHead(x *exchange) (*http.Response, error) {
	c.bound.N = maxHead
	defer func() { c.bound.N = math.MaxInt64 }() // the body has a bound of its own
	for range maxInformational {
		if _, err := c.in.Peek(1); err != nil {
			return nil, err
		}
		c.unanswered = false
		r, err := http.ReadResponse(c.in, &http.Request{Method: x.method})
		switch {
		case err != nil && c.bound.N <= 0:
			return nil, &codedError{fmt.Sprintf("the head of the response has more than %d bytes", maxHead), codeTooBig}
		case err != nil:
			return nil, c.explain(err)
		case r.StatusCode >= http.StatusOK:
			return r, nil
		case r.StatusCode < http.StatusContinue || r.StatusCode == http.StatusSwitchingProtocols:
			return nil, &codedError{fmt.Sprintf("a response with status %d, which nobody asked for", r.StatusCode), codeProto}
		}
	}
	return nil, &codedError{fmt.Sprintf("more than %d responses of the kind 1xx", maxInformational), codeProto}
}

// explain gives an error its code if it is one of HTTP, not of the connection.
func (c *client) explain(err error) error {
	_, coded := errors.AsType[*codedError](err)
	if coded || errors.Is(err, io.ErrUnexpectedEOF) || c.beneath != nil && errors.Is(err, c.beneath) {
		return err
	}
	return &codedError{err.Error(), codeProto}
}

// readBody reads and decodes the body, up to the limit.
func readBody(r *http.Response, x *exchange) ([]byte, error) {
	var body io.Reader = r.Body
	if !x.plain && strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") && x.method != http.MethodHead {
		// The limit is for what comes out. What goes in is at most a little more, if it
		// is compressed at all.
		body = &unzipped{from: io.LimitReader(r.Body, int64(x.maxBody)+maxHead)}
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Length")
	}
	data, err := io.ReadAll(io.LimitReader(body, int64(x.maxBody)+1))
	if len(data) > x.maxBody {
		err = &codedError{fmt.Sprintf("the body of the response has more than %d bytes", x.maxBody), codeTooBig}
	}
	return data, err
}

// unzipped is what is compressed in a reader.
type unzipped struct {
	from io.Reader
	to   *gzip.Reader
}

// Read decompresses.
func (z *unzipped) Read(p []byte) (n int, err error) {
	if z.to == nil {
		if z.to, err = gzip.NewReader(z.from); err != nil {
			return 0, err
		}
	}
	return z.to.Read(p)
}
