package scripting

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// line says something and returns the line that comes back.
func line(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(got, "\r\n")
}

// talk connects to an address, says something, and returns what comes back, or "nobody".
func talk(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "nobody"
	}
	defer func() { _ = c.Close() }()            // it has served
	_ = c.SetDeadline(time.Now().Add(patience)) // it is open
	_, _ = io.WriteString(c, "data")
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || len(got) == 0 {
		return "nobody" // it came just before nobody listened
	}
	return string(got)
}

// TestExampleFTP has the announcements of data connections go through the example,
// which the echo server returns as if it had made them, and follows them.
func TestExampleFTP(t *testing.T) {
	data := netip.MustParseAddrPort(echo(t))
	high, low := data.Port()>>8, data.Port()&0xff
	tests := []struct{ say, form string }{
		{fmt.Sprintf("227 Entering Passive Mode (127,0,0,1,%d,%d).", high, low), "227 Entering Passive Mode (127,0,0,1,%d,%d)"},
		{fmt.Sprintf("229 ok (|||%d|)", data.Port()), "229 Entering Extended Passive Mode (|||%d|)"},
		{fmt.Sprintf("port 127,0,0,1,%d,%d", high, low), "PORT 127,0,0,1,%d,%d"},
		{fmt.Sprintf("EPRT |1|127.0.0.1|%d|", data.Port()), "EPRT |1|127.0.0.1|%d|"},
	}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := example(t, backend, "ftp.lua", Allow{Expect: true}, nil)
		c := g.dial()
		defer func() { _ = c.Close() }()
		for _, test := range tests {
			answer := line(t, c, test.say)
			var a, b int
			if n, _ := fmt.Sscanf(answer, test.form, &a, &b); n == 2 {
				a = a<<8 | b
			}
			if a == 0 || a == int(data.Port()) {
				t.Fatalf("%s became %s", test.say, answer)
			}
			address := fmt.Sprintf("127.0.0.1:%d", a)
			if got := talk(t, address); got != "data" {
				t.Errorf("%s: got %q", test.say, got)
			}
			if got := talk(t, address); got != "nobody" {
				t.Errorf("%s: a second connection: %q", test.say, got)
			}
		}
		if got := line(t, c, "AUTH TLS"); got != "534 not through this gateway" {
			t.Errorf("AUTH: %q", got)
		}
		if _, err := io.WriteString(c, "LIS"); err != nil {
			t.Fatal(err)
		}
		if got := line(t, c, "T"); got != "LIST" {
			t.Errorf("a line in two pieces: %q", got)
		}
	})
}

// TestExpect has a script expect a connection in all ways.
func TestExpect(t *testing.T) {
	data := netip.MustParseAddrPort(echo(t))
	const watching = `
		function M.on_connect(conn) if conn.parent then fwx.log.info("child of " .. tostring(conn.parent)) end end
		function M.on_data(conn, chunk, direction)
			if conn.parent then return (tostring(chunk):upper()) end
			if direction == "upstream" then return end
			local x, err, code = conn:expect { %s }
			if not x then return code .. ": " .. err .. "\n" end
			%s
			return x.address .. ":" .. x.port .. "\n"
		end
		function M.on_close(conn) fwx.log.info("closed", { parent = conn.parent and conn.parent.id }) end`
	allowed := func(s *Settings) { s.Allow.Expect = true }
	denied := func(s *Settings) { s.Allow.Expect = false }
	tests := []struct {
		name, options, then string
		change              func(*Settings)
		want                string // what a client at the expected address gets, or the script's answer
		log                 string
	}{
		{"plain", `from = "client", port = PORT`, "", allowed, "data", "msg=closed"},
		{"from the server", `from = "server", port = PORT, timeout = 60`, "", allowed, "data", "msg=closed"},
		{"watched", `from = "client", port = PORT, watch = true`, "", allowed, "DATA", "child of connection 1"},
		{"cancelled", `from = "client", port = PORT`, "x:cancel() x:cancel()", allowed, "nobody", "msg=closed"},
		{"not allowed", `from = "client", port = PORT`, "", denied, `denied: filter "test" is not allowed to expect connections: add expect = true in [filter.allow]`, "msg=closed"},
		{"for too long", `from = "client", port = PORT, timeout = 3600`, "", allowed, "error: expectation: wants a time of up to 10m0s, not 1h0m0s", "msg=closed"},
		{"too many", `from = "client", port = PORT`, `repeat x, err, code = conn:expect { from = "client", port = PORT } until not x; do return code .. "\n" end`, allowed, "full", "msg=closed"},
		{"no port", `from = "client"`, "", allowed, "", "option port is missing, got nothing"},
		{"from nobody", `port = PORT`, "", allowed, "", `option from wants "client" or "server", got nothing`},
		{"a wrong option", `from = "client", port = PORT, to = "x"`, "", allowed, "", `there is no option "to"`},
	}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				port := strconv.Itoa(int(data.Port()))
				source := strings.ReplaceAll(fmt.Sprintf(watching, test.options, test.then), "PORT", port)
				g := newGateway(t, backend, source, test.change).start()
				c := g.dial()
				_, _ = io.WriteString(c, "x")
				answer, _ := bufio.NewReader(c).ReadString('\n') // or what there is
				got := strings.TrimSpace(answer)
				if _, err := netip.ParseAddrPort(got); err == nil {
					got = talk(t, got)
				}
				if got != test.want {
					t.Errorf("got %q", got)
				}
				_ = c.Close()
				g.logged(test.log)
			})
		}
	})
}
