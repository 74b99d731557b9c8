package scripting

import (
	"io"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/websocket"
)

func TestMessageHandler(t *testing.T) {
	server := httptest.NewServer(websocket.Handler(func(s *websocket.Conn) {
		_, _ = io.Copy(s, s) // the client tells
	}))
	t.Cleanup(server.Close)
	for _, test := range []struct{ name, script, want string }{
		{"nothing", `function M.on_message() end`, "hello"},
		{"what a message has", `function M.on_message(conn, message, direction, kind)
			if direction == "upstream" then return message:sub(1, 2) .. kind .. #message end
		end`, "hetext5"},
		{"drop, inject", `function M.on_message(conn, message, direction)
			if direction == "upstream" then assert(conn:send_message("downstream", "instead of " .. message)) return fwx.drop end
		end`, "instead of hello"},
		{"inject for the server", `function M.on_message(conn, message, direction)
			if direction == "upstream" then assert(conn:send_message("upstream", "instead of " .. message)) return fwx.drop end
			return "echo of " .. message
		end`, "echo of instead of hello"},
		{"inject for the server, before it", `function M.on_message(conn, message, direction)
			if direction == "upstream" then assert(conn:send_message("upstream", "before " .. message)) return end
			return "echo of " .. message
		end`, "echo of before hello"},
		{"a suspended handler", `function M.on_message(conn, message) fwx.sleep(0.001); return tostring(message):upper() end`, "HELLO"},
		{"deny", `function M.on_message() return fwx.deny("no") end`, ""},
		{"an error", `function M.on_message() error("oops") end`, ""},
		{"a wrong result", `function M.on_message() return fwx.respond(200) end`, ""},
		{"close", `function M.on_message(conn) assert(conn:close_websocket(4000, "enough")) end`, ""},
		{"no WebSocket", `function M.on_message() end
		function M.on_request(conn)
			local ok, message, code = conn:send_message("downstream", "x")
			assert(ok == nil and code == "error", code)
		end`, "hello"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newHTTPGatewayTo(t, server.Listener.Addr().String(), test.script).dial()
			defer func() { _ = c.Close() }() // all has come
			config, err := websocket.NewConfig("ws://a/", "http://a/")
			if err != nil {
				t.Fatal(err)
			}
			s, err := websocket.NewClient(config, c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			var got string
			if err := websocket.Message.Receive(s, &got); (err != nil) != (test.want == "") || got != test.want {
				t.Errorf("%q %v, want %q", got, err, test.want)
			}
		})
	}
}
