package testkit

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// literal returns a string of Lua that has what was written to a writer.
func literal(t *testing.T, b *bytes.Buffer, w io.WriteCloser, text string) string {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, c := range b.Bytes() {
		fmt.Fprintf(&s, `\%03d`, c)
	}
	return `"` + s.String() + `"`
}

// TestCodings has a script see bodies that br and zstd have packed, as in the program.
func TestCodings(t *testing.T) {
	const script = `
local M = {}
function M.on_request(conn, req) assert(req:decode_body()) end
function M.on_response(conn, req, res) assert(res:decode_body()) end
function M.on_request_body(conn, req, chunk) return (tostring(chunk):upper()) end
function M.on_response_body(conn, req, res, chunk) return (tostring(chunk):upper()) end
return M
`
	var b, z bytes.Buffer
	packer, err := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	passes(t, script, fmt.Sprintf(`
for coding, packed in pairs{ br = %s, zstd = %s } do
  T[coding] = function(t)
    local server = t:http("192.0.2.80:80", { headers = { "Content-Encoding: " .. coding }, body = packed })
    t:start{ protocol = "http" }
    local x = t:request{ method = "POST", headers = { "Content-Encoding: " .. coding }, body = packed }
    t:equal({ x.status, x.body, x.headers["content-encoding"] }, { 200, "SOME WORDS", nil })
    t:equal({ server.requests[1].body, server.requests[1].headers["content-encoding"] }, { "SOME WORDS", nil })
  end
end
`, literal(t, &b, brotli.NewWriter(&b), "some words"), literal(t, &z, packer, "some words")))
}
