package scripting

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// trailerScript has both handlers for bodies do the same with what they are given.
const trailerScript = `
	local function begin(message) %s end
	local function finish(trailers) %s end
	function M.on_request(conn, req) begin(req) end
	function M.on_response(conn, req, res) begin(res) end
	function M.on_request_body(conn, req, chunk) if #chunk == 0 then finish(req.trailers) end end
	function M.on_response_body(conn, req, res, chunk) if #chunk == 0 then finish(res.trailers) end end`

// Scripts change the trailers of requests and responses.
func TestHTTPTrailers(t *testing.T) {
	const chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nCheck: 1\r\nGone: 2\r\nKept: 3\r\nCHECK: 4\r\ngone: 5\r\n\r\n"
	const changes = `trailers:set("check", "changed") trailers:remove("GONE") trailers:add("Added", "1") trailers:add("Added", "2")`
	for _, test := range []struct{ name, begin, finish, message, want string }{
		{"none of them", ``, ``, chunks, "map[Check:[1 4] Gone:[2 5] Kept:[3]]"},
		{"all kinds of changes", ``, changes, chunks, "map[Added:[1 2] Check:[changed] Kept:[3]]"},
		{"in a handler that waits", ``, `fwx.sleep(0.001) ` + changes + ` fwx.sleep(0.001)`, chunks, "map[Added:[1 2] Check:[changed] Kept:[3]]"},
		{"of a body with a length", ``, changes, "Content-Length: 3\r\n\r\nabc", "map[Added:[1 2] Check:[changed]]"},
		{
			"what they are", `assert(#message.trailers:names() == 0 and message.trailers:get("kept") == nil)`,
			`trailers:set("Seen", trailers:get("kept") .. table.concat(trailers:all("check")) .. table.concat(trailers:names()))`, chunks,
			"map[Check:[1 4] Gone:[2 5] Kept:[3] Seen:[314checkgonekept]]",
		},
		{"of a body that is gathered", `message:whole_body(10)`, `assert(trailers:get("kept") == "3")
			local ok, why = pcall(trailers.set, trailers, "X", "y")
			assert(not ok and why:find("unless it was gathered: then none are sent", 1, true), why)`, chunks, "map[]"},
		{"too early", `local ok, why = pcall(message.trailers.set, message.trailers, "X", "y")
			assert(not ok and why:find("trailers can be changed when the handler is given the end of the body", 1, true), why)`, ``, chunks, "map[Check:[1 4] Gone:[2 5] Kept:[3]]"},
		{"of a name that is refused", ``, `for _, name in ipairs { "Content-Length", "Host", "Expect", "Trailer" } do
			local ok, why = pcall(trailers.set, trailers, name, "1")
			assert(not ok and why:find(name .. " is a header that ", 1, true), why)
		end`, chunks, "map[Check:[1 4] Gone:[2 5] Kept:[3]]"},
		{"of a value that is refused", ``, `assert(not pcall(trailers.add, trailers, "X", "a\r\nb"))`, chunks, "map[Check:[1 4] Gone:[2 5] Kept:[3]]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := make(chan string, 1)
			server := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
				if q, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					body, err := io.ReadAll(q.Body)
					seen <- fmt.Sprintf("%s %v %v", body, q.Trailer, err)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+test.message) // the client tells
				}
			})
			c := newHTTPGatewayTo(t, server, fmt.Sprintf(trailerScript, test.begin, test.finish)).dial()
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+test.message); err != nil {
				t.Fatal(err)
			}
			p, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(p.Body)
			want := "abc " + test.want + " <nil>"
			if got := fmt.Sprintf("%s %v %v", body, p.Trailer, err); got != want {
				t.Fatalf("%s: the client has had %s, want %s", p.Status, got, want)
			}
			if got := <-seen; got != want {
				t.Errorf("the server has had %s, want %s", got, want)
			}
		})
	}
}
