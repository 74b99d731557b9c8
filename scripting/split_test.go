package scripting

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
	"fwx/framework/fwxtest"
	"fwx/framework/wire/coding/brzstd"
	"fwx/framework/wire/websocket"
)

// dialogue is what a client and a server say to each other through a gateway with a
// script, to which it must not matter in which pieces it comes.
type dialogue struct {
	name     string
	script   string // its handlers may call pause()
	protocol string
	tls      *framework.ListenerTLS
	client   *tls.Config // of a client that speaks TLS; nil: it does not
	turns    []string    // the client's first
	bodies   bool        // only what is behind the heads is cut: other rows cut heads
	pauses   []pause     // nil: all
	// understood tells what both have received.
	understood func(client, server string) string
	want       string
}

type pause struct{ name, script string }

// pauses are what handlers do before anything else: nothing, wait for the disk, or for
// time, of which there is none before a turn has been sent: all of it piles up.
var pauses = []pause{
	{"at once", `local function pause() end `},
	{"with a file", `local function pause() assert(fwx.file.read("a file") == "its text") end `},
	{"with sleeps", `local function pause() fwx.sleep(0.001) end `},
}

// run has the dialogue for each pause in one piece, cut at each position, and a byte at a time.
func (d dialogue) run(t *testing.T) {
	t.Helper()
	if d.pauses == nil {
		d.pauses = pauses
	}
	for _, p := range d.pauses {
		t.Run(d.name+"/"+p.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, d, p.script)
			client, server := s.play("in one piece", whole, whole)
			first := [2]int{}
			if d.bodies {
				for i := range first {
					first[i] = strings.Index(d.turns[i], "\r\n\r\n") + 3
				}
			}
			step := 7
			if fwxtest.Long() {
				step = 1
			}
			for i := first[0] + 1; i < client; i += step {
				s.play(fmt.Sprintf("the client's is cut behind %d", i), pieces{i, client}, whole)
			}
			for i := first[1] + 1; i < server; i += step {
				s.play(fmt.Sprintf("the server's is cut behind %d", i), whole, pieces{i, server})
			}
			s.play("a byte at a time", pieces{1, 1}, pieces{1, 1})
		})
	}
}

// pieces is how a stream is cut: behind its first bytes, and then into pieces of a size.
type pieces struct{ first, size int }

var whole = pieces{1 << 30, 1 << 30}

// stage is where a dialogue takes place: a machine in memory, on which a piece has
// arrived and everything has happened when the next one is sent.
type stage struct {
	dialogue

	t       *testing.T
	machine *fake.Machine
	gateway *gateway
	server  *fake.Listener
}

const stageServer = "10.0.0.5:80"

func newStage(t *testing.T, d dialogue, pause string) *stage {
	t.Helper()
	s := &stage{dialogue: d, t: t, machine: fake.New()}
	s.machine.WriteFile("a file", []byte("its text"))
	config := framework.Config{OpenPort: s.machine.OpenPort, Codings: brzstd.Codings()}
	g := newGatewayFrom(t, stageServer, config, pause+d.script, func(s *Settings) { s.Dir = "" })
	l := &g.config.Listeners[0]
	l.Protocol, l.TLS = d.protocol, d.tls
	g.config.Upstreams = append(g.config.Upstreams, framework.UpstreamConfig{Name: "other", Servers: []string{stageServer}})
	var err error
	if g.fw, err = framework.New(g.config, nil); err != nil {
		t.Fatal(err)
	}
	s.gateway = g.start()
	if s.server, err = s.machine.Listen(completion.Address{AddrPort: netip.MustParseAddrPort(stageServer)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// settle waits until nothing more happens, in a time if there is one.
func (s *stage) settle(d time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.machine.Advance(ctx, d); err != nil {
		s.t.Fatal(err)
	}
}

// play has the dialogue, and looks what both have understood. It returns how much each
// of them has sent.
func (s *stage) play(how string, ofClient, ofServer pieces) (client, server int) {
	s.t.Helper()
	socket, err := s.machine.Dial(netip.MustParseAddrPort("198.51.100.7:0"), s.gateway.fw.ListenAddress("web"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.settle(0)
	here, there := &end{stage: s, socket: socket, pieces: ofClient}, &end{stage: s, pieces: ofServer}
	var talker io.ReadWriter = here
	if s.dialogue.client != nil {
		talker = tls.Client(here, s.dialogue.client)
	}
	for i, text := range s.turns {
		from := talker
		if i%2 == 1 {
			from = there
		}
		if _, err := io.WriteString(from, text); err != nil {
			s.t.Fatalf("%s, turn %d: %v", how, i, err)
		}
		s.settle(time.Second)
		if there.socket == nil {
			there.socket, _ = s.server.Accept()
		}
	}
	got := make([]string, 0, 2)
	for _, from := range []io.Reader{talker, there} {
		text, err := io.ReadAll(from)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Fatalf("%s: %q and then %v", how, text, err)
		}
		got = append(got, string(text))
	}
	if understood := s.understood(got[0], got[1]); understood != s.want {
		s.t.Fatalf("%s:\n%s\nwant\n%s", how, understood, s.want)
	}
	for _, e := range []*end{here, there} {
		if e.socket != nil {
			e.socket.Close()
		}
	}
	s.settle(0)
	return here.sent, there.sent
}

// end is an end of a connection, which sends in pieces.
type end struct {
	net.Conn // for what nobody calls

	stage  *stage
	socket *fake.Socket // nil: the gateway has not connected
	pieces pieces
	sent   int
}

// Write sends data, with all that it causes.
func (e *end) Write(data []byte) (n int, err error) {
	for n < len(data) && err == nil {
		size := e.pieces.size
		if left := e.pieces.first - e.sent; left > 0 {
			size = left
		}
		var sent int
		if e.socket == nil {
			return n, errors.New("there is nobody to send to")
		}
		sent, err = e.socket.Send(data[n:min(n+size, len(data))])
		n += sent
		e.sent += sent
		e.stage.settle(0)
	}
	return n, err
}

// Read receives what has come, or comes in time.
func (e *end) Read(p []byte) (n int, err error) {
	if e.socket == nil {
		return 0, io.EOF
	}
	for _, patience := range []time.Duration{0, time.Second} {
		e.stage.settle(patience)
		if n, err = e.socket.Receive(p); !errors.Is(err, fake.ErrEmpty) {
			if n == 0 && err == nil {
				err = io.EOF
			}
			return n, err
		}
	}
	return 0, os.ErrDeadlineExceeded // which TLS can go on behind
}

// asHTTP understands a request and a response.
func asHTTP(client, server string) string {
	var b strings.Builder
	q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(server)))
	if err != nil {
		return fmt.Sprintf("the server: %v: %q", err, server)
	}
	body, err := io.ReadAll(q.Body)
	fmt.Fprintf(&b, "%s %s %d %s %v\n", q.Method, q.Header.Get("X-Path"), q.ContentLength, body, err)
	p, err := http.ReadResponse(bufio.NewReader(strings.NewReader(client)), nil)
	if err != nil {
		return fmt.Sprintf("the client: %v: %q", err, client)
	}
	body, err = io.ReadAll(p.Body)
	fmt.Fprintf(&b, "%d %s %d %s %v", p.StatusCode, p.Header.Get("X-Seen"), p.ContentLength, body, err)
	for name, value := range p.Trailer {
		fmt.Fprintf(&b, " %s: %s", name, value)
	}
	return b.String()
}

// splitScript changes heads and bodies, as they come or as prepare and spool want them.
const splitScript = `
	local function change(message, chunk)
		pause()
		if #chunk == 0 then return "!" .. (message.trailers:get("X-End") or "") end
		return tostring(chunk):upper()
	end
	function M.on_request(conn, req)
		pause()
		req.headers:set("X-Path", req.path .. req.headers:get("X-One"))
		if prepare then prepare(req) end
		if spool then req:whole_body(2, "spool") end
	end
	function M.on_response(conn, req, res)
		pause()
		res.headers:set("X-Seen", res.status .. res.headers:get("X-Two"))
		if prepare then prepare(res) end
	end
	function M.on_request_body(conn, req, chunk)
		if not spool then return change(req, chunk) end
		pause()
		return chunk:read(0, 3):upper() .. chunk:read(3, 100)
	end
	function M.on_response_body(conn, req, res, chunk) return change(res, chunk) end
`

// splitBodies makes the two turns of a dialogue whose bodies are coded and have a shape.
func splitBodies(shape func(string) string, coding string) []string {
	coded := func(body string) string {
		if coding == "" {
			return shape(body)
		}
		return "Content-Encoding: " + coding + "\r\n" + shape(encoded(coding, body))
	}
	return []string{
		"POST /a HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n" + coded("abcde"),
		"HTTP/1.1 203 Sure\r\nX-Two: 2\r\n" + coded("fghij"),
	}
}

// chunked ends a head, and has two chunks and a trailer behind it.
func chunked(body string) string {
	half := len(body) / 2
	return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x;x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-End: y\r\n\r\n", half, body[:half], len(body)-half, body[half:])
}

// sized ends a head, and has a body of the length behind it that it gives.
func sized(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

// encoded applies codings, the last one named last.
func encoded(codings, text string) string {
	for coding := range strings.SplitSeq(codings, ", ") {
		var b bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "deflate":
			w = zlib.NewWriter(&b)
		case "br":
			w = brotli.NewWriter(&b)
		case "zstd":
			w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)) // the options are valid
		}
		_, _ = io.WriteString(w, text) // into memory
		_ = w.Close()
		text = b.String()
	}
	return text
}

// Requests and responses that are cut anywhere, and that come a byte at a time, are the same
// to the handlers.
func TestHTTPSplitAnywhere(t *testing.T) {
	t.Parallel()
	const inChunks, inTrailers = "POST /a1 -1 ABCDE!y <nil>\n203 2032 -1 FGHIJ!y <nil>", " X-End: [y]"
	for _, d := range []dialogue{
		{name: "chunks", turns: splitBodies(chunked, ""), want: inChunks + inTrailers},
		{name: "a length", bodies: true, turns: splitBodies(sized, ""), want: "POST /a1 -1 ABCDE! <nil>\n203 2032 -1 FGHIJ! <nil>"},
		{
			name: "whole", bodies: true, script: `local function prepare(m) m:whole_body(5) end`, turns: splitBodies(chunked, ""),
			want: "POST /a1 7 ABCDE!y <nil>\n203 2032 7 FGHIJ!y <nil>",
		},
		{
			name: "too long to be whole", bodies: true, script: `local function prepare(m) m:whole_body(2, "pass") end`, turns: splitBodies(chunked, ""),
			want: "POST /a1 -1 abcde <nil>\n203 2032 -1 fghij <nil>" + inTrailers,
		},
		{
			name: "decoded and whole", bodies: true, script: `local function prepare(m) assert(m:decode_body()) m:whole_body(5) end`, turns: splitBodies(chunked, "gzip"),
			want: "POST /a1 7 ABCDE!y <nil>\n203 2032 7 FGHIJ!y <nil>",
		},
		{
			name: "spooled", bodies: true, script: `local spool = true`, turns: splitBodies(chunked, ""),
			want: "POST /a1 5 ABCde <nil>\n203 2032 -1 FGHIJ!y <nil>" + inTrailers,
		},
	} {
		d.script += splitScript
		d.protocol, d.understood = "http", asHTTP
		d.run(t)
	}
}

// Coded bodies that are cut anywhere are decoded all the same.
func TestDecodedBodySplitAnywhere(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, br"} {
		dialogue{
			name: coding, protocol: "http", script: `local function prepare(m) assert(m:decode_body()) end` + splitScript, turns: splitBodies(sized, coding),
			bodies: true, understood: asHTTP, want: "POST /a1 -1 ABCDE! <nil>\n203 2032 -1 FGHIJ! <nil>",
		}.run(t)
	}
}

// asWebSocket understands the messages behind the heads.
func asWebSocket(client, server string) string {
	var b strings.Builder
	for _, side := range []struct {
		name, stream string
		masked       bool
	}{{"server", server, true}, {"client", client, false}} {
		_, stream, _ := strings.Cut(side.stream, "\r\n\r\n")
		rest, r := []byte(stream), websocket.NewReader(side.masked, 1000, new(websocket.Inflater), true)
		fmt.Fprintf(&b, "%s:", side.name)
		for {
			n, m, done, err := r.Next(rest)
			rest = rest[n:]
			if err != nil {
				fmt.Fprintf(&b, " %v", err)
			}
			if !done {
				break
			}
			fmt.Fprintf(&b, " %x:%s", m.Opcode, m.Data)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Messages are the same to on_message however their frames are cut: in fragments, masked, compressed.
func TestMessageSplitAnywhere(t *testing.T) {
	t.Parallel()
	var zip websocket.Deflater
	frames := func(masked bool) (stream string) {
		add := func(f websocket.Frame, payload string) {
			f.Masked, f.Key = masked, [4]byte{1, 2, 3, 4}
			stream += string(f.Append(nil, []byte(payload)))
		}
		zipped := string(zip.Deflate([]byte(strings.Repeat("zip", 9)), 15))
		add(websocket.Frame{Opcode: websocket.Text}, "a\xc3")
		add(websocket.Frame{Opcode: websocket.Ping, Final: true}, "?")
		add(websocket.Frame{Opcode: websocket.Continuation}, "")
		add(websocket.Frame{Opcode: websocket.Continuation, Final: true}, "\xa4")
		add(websocket.Frame{Opcode: websocket.Binary, Final: true, Compressed: true}, zipped)
		add(websocket.Frame{Opcode: websocket.Text, Compressed: true}, zipped[:4])
		add(websocket.Frame{Opcode: websocket.Continuation, Final: true}, zipped[4:])
		add(websocket.Frame{Opcode: websocket.Text, Final: true}, "drop")
		add(websocket.Frame{Opcode: websocket.Close, Final: true}, string(websocket.AppendClose(nil, 1000, "bye")))
		return stream
	}
	zips := strings.Repeat("zip", 9)
	dialogue{
		name: "messages", protocol: "http", script: `
			function M.on_message(conn, message, direction, kind)
				pause()
				if message:starts_with("drop") then return fwx.drop end
				return direction .. " " .. kind .. " " .. message
			end`,
		turns: []string{
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
				"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" + frames(false),
			frames(true),
		},
		bodies: true, understood: asWebSocket,
		want: "server: 9:? 1:upstream text aä 2:upstream binary " + zips + " 1:upstream text " + zips + " 8:\x03\xe8bye\n" +
			"client: 9:? 1:downstream text aä 2:downstream binary " + zips + " 1:downstream text " + zips + " 8:\x03\xe8bye\n",
	}.run(t)
}

// A ClientHello that is cut anywhere is the same to on_client_hello, and to the server if it is
// passed through, with what follows it.
func TestClientHelloSplitAnywhere(t *testing.T) {
	t.Parallel()
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("a.example")
	listener := func(mode string) *framework.ListenerTLS {
		return &framework.ListenerTLS{Mode: mode, ALPN: []string{"x"}, Certificates: []framework.CertificateConfig{{Certificate: &certificate.Certificate}}}
	}
	client := &tls.Config{
		ServerName: "a.example", NextProtos: []string{"x"}, CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // it is not about the server
	}
	var hello bytes.Buffer
	_ = tls.Client(onlyWrites{Writer: &hello}, client).HandshakeContext(t.Context()) // nobody answers
	raw := func(client, server string) string { return client + "|" + server }
	const (
		script = `
			function M.on_client_hello(conn, hello)
				pause()
				assert(hello.sni == "a.example" and hello.alpn[1] == "x" and hello.versions[1] == "1.3" and #hello.fingerprint == 36)
				assert(conn:set_upstream("other"))
				if mode then assert(conn:set_tls_mode(mode)) end
			end
			function M.on_connect(conn) assert(conn.upstream == "other" and conn.tls.terminated == (mode ~= "passthrough")) end
`
		raise   = "function M.on_data(conn, chunk) pause() return tostring(chunk):upper() end"
		nothing = "function M.on_data() pause() end"
		answer  = "\x16\x03\x03whatever\x00"
	)
	passed := []string{hello.String() + "\x17\x03\x03 and more", answer, "\x15the end"}
	untouched := answer + "|" + passed[0] + passed[2]
	for _, d := range []dialogue{
		{name: "terminated", pauses: []pause{pauses[0], pauses[2]}, tls: listener(framework.TLSTerminate), script: script + raise, client: client, turns: []string{"hello", "welcome"}, want: "WELCOME|HELLO"},
		{name: "the script terminates", pauses: pauses[1:2], tls: listener(framework.TLSPassThrough), script: `local mode = "terminate"` + script, client: client, turns: []string{"hello", "welcome"}, want: "welcome|hello"},
		{name: "passed through", tls: listener(framework.TLSPassThrough), script: `local mode = "passthrough"` + script, turns: passed, want: untouched},
		{name: "the script passes it through", tls: listener(framework.TLSTerminate), script: `local mode = "passthrough"` + script + nothing, turns: passed, want: untouched},
		{name: "denied", tls: listener(framework.TLSTerminate), script: `function M.on_client_hello() pause() return fwx.deny("no") end`, turns: []string{hello.String()}, want: "\x15\x03\x01\x00\x02\x02\x31|"},
	} {
		d.understood = raw
		d.run(t)
	}
}

// onlyWrites is a connection on which nobody answers.
type onlyWrites struct {
	net.Conn
	io.Writer
}

func (w onlyWrites) Write(p []byte) (int, error) { return w.Writer.Write(p) }

func (onlyWrites) Read([]byte) (int, error) { return 0, io.EOF }
