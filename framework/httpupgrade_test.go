package framework

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fwx/framework/wire/websocket"
)

const (
	testKey      = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeStart = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\n"
	keyField     = "Sec-WebSocket-Key: " + testKey + "\r\n"
	acceptField  = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)

// switching is an answer that switches to a protocol.
func switching(protocol, fields string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " + protocol + "\r\n" + fields + "\r\n"
}

func TestWebSocketAccept(t *testing.T) {
	if got := websocket.Accept([]byte(testKey)); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455, 1.3
		t.Error(got)
	}
}

// Only listed protocols are asked for, and only once; the others are taken out and the
// request goes on without them.
func TestHTTPUpgradesThatGoOn(t *testing.T) {
	for _, test := range []struct {
		upgrades []string // nil: the default
		fields   string   // of the request
		want     string   // Upgrade as the server sees it; empty: it is not asked
	}{
		{nil, "Upgrade: websocket\r\n" + keyField, "websocket"},
		{nil, "Upgrade: WebSocket\r\n" + keyField, "WebSocket"},
		{nil, "Upgrade: websocket\r\n", ""},
		{nil, "Upgrade: websocket\r\n" + keyField + keyField, ""},
		{nil, "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n", ""},
		{nil, "Upgrade: h2c, websocket\r\nHTTP2-Settings: AAMA\r\n" + keyField, "websocket"},
		{nil, "Upgrade: websocket\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n" + keyField, "websocket"},
		{nil, "Upgrade: h2c\r\nUpgrade: websocket\r\n" + keyField, ""},
		{nil, "Upgrade: websocket/13\r\n" + keyField, ""},
		{nil, "Upgrade: x\r\n", ""},
		{nil, "Upgrade:\r\n", ""},
		{nil, "Upgrade: ,\r\n", ""},
		{nil, "Upgrade: TLS/1.0, HTTP/2.0\r\n", ""},
		{[]string{}, "Upgrade: websocket\r\n" + keyField, ""},
		{[]string{"X"}, "Upgrade: x, websocket\r\n" + keyField, "x"},
		{[]string{"x", "websocket"}, "Upgrade: x, websocket, y\r\n" + keyField, "x, websocket"},
	} {
		m := newMachine(t)
		var head string
		m.server(func(c *memoryConn, text string) { head = text; c.say(okAnswer) })
		m.start(func(c *Config) { c.Listeners[0].HTTP.Upgrades = test.upgrades })
		if got := statusOf(m.ask(m.client(), upgradeStart+test.fields+"\r\n")); got != "200" {
			t.Errorf("%q is answered with %s", test.fields, got)
		}
		var upgrades []string
		for line := range strings.SplitSeq(head, "\r\n") {
			if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "upgrade") {
				upgrades = append(upgrades, value)
			}
		}
		got, lower := strings.Join(upgrades, "|"), strings.ToLower(head)
		if got != test.want || strings.Contains(lower, "http2-settings") || strings.Contains(lower, "connection: upgrade") != (test.want != "") {
			t.Errorf("%v, %q: the server is asked %q, want %q", test.upgrades, test.fields, head, test.want)
		}
	}
	m := newMachine(t)
	var head string
	m.server(func(c *memoryConn, text string) { head = text; c.say(okAnswer) })
	m.start(nil)
	m.ask(m.client(), "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n"+keyField+"\r\nabc")
	if strings.Contains(strings.ToLower(head), "upgrade") {
		t.Errorf("POST goes on as %q", head)
	}
}

// A switch to what was not asked for, or a WebSocket that was not agreed on, is no tunnel.
func TestHTTPUpgradeAnswers(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		for _, test := range []struct{ asked, answer, status string }{
			{"websocket", switching("websocket", acceptField), "101"},
			{"websocket", switching("WebSocket", acceptField), "101"},
			{"websocket", switching("websocket", ""), "502"},
			{"websocket", switching("websocket", acceptField+acceptField), "502"},
			{"websocket", switching("websocket", "Sec-WebSocket-Accept: "+testKey+"\r\n"), "502"},
			{"websocket", switching("websocket", strings.ToLower(acceptField)), "502"},
			{"websocket", switching("h2c", acceptField), "502"},
			{"websocket", switching("x", acceptField), "502"},
			{"websocket", switching("websocket, h2c", acceptField), "502"},
			{"websocket", switching("", acceptField), "502"},
			{"h2c", switching("h2c", ""), "502"},
			{"h2c", switching("websocket", acceptField), "502"},
			{"x", switching("x", ""), "101"},
			{"x", switching("websocket", acceptField), "502"},
			{"websocket", "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\nContent-Length: 2\r\n\r\nok", "200"},
		} {
			m := newMachine(t)
			m.server(saying(test.answer))
			m.start(func(c *Config) {
				c.Listeners[0].HTTP.Upgrades = []string{"websocket", "x"}
				if filtered {
					addFilter(c, attaching(messages{&testHTTP{}}))
				}
			})
			c := m.client()
			answer := m.ask(c, upgradeStart+"Upgrade: "+test.asked+"\r\n"+keyField+"\r\n")
			if got := statusOf(answer); got != test.status || strings.Contains(answer, "h2c") {
				t.Errorf("filtered %v, %s asked, %q: %q, want %s", filtered, test.asked, test.answer, answer, test.status)
			}
			c.Close()
			m.settle()
		}
	}
}

// messages is an HTTP filter that sees messages.
type messages struct{ *testHTTP }

func (messages) Message(*Exchange, Direction, Message) Verdict { return Pass }

func TestHTTPUpgradesChecked(t *testing.T) {
	for _, protocol := range []string{"h2c", "H2C", "h2", "HTTP/2.0", "", "a b", "a/b/c"} {
		config := httpConfig("auto", "127.0.0.1:1")
		config.Listeners[0].HTTP.Upgrades = []string{"websocket", protocol}
		if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("upgrades: %q", protocol)) {
			t.Errorf("%q: %v", protocol, err)
		}
	}
}

// What a server has sent in a tunnel goes to the client, and then its end, also when the server
// no longer reads: the client's data, or its end, then goes nowhere.
func TestHTTPTunnelOfServerThatLeaves(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		for _, test := range []struct {
			name string
			then func(*machine, *memoryConn)
		}{
			{"the client sends", func(_ *machine, c *memoryConn) { c.say("\x81\x80abcd") }},
			{"it sends again and again", func(m *machine, c *memoryConn) {
				for range 3 {
					c.say("\x81\x80abcd")
					m.settle()
				}
			}},
			{"it ends its stream", func(_ *machine, c *memoryConn) { check(t, c.CloseSend()) }},
			{"it sends, and ends its stream", func(m *machine, c *memoryConn) {
				c.say("\x81\x80abcd")
				m.settle()
				check(t, c.CloseSend())
			}},
		} {
			m := newMachine(t)
			m.server(saying(switching("websocket", acceptField)))
			m.start(func(c *Config) {
				if filtered {
					addFilter(c, attaching(messages{&testHTTP{}}))
				}
			})
			c := m.client()
			c.say(upgradeStart + "Upgrade: websocket\r\n" + keyField + "\r\n")
			m.settle()                         // the client reads nothing yet
			const message = "\x82\x7e\x10\x00" // 4096 bytes follow
			const sent = 28
			server := m.servers[0].conns[0]
			for range sent {
				server.say(message + strings.Repeat("x", 4096))
				m.settle()
			}
			server.ended().Close()
			m.settle()
			test.then(m, c)
			m.settle()
			var text strings.Builder
			for !c.over && m.fake.Elapsed() < time.Hour {
				text.WriteString(c.heard())
				m.pass(time.Second)
			}
			_, got, _ := strings.Cut(text.String(), "\r\n\r\n")
			if n := strings.Count(got, message); n != sent || !c.over || c.err != nil {
				t.Errorf("filtered %v, %s: %d messages of %d have come, over %v, %v", filtered, test.name, n, sent, c.over, c.err)
			}
		}
	}
}
