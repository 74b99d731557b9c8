//go:build linux

package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseWrk(t *testing.T) {
	const head = "Running 60m test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n"
	for _, test := range []struct {
		name, output string
		want         latencies
		mistake      string
	}{
		{"good", head + "report: p50=1319 p99=48053 p99.9=57867 failures=0\n", latencies{1319 * time.Microsecond, 48053 * time.Microsecond, 57867 * time.Microsecond}, ""},
		{"failures", head + "report: p50=1 p99=2 p99.9=3 failures=17\n", latencies{}, "17 failures"},
		{"no report", head + "unable to connect", latencies{}, "unable to connect"},
		{"another report", "report: p50=fast", latencies{}, "the report of wrk"},
	} {
		got, err := parseWrk(test.output)
		if got != test.want || (err == nil) != (test.mistake == "") || err != nil && !strings.Contains(err.Error(), test.mistake) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}

func TestParseFio(t *testing.T) {
	for text, want := range map[string]Sample{
		`{"jobs": [{"read": {"iops": 50000}, "usr_cpu": 10, "sys_cpu": 15}]}`: {Reads: 50000, CPU: 5},
		`{"jobs": [{"read": {"iops": 0}}]}`:                                   nil,
		`{"jobs": []}`:                                                        nil,
		`fio: error`:                                                          nil,
	} {
		got, err := parseFio([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%s: %v, %s", text, err, diff)
		}
	}
}

func TestParseRequest(t *testing.T) {
	for _, test := range []struct {
		head string
		want request
		bad  bool
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", request{download: -1}, false},
		{"GET /bytes/17 HTTP/1.1\r\nhost: x\r\nCONNECTION: Close\r\n\r\n", request{download: 17, close: true}, false},
		{"POST / HTTP/1.1\r\nContent-Length: 8\r\nConnection: keep-alive\r\n\r\n", request{upload: 8, download: -1}, false},
		{"GET /wait7 HTTP/1.1\r\n\r\n", request{download: -1, waits: true}, false},
		{"GET /bytes/many HTTP/1.1\r\n\r\n", request{}, true},
		{"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", request{}, true},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", request{}, true},
	} {
		got, err := parseRequest([]byte(test.head))
		if (err != nil) != test.bad || err == nil && got != test.want {
			t.Errorf("%q: %+v, %v", test.head, got, err)
		}
	}
}

// TestClients lets each kind of client make exchanges with the server.
func TestClients(t *testing.T) {
	b, err := startBackend(t.Context(), net.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	const size = 3*blockSize + 17
	for _, test := range []struct {
		name  string
		one   client
		bytes int64
	}{
		{"short", &getter{peer{address: b.address()}, "/"}, 0},
		{"download", &getter{peer{address: b.address()}, "/bytes/786449"}, size},
		{"upload", &poster{peer{address: b.address()}, size}, size},
		{"call", &caller{peer{address: b.address()}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer test.one.close()
			requests, bytes := b.requests.Load(), b.bytes.Load()
			for range 3 {
				if err := test.one.exchange(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			// The server counts behind the answer.
			err := await(t.Context(), "the count", func() bool { return b.requests.Load() == requests+3 })
			if moved := b.bytes.Load() - bytes; err != nil || moved != 3*test.bytes {
				t.Errorf("%v, %d bytes, want %d", err, moved, 3*test.bytes)
			}
		})
	}
}

// TestStopClients stops clients in the middle of an exchange.
func TestStopClients(t *testing.T) {
	b, err := startBackend(t.Context(), net.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	load := startClients(t.Context(), 3, func(int) client { return &getter{peer{address: b.address()}, "/bytes/1000000000000"} })
	if err := await(t.Context(), "the body", func() bool { return b.bytes.Load() > 3*blockSize }); err != nil {
		t.Error(err)
	}
	if l, err := load.stop(); err != nil || l.p50 != 0 {
		t.Errorf("%v, %v", l, err)
	}

	if err := b.close(); err != nil { // nobody is there any more
		t.Error(err)
	}
	load = startClients(t.Context(), 3, func(int) client { return &caller{peer{address: b.address()}} })
	load.running.Wait()
	if _, err := load.stop(); err == nil {
		t.Error("clients without a server do not complain")
	}
}

// TestContendersInGo starts those that need nothing installed and sends them a request.
func TestContendersInGo(t *testing.T) {
	b, err := newBench(t.Context(), settings{dir: t.TempDir(), short: true, rounds: 1, duration: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contenders() {
		if c.missing() != nil || !strings.HasPrefix(c.Name, "go-") && !strings.HasPrefix(c.Name, "fwx-") {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			scripts := []string{look}
			if strings.HasSuffix(c.Name, "-lua") {
				scripts = []string{look, rewrite, logging, waiting}
			}
			for _, script := range scripts {
				p, err := b.start(t.Context(), c, Setup{Connections: 1, Script: script, Chain: 3}, b.backend)
				if err != nil {
					t.Fatal(err)
				}
				if u, err := p.usage(); err != nil || u.total <= 0 {
					t.Errorf("CPU %v, %v", u, err)
				}
				p.stop()
				if _, err := p.usage(); err == nil {
					t.Error("it goes on")
				}
			}
		})
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]int64{
		"Active connections: 2 \nserver accepts handled requests\n 5 5 1017 \nReading: 0 Writing: 1 Waiting: 1 \n": 1017,
		"server accepts handled requests\n 5 5": 0,
		"<html>Not Found</html>":                0,
	} {
		got, err := parseStatus([]byte(text))
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
