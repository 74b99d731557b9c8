package framework

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
	"fwx/framework/wire/websocket"
)

// testMessages is an HTTP filter that sees messages.
type testMessages func(x *Exchange, dir Direction, m Message) Verdict

func (f testMessages) Request(*Exchange) Verdict { return Pass }

func (f testMessages) Message(x *Exchange, dir Direction, m Message) Verdict { return f(x, dir, m) }

// socket is an end of a WebSocket.
type socket struct {
	t      *testing.T
	conn   net.Conn
	reader *websocket.Reader
	rest   []byte
	client bool
}

// send sends a frame.
func (s *socket) send(f websocket.Frame, payload string) {
	f.Masked = s.client
	_, _ = s.conn.Write(f.Append(nil, []byte(payload))) // the other side may be gone, which its answer tells
}

func (s *socket) text(payload string) {
	s.send(websocket.Frame{Opcode: websocket.Text, Final: true}, payload)
}

// next returns the next message, as "opcode:data"; a close as "close code", and the end
// of the stream as "end".
func (s *socket) next() string {
	buffer := make([]byte, 4<<10)
	for {
		n, m, done, err := s.reader.Next(s.rest)
		s.rest = s.rest[n:]
		switch {
		case err != nil:
			return err.Error()
		case done && m.Opcode == websocket.Close:
			code, _, _ := websocket.ParseClose(m.Data) // the reader has looked
			return fmt.Sprintf("close %d", code)
		case done:
			return fmt.Sprintf("%x:%s", m.Opcode, m.Data)
		}
		got, err := s.conn.Read(buffer)
		if got == 0 && err != nil {
			return "end"
		}
		s.rest = append(s.rest, buffer[:got]...)
	}
}

// echoes answers with a WebSocket that echoes messages. A text "raw" is answered by an
// unmasked frame with a reserved opcode.
func echoes(t *testing.T, extensions string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "unknown") {
			t.Error("an extension that is not understood has been offered")
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }() // it is over
		answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
			websocket.Accept([]byte(r.Header.Get("Sec-WebSocket-Key"))) + "\r\n"
		if extensions != "" {
			answer += "Sec-WebSocket-Extensions: " + extensions + "\r\n"
		}
		_, _ = io.WriteString(conn, answer+"\r\n") // the client tells
		s := &socket{t: t, conn: conn, reader: websocket.NewReader(true, 1<<20, new(websocket.Inflater), false)}
		for {
			switch m := s.next(); {
			case m == "1:raw":
				_, _ = conn.Write([]byte{0x83, 0})
			case strings.HasPrefix(m, "close "):
				var code int
				_, _ = fmt.Sscanf(m, "close %d", &code) // it is one
				s.send(websocket.Frame{Opcode: websocket.Close, Final: true}, string(websocket.AppendClose(nil, code, "")))
				return
			case m[1] != ':':
				return
			default:
				s.text("<" + m + ">")
			}
		}
	}
}

// webSocket opens one through the gateway.
func (g *gateway) webSocket(t *testing.T) *socket {
	t.Helper()
	c := g.dial(t)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		keyField+"Sec-WebSocket-Extensions: unknown, permessage-deflate; client_max_window_bits\r\n\r\n")
	check(t, err)
	var head []byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		var b [1]byte
		_, err := io.ReadFull(c, b[:])
		check(t, err)
		head = append(head, b[0])
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		t.Fatalf("%s", head)
	}
	return &socket{t: t, conn: c, reader: websocket.NewReader(false, 1<<20, new(websocket.Inflater), false), client: true}
}

// watch is a filter for messages whose verdict on what the client sends is said by its
// text.
func watch(held bool) testMessages {
	return func(x *Exchange, dir Direction, m Message) Verdict {
		v := Pass
		if dir == Upstream {
			c := x.Connection()
			switch string(m.Data) {
			case "replace":
				v = Replace([]byte("replaced"))
			case "drop":
				v = Drop
			case "deny":
				v = Deny("not that")
			case "fail":
				v = Fail("broken")
			case "answer":
				v = Answer(200, nil, nil)
			case "garbage":
				v = Replace([]byte{0xff})
			case "panic":
				panic("message")
			case "inject":
				_ = c.SendMessage(Downstream, Message{Text: true, Data: []byte("injected")}) // its arrival is looked at
			case "inject for the server":
				_ = c.SendMessage(Upstream, Message{Text: true, Data: []byte("injected")}) // its echo is looked at
				_ = c.SendMessage(Upstream, Message{Data: []byte("{}")})
			case "close":
				_ = c.CloseWebSocket(4001, "enough") // its arrival is looked at
			}
		}
		if held {
			return later(x, dir, v)
		}
		return v
	}
}

func TestWebSocketMessages(t *testing.T) {
	const final = 0x80
	for _, held := range []bool{false, true} {
		g := startHTTP(t, httpServerOf(t, echoes(t, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")), func(c *Config) {
			c.Listeners[0].HTTP.MaxMessage = 1000
		}, attaching(watch(held)))
		zipped := string(new(websocket.Deflater).Deflate([]byte(strings.Repeat("z", 500)), 15))
		bomb := string(new(websocket.Deflater).Deflate([]byte(strings.Repeat("z", 1001)), 15))
		for _, test := range []struct {
			name string
			send func(s *socket)
			want []string
		}{
			{"pass", func(s *socket) { s.text("a"); s.text("b") }, []string{"1:<1:a>", "1:<1:b>"}},
			{"binary", func(s *socket) { s.send(websocket.Frame{Opcode: websocket.Binary, Final: true}, "\xff") }, []string{"1007: a text is not UTF-8"}},
			{"an empty one", func(s *socket) { s.text("") }, []string{"1:<1:>"}},
			{"a ping", func(s *socket) { s.send(websocket.Frame{Opcode: websocket.Ping, Final: true}, "p") }, []string{"1:<9:p>"}},
			{"fragments", func(s *socket) {
				s.send(websocket.Frame{Opcode: websocket.Text}, "repl")
				s.send(websocket.Frame{Opcode: websocket.Continuation, Final: true}, "ace")
			}, []string{"1:<1:replaced>"}},
			{"compressed", func(s *socket) {
				s.send(websocket.Frame{Opcode: websocket.Text, Final: true, Compressed: true}, zipped)
			}, []string{"1:<1:" + strings.Repeat("z", 500) + ">"}},
			{"replace", func(s *socket) { s.text("replace") }, []string{"1:<1:replaced>"}},
			{"drop", func(s *socket) { s.text("drop"); s.text("b") }, []string{"1:<1:b>"}},
			{"inject", func(s *socket) { s.text("inject") }, []string{"1:injected", "1:<1:inject>"}},
			{"inject for the server", func(s *socket) { s.text("inject for the server") }, []string{"1:<1:injected>", "1:<2:{}>", "1:<1:inject for the server>"}},
			{"close", func(s *socket) { s.text("close") }, []string{"close 4001", "end"}},
			{"deny", func(s *socket) { s.text("deny") }, []string{"close 1008", "end"}},
			{"fail", func(s *socket) { s.text("fail") }, []string{"close 1011", "end"}},
			{"a wrong verdict", func(s *socket) { s.text("answer") }, []string{"close 1011", "end"}},
			{"a text that is none", func(s *socket) { s.text("garbage") }, []string{"close 1011", "end"}},
			{"a panic", func(s *socket) { s.text("panic") }, []string{"close 1011", "end"}},
			{"too long", func(s *socket) { s.text(strings.Repeat("a", 1001)) }, []string{"close 1009", "end"}},
			{"a bomb", func(s *socket) { s.send(websocket.Frame{Opcode: websocket.Text, Final: true, Compressed: true}, bomb) }, []string{"close 1009", "end"}},
			{"no UTF-8", func(s *socket) { s.text("\xff") }, []string{"close 1007", "end"}},
			{"a reserved opcode", func(s *socket) { _, _ = s.conn.Write([]byte{final | 3, final, 0, 0, 0, 0}) }, []string{"close 1002", "end"}},
			{"without a mask", func(s *socket) { _, _ = s.conn.Write([]byte{final | 1, 0}) }, []string{"close 1002", "end"}},
			{"a server that errs", func(s *socket) { s.text("raw") }, []string{"close 1002", "end"}},
			{"the client closes", func(s *socket) {
				s.send(websocket.Frame{Opcode: websocket.Close, Final: true}, string(websocket.AppendClose(nil, 3000, "")))
			}, []string{"close 3000", "end"}},
		} {
			if test.name == "binary" { // the echo of it is a text that is none
				test.want = []string{"close 1007", "end"}
			}
			s := g.webSocket(t)
			check(t, s.conn.SetDeadline(time.Now().Add(patience)))
			test.send(s)
			for _, want := range test.want {
				if got := s.next(); got != want {
					t.Errorf("held %v: %s: %.100q, want %.100q", held, test.name, got, want)
				}
			}
			check(t, s.conn.Close())
		}
	}
}

// Each close of the gateway's is counted by its code and has a line in the log with the
// reason, and each message that filters see is counted, in each direction.
func TestWebSocketCounts(t *testing.T) {
	server := httpServerOf(t, echoes(t, ""))
	for _, test := range []struct {
		name     string
		send     func(s *socket)
		want     string // what the client sees last
		code     string // counted; empty: none is
		reason   string // of the line in the log; empty: there is none
		up, down float64
	}{
		{"pass", func(s *socket) { s.text("a") }, "1:<1:a>", "", "", 1, 1},
		{"a ping", func(s *socket) { s.send(websocket.Frame{Opcode: websocket.Ping, Final: true}, "p") }, "1:<9:p>", "", "", 0, 1},
		{"replace", func(s *socket) { s.text("replace") }, "1:<1:replaced>", "", "", 1, 1},
		{"drop", func(s *socket) { s.text("drop"); s.text("b") }, "1:<1:b>", "", "", 2, 1},
		{"inject for the server", func(s *socket) { s.text("inject for the server") }, "1:<1:inject for the server>", "", "", 1, 3},
		{"inject", func(s *socket) { s.text("inject") }, "1:<1:inject>", "", "", 1, 1},
		{"deny", func(s *socket) { s.text("deny") }, "close 1008", "1008", "filter a: not that", 1, 0},
		{"fail", func(s *socket) { s.text("fail") }, "close 1011", "1011", "filter a: broken", 1, 0},
		{"a wrong verdict", func(s *socket) { s.text("answer") }, "close 1011", "1011", "filter a: verdict answer does not suit a message", 1, 0},
		{"a text that is none", func(s *socket) { s.text("garbage") }, "close 1011", "1011", "filter a: it replaced a text message with data that is not UTF-8", 1, 0},
		{"a panic", func(s *socket) { s.text("panic") }, "close 1011", "1011", "filter a: it panicked", 1, 0},
		{"too long", func(s *socket) { s.text(strings.Repeat("a", 1001)) }, "close 1009", "1009", "the client: refused message: 1009", 0, 0},
		{"no UTF-8", func(s *socket) { s.text("\xff") }, "close 1007", "1007", "the client: refused message: 1007", 0, 0},
		{"without a mask", func(s *socket) { _, _ = s.conn.Write([]byte{0x81, 0}) }, "close 1002", "1002", "the client: refused message: 1002", 0, 0},
		{"a server that errs", func(s *socket) { s.text("raw") }, "close 1002", "1002", server + ": refused message: 1002", 1, 0},
		{"close", func(s *socket) { s.text("close") }, "close 4001", "other", "", 1, 0},
		{"the client closes", func(s *socket) {
			s.send(websocket.Frame{Opcode: websocket.Close, Final: true}, string(websocket.AppendClose(nil, 3000, "")))
		}, "close 3000", "", "", 0, 0},
	} {
		g := startHTTP(t, server, func(c *Config) { c.Listeners[0].HTTP.MaxMessage = 1000 }, attaching(watch(false)))
		s := g.webSocket(t)
		check(t, s.conn.SetDeadline(time.Now().Add(patience)))
		test.send(s)
		var got string
		for got != test.want {
			if got = s.next(); got == "end" {
				break
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		check(t, s.conn.Close())
		eventually(t, "the connection has ended", func() bool { return g.Connections() == 0 })
		for _, code := range []string{"1002", "1007", "1008", "1009", "1011", "other"} {
			want := 0.0
			if code == test.code {
				want = 1
			}
			if n := g.counter(t, metricCloses, code); n != want {
				t.Errorf("%s: %v closes with %s are counted, want %v", test.name, n, code, want)
			}
		}
		if up, down := g.counter(t, metricMessages, "upstream"), g.counter(t, metricMessages, "downstream"); up != test.up || down != test.down {
			t.Errorf("%s: %v and %v messages are counted, want %v and %v", test.name, up, down, test.up, test.down)
		}
		if line := g.log.has("msg=\"request failed\""); line != (test.reason != "") || !g.log.has(test.reason) {
			t.Errorf("%s: the log has a line: %v, want one with %q", test.name, line, test.reason)
		}
	}
}

// A server that chooses what was not offered is refused, and without a filter for
// messages nobody looks.
func TestWebSocketExtensions(t *testing.T) {
	server := httpServerOf(t, echoes(t, "permessage-bzip2"))
	g := startHTTP(t, server, nil, attaching(watch(false)))
	p, _ := ask(t, g.dial(t), "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+keyField+"\r\n")
	if p.StatusCode != 502 {
		t.Errorf("%s", p.Status)
	}
	p, _ = ask(t, startHTTP(t, server, nil).dial(t), "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+keyField+"\r\n")
	if p.StatusCode != 101 || p.Header.Get("Sec-WebSocket-Extensions") != "permessage-bzip2" {
		t.Errorf("without a filter: %s %v", p.Status, p.Header)
	}
}

// Messages pass in time, whatever their size, in both directions at once.
func TestWebSocketByteAtATime(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, echoes(t, "")), nil, attaching(watch(true)))
	s := g.webSocket(t)
	check(t, s.conn.SetDeadline(time.Now().Add(patience)))
	f := websocket.Frame{Opcode: websocket.Text, Final: true, Masked: true, Key: [4]byte{1, 2, 3, 4}}
	for _, b := range f.Append(nil, []byte("replace")) {
		_, err := s.conn.Write([]byte{b})
		check(t, err)
	}
	if got := s.next(); got != "1:<1:replaced>" {
		t.Errorf("%q", got)
	}
	large := strings.Repeat("large ", 150_000)
	s.text(large)
	if got := s.next(); got != "1:<1:"+large+">" {
		t.Errorf("%d bytes, want %d", len(got), len(large))
	}
}

// The package websockets of Python, as client and as server, with compression and contexts.
func TestWebSocketPython(t *testing.T) {
	t.Parallel()
	python := fwxtest.Require(t, "/usr/bin/python3", "-c", "import websockets")
	ctx := t.Context()
	server := exec.CommandContext(ctx, python, "-c", `
import asyncio, websockets
async def echo(s):
    async for m in s: await s.send(m)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())`)
	out := must(server.StdoutPipe())(t)
	check(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	var port int
	_, err := fmt.Fscan(out, &port)
	check(t, err)
	g := startHTTP(t, fmt.Sprintf("127.0.0.1:%d", port), nil, attaching(watch(true)))
	text, err := exec.CommandContext(ctx, python, "-c", `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as s:
        assert s.extensions, "no compression was agreed on"
        for i in range(20):
            m = ("message %d and " % i) * (1 + 100 * i)
            await s.send(m); assert await s.recv() == m
        await s.send(b"\xff" * 100_000); assert await s.recv() == b"\xff" * 100_000
        await s.send(["re", "pl", "ace"]); assert await s.recv() == "replaced"
        await s.send("inject"); assert await s.recv() == "injected"; assert await s.recv() == "inject"
        await (await s.ping("x"))
        await s.send("deny")
        try: await s.recv(); assert False
        except websockets.ConnectionClosed as e: assert e.rcvd.code == 1008, e
asyncio.run(main())`, "ws://"+g.ListenAddress("in").String()+"/").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// A page in Chromium, which offers compression. It is loaded when the image is, so the
// program writes what it has become of the page then, and ends.
func TestWebSocketChromium(t *testing.T) {
	t.Parallel()
	chromium := fwxtest.Require(t, "chromium")
	const page = `<pre></pre><img src="/wait"><script>
const s = new WebSocket("ws://" + location.host + "/socket");
const show = text => document.querySelector("pre").append("[" + text + "]");
s.onopen = () => {
	show(s.extensions.split(";")[0]);
	for (const text of ["hello", "replace", "drop", "x".repeat(100000)]) s.send(text);
};
s.onmessage = m => {
	show(m.data.length > 100 ? m.data.length : m.data.replaceAll(/[<>]/g, ""));
	if (m.data.length > 100) s.send("inject");
	if (m.data == "<1:inject>") s.send("deny");
};
s.onclose = e => { show(e.code + " " + e.wasClean); fetch("/done"); };
</script>`
	done := make(chan struct{})
	echo := echoes(t, "permessage-deflate; client_no_context_takeover")
	g := startHTTP(t, httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page) // the page tells
		case "/socket":
			echo(w, r)
		case "/wait":
			select {
			case <-done:
			case <-r.Context().Done():
			}
		case "/done":
			close(done)
		}
	}), nil, attaching(watch(true)))
	out, err := exec.CommandContext(t.Context(), chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "http://"+g.ListenAddress("in").String()+"/").Output()
	check(t, err)
	const want = "<pre>[permessage-deflate][1:hello][1:replaced][100004][injected][1:inject][1008 true]</pre>"
	if !strings.Contains(string(out), want) {
		t.Errorf("the page has become\n%s\nwithout\n%s", out, want)
	}
}

// When the service ends, both sides are told.
func TestWebSocketShutdown(t *testing.T) {
	g := startHTTP(t, httpServerOf(t, echoes(t, "")), nil, attaching(watch(false)))
	s := g.webSocket(t)
	check(t, s.conn.SetDeadline(time.Now().Add(patience)))
	s.text("a")
	if got := s.next(); got != "1:<1:a>" {
		t.Errorf("%q", got)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(t.Context()) }()
	for _, want := range []string{"close 1001", "end"} {
		if got := s.next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check(t, s.conn.Close())
	check(t, <-ended)
}
