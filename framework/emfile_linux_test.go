package framework

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exhaust opens files until the process may have no more. The returned function
// gives them back.
func exhaust(t *testing.T) (giveBack func()) {
	t.Helper()
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	low := before
	low.Cur = min(low.Cur, 512)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			if !errors.Is(err, syscall.EMFILE) {
				t.Error(err)
			}
			break
		}
		files = append(files, f)
	}
	return func() {
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
		for _, f := range files {
			f.Close()
		}
	}
}

// TestHTTPWaitsForDescriptor sends a request while the process has no descriptor left for the
// connection to the server. It is answered when there is one again, and with 502 if none comes.
func TestHTTPWaitsForDescriptor(t *testing.T) {
	for _, test := range []struct {
		name   string
		comes  bool
		status string
	}{{"comes", true, "HTTP/1.1 200 OK\r\n"}, {"does not come", false, "HTTP/1.1 502 Bad Gateway\r\n"}} {
		t.Run(test.name, func(t *testing.T) {
			g := startHTTP(t, httpServerOf(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }), nil)
			c := must(net.Dial("tcp", g.ListenAddress("in").String()))(t) //nolint:noctx // it is there
			defer c.Close()
			check(t, c.SetDeadline(time.Now().Add(patience)))
			responses := bufio.NewReader(c)
			ask := func() { must(io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))(t) }
			ask() // so that the client has been accepted
			must(http.ReadResponse(responses, nil))(t).Body.Close()
			back := sync.OnceFunc(exhaust(t))
			defer back()
			ask()
			if test.comes {
				eventually(t, "the request has come", func() bool { return g.counts(metricActive) })
				back()
			}
			if line, err := responses.ReadString('\n'); line != test.status {
				t.Errorf("%q, %v; want %q", line, err, test.status)
			}
		})
	}
}

// TestNoDescriptors sees that accepting goes on when the process has run out of
// descriptors and gets some again: that of clients, and of expected connections.
func TestNoDescriptors(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			f, made := expecting(&Expectation{To: addrPort(t, serve(t, echo))})
			g := startGateway(t, gatewayConfig(backend, serve(t, echo), f))
			parent := g.primary(t)
			must(io.ReadFull(parent, make([]byte, 1)))(t)
			to := []netip.AddrPort{g.ListenAddress("in").AddrPort, (<-made).Address()}
			var clients []*os.File
			for range to {
				fd := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))(t)
				client := os.NewFile(uintptr(fd), "client")
				t.Cleanup(func() { client.Close() })
				clients = append(clients, client)
			}
			giveBack := exhaust(t)
			for i, a := range to {
				check(t, unix.Connect(int(clients[i].Fd()), &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}))
			}
			eventually(t, "accepting fails", func() bool {
				return g.log.has("msg=accept") && g.log.has(`error="accept: too many open files"`)
			})
			giveBack()
			for _, client := range clients {
				c := must(net.FileConn(client))(t)
				check(t, c.SetDeadline(time.Now().Add(patience)))
				if got, err := exchange(c, []byte("x")); err != nil || string(got) != "x" {
					t.Errorf("got %q, %v", got, err)
				}
				c.Close()
			}
		})
	}
}
