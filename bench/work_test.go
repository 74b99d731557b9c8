//go:build linux

package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWorkIsTheSame has every contender do the work of each case once: what scripts come to must be equal.
func TestWorkIsTheSame(t *testing.T) {
	var result atomic.Value
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result.Store(r.Header.Get("X-Result"))
		_, _ = w.Write(bytes.Repeat(smallText, 300))
	})}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	b := &bench{dir: t.TempDir()}
	for _, test := range []struct{ script, work, result string }{
		{work, "compute", "a91f9b6c"},
		{work, "rules", "limit-33"},
		{work, "strings", "CLIENT=10.1.2.3 FIEL48----------"},
		{work, "json", "3925"},
		{workOwn, "json", "3925"},
		{work, "oop", "20100-496-169"},
		{body, "", ""},
	} {
		for _, c := range contenders() {
			isOurs := strings.HasPrefix(c.Name, "fwx-")
			if !strings.HasSuffix(c.Name, "http-lua") && c.Name != "nginx-lua" || test.script == workOwn && !isOurs || c.missing() != nil {
				continue
			}
			t.Run(test.script+test.work+"/"+c.Name, func(t *testing.T) {
				p, err := b.start(t.Context(), c, Setup{Connections: 1, Script: test.script, Work: test.work}, fixed(listener.Addr().String()))
				if err != nil {
					t.Fatal(err)
				}
				defer p.stop()
				answer, err := get(t.Context(), "http://"+p.address+"/")
				if err != nil {
					t.Fatal(err)
				}
				if got := result.Load(); got != test.result {
					t.Errorf("the script comes to %q, want %q", got, test.result)
				}
				if test.script == body && (!bytes.Contains(answer, []byte("cat")) || bytes.Contains(answer, []byte("fox"))) {
					t.Errorf("words are not replaced: %.200s", answer)
				}
			})
		}
	}
}

// fixed is a server that is only called.
type fixed string

func (f fixed) address() string { return string(f) }

func (f fixed) counts(context.Context) (counts, error) { return counts{}, nil }
