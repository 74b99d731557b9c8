package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// coded returns a text in a coding that the standard library does not have.
func coded(tb testing.TB, name, text string) []byte {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = brotli.NewWriter(&b)
	if name == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

const codingConfig = `
[[upstream]]
name    = "site"
servers = [%q]

[[filter]]
name   = "raise"
kind   = "lua"
script = "raise.lua"

[[listener]]
name     = "web"
listen   = "127.0.0.1:0"
protocol = "http"
filters  = ["raise"]
upstream = "site"
`

const codingScript = `
local M = {}
function M.on_request(conn, req) assert(req:decode_body()) end
function M.on_response(conn, req, res) assert(res:decode_body()) end
function M.on_request_body(conn, req, chunk) return (tostring(chunk):upper()) end
function M.on_response_body(conn, req, res, chunk) return (tostring(chunk):upper()) end
return M
`

// TestCodings has scripts of the program see what br and zstd have packed.
func TestCodings(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		name := strings.TrimPrefix(r.URL.Path, "/")
		w.Header().Set("Content-Encoding", name)
		_, _ = w.Write(coded(t, name, fmt.Sprintf("%q %s %v", r.Header.Get("Content-Encoding"), body, err))) // the client tells
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.toml"), fmt.Sprintf(codingConfig, server.Listener.Addr().String()))
	write(t, filepath.Join(dir, "raise.lua"), codingScript)
	g := start(t, dir)
	defer g.stop()
	for _, name := range []string{"br", "zstd"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url("/"+name), bytes.NewReader(coded(t, name, "some words")))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Encoding", name)
		p, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p.Body)
		_ = p.Body.Close() // all of it has come
		if want := `"" SOME WORDS <NIL>`; err != nil || p.StatusCode != http.StatusOK || string(body) != want || p.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s %q %v %v, want %q", name, p.Status, body, p.Header, err, want)
		}
	}
}
