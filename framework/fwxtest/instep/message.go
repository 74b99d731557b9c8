package instep

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
)

// request is a request that a client sends.
type request struct {
	n      int // in the whole run
	method string
	minor  int
	body   string
	close  bool   // the client wants no answer but this
	tunnel string // what the client sends once the protocol is switched; empty: it does not ask for that
	spoken bool   // it has been sent, and nothing has ended the connection before
	text   string
	whole  bool // all of it is sent
}

// answer is what a server answers a request with.
type answer struct {
	early     bool // sent without waiting for the request's body
	body      string
	text      string // what it sends; empty: nothing
	whole     bool   // text is the whole response
	close     bool   // the connection is closed afterwards
	reset     bool   // the connection is reset instead of closed
	tunnel    string // what it sends once it has switched protocols; empty: it does not
	bodiless  bool   // to the request that it has got
	statusHas bool   // a body, by its status
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// chance is true so many times of a hundred.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

var sizes = []int{0, 1, 5, 9, 100, 3000, 9000, 20_000, 70_000}

// content returns a random text, some of it for which gzip says so.
func content(r *rand.Rand) (text, fields string) {
	size := sizes[min(r.IntN(len(sizes)), r.IntN(len(sizes)))]
	b := make([]byte, size)
	for i := range b {
		b[i] = "abcdefgh\r\n01 :"[r.IntN(14)]
	}
	if !chance(r, 15) {
		return string(b), ""
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(b) // into memory
	_ = w.Close()
	return zipped.String(), "Content-Encoding: gzip\r\n"
}

// chunked returns a text in chunks, with trailers or none.
func chunked(r *rand.Rand, text string) string {
	var b strings.Builder
	for text != "" {
		n := 1 + r.IntN(len(text))
		extension := pick(r, "", "", ";a=b")
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, extension, text[:n])
		text = text[n:]
	}
	b.WriteString("0\r\n")
	if chance(r, 30) {
		b.WriteString("X-Sum: 1\r\n")
	}
	return b.String() + "\r\n"
}

// newRequest returns a random request.
func newRequest(r *rand.Rand, n int) request {
	q := request{n: n, method: pick(r, "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"), minor: 1, whole: true}
	target := pick(r, "/", "/a/b?c", "/%41")
	if q.method == "OPTIONS" {
		target = pick(r, "/", "*")
	}
	if chance(r, 10) {
		q.minor = 0
	}
	var fields, body string
	framing := pick(r, "none", "length", "chunked")
	if q.minor == 0 && framing == "chunked" {
		framing = "length"
	}
	switch framing {
	case "length":
		q.body, fields = content(r)
		body = q.body
		fields += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	case "chunked":
		q.body, fields = content(r)
		body = chunked(r, q.body)
		fields += "Transfer-Encoding: chunked\r\n"
	}
	if body != "" && chance(r, 10) {
		fields += "Expect: 100-continue\r\n"
	}
	switch {
	case q.minor == 1 && chance(r, 8):
		q.close = true
		fields += "Connection: close\r\n"
	case q.minor == 0 && chance(r, 70):
		fields += "Connection: keep-alive\r\n"
	case q.minor == 0:
		q.close = true
	}
	q.text = fmt.Sprintf("%s %s HTTP/1.%d\r\nHost: a\r\nN: %d\r\nX-One: 1\r\n%s\r\n%s", q.method, target, q.minor, n, fields, body)
	return q
}

// newUpgrade returns a request for a WebSocket. Its frames are any bytes: no filter looks
// at them.
func newUpgrade(r *rand.Rand, n int) request {
	q := request{n: n, method: "GET", minor: 1, whole: true}
	text, _ := content(r)
	q.tunnel = "up " + text
	q.text = fmt.Sprintf("GET /socket HTTP/1.1\r\nHost: a\r\nN: %d\r\nX-One: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", n)
	return q
}

// newSwitch returns an answer that agrees to a WebSocket.
func newSwitch(r *rand.Rand, n string) *answer {
	text, _ := content(r)
	return &answer{
		whole: true, bodiless: true, close: chance(r, 50), reset: chance(r, 20), tunnel: "down " + text,
		text: "HTTP/1.1 101 Switching Protocols\r\nN: " + n + "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	}
}

// newAnswer returns a random answer to a request, given the method that the server has got.
func newAnswer(r *rand.Rand, n, method string) *answer {
	status := pick(r, 200, 200, 200, 200, 201, 204, 205, 206, 304, 404, 500)
	a := &answer{early: chance(r, 8), whole: true, statusHas: status != 204 && status != 205 && status != 304}
	a.bodiless = method == "HEAD" || !a.statusHas
	var b strings.Builder
	for chance(r, 15) {
		b.WriteString(pick(r, "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"))
	}
	fmt.Fprintf(&b, "HTTP/1.1 %d Some\r\nN: %s\r\nX-Two: 2\r\n", status, n)
	var fields, body string
	framing := pick(r, "none", "length", "length", "chunked", "close")
	switch {
	case status == 205:
		fields = "Content-Length: 0\r\n"
	case status == 204 || framing == "none" && status == 304:
	case framing == "none":
		fields = "Content-Length: 0\r\n"
	case framing == "length" || a.bodiless:
		a.body, fields = content(r)
		body = a.body
		fields += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	case framing == "chunked":
		a.body, fields = content(r)
		body = chunked(r, a.body)
		fields += "Transfer-Encoding: chunked\r\n"
	case framing == "close":
		a.body, fields = content(r)
		body = a.body
		a.close = true
	}
	if chance(r, 8) {
		a.close = true
		fields += "Connection: close\r\n"
	}
	b.WriteString(fields + "\r\n")
	if a.bodiless {
		a.body = ""
	} else {
		b.WriteString(body)
	}
	a.text = b.String()
	switch until := framing == "close" && !a.bodiless; {
	case chance(r, 4):
		a.text, a.whole, a.close, a.reset = "", false, true, chance(r, 50)
	case chance(r, 5):
		cut := r.IntN(len(a.text))
		a.close, a.reset = true, chance(r, 50)
		if a.whole = until && !a.reset && cut >= len(a.text)-len(body); a.whole {
			a.body = a.body[:cut-(len(a.text)-len(body))]
		}
		a.text = a.text[:cut]
	case chance(r, 2) && !a.close:
		a.text += pick(r, "x", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	return a
}
