package scripting

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/wire/http1"
	"fwx/scripting/internal/fields"
)

const (
	// maxRequestHeaders bounds the headers of a request.
	maxRequestHeaders = 100
	defaultMaxBody    = 1 << 20
	defaultRedirects  = 5
	maxRedirects      = 20
)

var httpOptionNames = append([]string{"headers", "body", "timeout", "max_body", "redirects"}, tlsOptionNames...)

// httpResponse is the type of a response.
const httpResponse = "{status: integer, headers: headers, body: string, url: string}"

var httpFunctions = []binding{
	{
		"get", httpGet, "(url: string, options?: table) -> " + httpResponse + " or fail",
		"Waits. Gets what is at a URL, `http` or `https`. Any status is a success.",
	},
	{
		"request", httpRequest, "(options: table) -> " + httpResponse + " or fail",
		"Waits. Makes a request by the options `url`, `method` (`\"GET\"` if missing) and those of `fwx.http.get`.",
	},
}

// exchange is a request that a script makes, with what it says about it.
type exchange struct {
	method    string
	url       *url.URL
	host      string // a header that the script sets; empty: that of the URL
	header    http.Header
	body      []byte
	plain     bool // the script has said which encodings it takes
	maxBody   int
	redirects int
	tls       tlsOptions
}

// response is what came back, its body read.
type response struct {
	status int
	header http.Header
	body   []byte
	url    string
}

func httpGet(s *state, L *lua.LState) int {
	o := argOptions(L, 2, httpOptionNames...)
	return s.exchange(L, o, http.MethodGet, argString(L, 1))
}

func httpRequest(s *state, L *lua.LState) int {
	L.CheckTable(1)
	o := argOptions(L, 1, append([]string{"url", "method"}, httpOptionNames...)...)
	method := o.text("method")
	if method == "" {
		method = http.MethodGet
	}
	return s.exchange(L, o, method, o.text("url"))
}

// exchange makes a request and gives its response to the script.
func (s *state) exchange(L *lua.LState, o options, method, address string) int {
	d := o.timeout()
	x := &exchange{
		method: method, header: make(http.Header), tls: o.tls(),
		maxBody:   o.integer("max_body", 0, maxStringSize, defaultMaxBody),
		redirects: o.integer("redirects", 0, maxRedirects, defaultRedirects),
	}
	x.body = o.body(s)
	err := x.prepare(o, address)
	if err != nil {
		return giveError(L, err)
	}
	s.meter.chargeBytes(len(x.body))
	var answer *response
	began := s.worker.Now()
	err = s.fiberOf(L).within(d, func() error {
		answer, err = s.follow(x, func() time.Duration { return d - (s.worker.Now() - began) })
		return err
	})
	if err != nil {
		return s.giveFailure(L, err)
	}
	t := L.NewTable()
	t.RawSetString("status", lua.LNumber(answer.status))
	t.RawSetString("headers", s.object(s.types.headers, receivedHeaders(answer.header)))
	t.RawSetString("body", textOf(answer.body))
	t.RawSetString("url", lua.LString(answer.url))
	s.meter.chargeBytes(len(answer.body))
	return give(L, t)
}

// body returns the option of that name, a string or a chunk, which is copied.
func (o options) body(s *state) []byte {
	if c, ok := userValue(o.get("body")).(*chunk); ok {
		data := c.bytes(o.L)
		s.meter.chargeBytes(len(data))
		return bytes.Clone(data)
	}
	return bytesOf(o.text("body"))
}

// prepare checks the request.
func (x *exchange) prepare(o options, address string) (err error) {
	if x.url, err = parseURL(address); err != nil {
		return &codedError{fmt.Sprintf("URL %q: %v", address, err), codeInvalid}
	}
	if !http1.ValidName(x.method) || x.method == http.MethodConnect {
		return &codedError{fmt.Sprintf("%q is not a method that can be requested", x.method), codeInvalid}
	}
	return x.addHeaders(o)
}

// clientFields are the names of headers that say how the message is framed, or whose
// connection it is.
var clientFields = []string{
	"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// addHeaders adds the option headers.
func (x *exchange) addHeaders(o options) error {
	if o.get("headers") == lua.LNil {
		return nil
	}
	rule := fields.Rule{
		Reserved: clientFields, Why: "the client writes itself", Max: maxRequestHeaders,
		Text: func(v *lua.LUserData) (string, bool) { return chunkText(o.L, v) },
	}
	list, err := rule.Read(o.get("headers"))
	switch {
	case errors.Is(err, fields.ErrTooMany):
		return &codedError{err.Error(), codeTooBig}
	case err != nil:
		return invalid(err.Error())
	}
	for _, f := range list {
		if err := x.addHeader(f.Name, f.Value); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) addHeader(name, value string) error {
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case "Host":
		if u, err := url.Parse("http://" + value); err != nil || u.Host != value {
			return invalid(fmt.Sprintf("header Host: %q is no host", value))
		}
		x.host = value
	default:
		x.plain = x.plain || canonical == "Accept-Encoding"
		x.header.Add(canonical, value)
	}
	return nil
}

// parseURL parses a URL that can be requested.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		if parsing, ok := errors.AsType[*url.Error](err); ok {
			err = parsing.Err
		}
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("wants http:// or https://")
	case u.User != nil:
		return nil, errors.New("a name or password in it is not sent: set the header Authorization")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the host is missing")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// targetOf returns where the host of a URL is.
func targetOf(u *url.URL) (target, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	t, err := parseHostPort(u.Hostname(), port)
	if err != nil {
		return t, &codedError{fmt.Sprintf("URL %s: %v", u.Redacted(), err), codeInvalid}
	}
	return t, nil
}

// follow makes the request, and those that redirects ask for.
func (s *state) follow(x *exchange, left func() time.Duration) (*response, error) {
	for followed := 0; ; followed++ {
		answer, err := s.request(x, left)
		if err != nil {
			return nil, err
		}
		location := answer.header.Get("Location")
		if location == "" || x.redirects == 0 || !isRedirect(answer.status) {
			return answer, nil
		}
		if followed == x.redirects {
			return nil, &codedError{fmt.Sprintf("%s: more than %d redirects", answer.url, x.redirects), codeProto}
		}
		if err := x.redirect(answer.status, location); err != nil {
			return nil, &codedError{fmt.Sprintf("%s: redirect to %q: %v", answer.url, location, err), codeProto}
		}
	}
}

func isRedirect(status int) bool {
	return slices.Contains([]int{
		http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	}, status)
}

// redirect makes the request one for another URL.
func (x *exchange) redirect(status int, location string) error {
	to, err := x.url.Parse(location)
	if err == nil {
		to, err = parseURL(to.String())
	}
	if err != nil {
		return err
	}
	if x.url.Scheme == "https" && to.Scheme != "https" {
		return errors.New("it leads from https to http")
	}
	if to.Scheme != x.url.Scheme || to.Host != x.url.Host { // what is for one server is not for another
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			x.header.Del(name)
		}
		x.host = ""
	}
	x.url = to
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect && x.method != http.MethodHead {
		x.method, x.body = http.MethodGet, nil
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language"} {
			x.header.Del(name)
		}
	}
	return nil
}

// idempotent reports whether a request may be made twice.
func (x *exchange) idempotent() bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}, x.method)
}

// request makes one request, a second time if the connection that it was made on had
// ended before.
func (s *state) request(x *exchange, left func() time.Duration) (*response, error) {
	t, err := targetOf(x.url)
	if err != nil {
		return nil, err
	}
	key := clientKey{t.String(), x.tls, x.url.Scheme == "https"}
	if c := s.clients.take(key); c != nil {
		answer, err := c.exchange(x)
		if err == nil || !c.unanswered || !x.idempotent() || s.running.interrupted() != nil {
			return answer, err
		}
	}
	c, err := s.newClient(key, t, left())
	if err != nil {
		return nil, err
	}
	return c.exchange(x)
}
