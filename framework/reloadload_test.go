package framework

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// manyReloads is the environment variable that says how often TestReloadUnderLoad reloads.
const manyReloads = "FWX_RELOADS"

// TestReloadUnderLoad reloads while clients keep their connections and ask for one thing
// after the other, through protocol "tcp" and "http", with TLS on both sides and without.
// The upstream stays as it is. What changes is another listener's filter, so that connections
// are never told to end, or the listener's own, so that those of HTTP are with each
// reload. No request may fail, and nothing may be left of what was replaced.
//
// It reloads 50 times in each of the cases, or as often as the environment variable
// FWX_RELOADS says: 1000 take about ten seconds for each case.
func TestReloadUnderLoad(t *testing.T) {
	reloads := 50
	if n, err := strconv.Atoi(os.Getenv(manyReloads)); err == nil {
		reloads = n
	}
	for _, backend := range backends {
		for _, protocol := range []string{protocolTCP, protocolHTTP} {
			for _, secure := range []bool{false, true} {
				for _, own := range []bool{false, true} {
					if own && protocol == protocolTCP {
						continue // connections that nothing tells to end are too old at some time
					}
					t.Run(fmt.Sprintf("%s/%s/tls=%v/own=%v", backend, protocol, secure, own), func(t *testing.T) {
						reloadUnderLoad(t, reloads, newLoad(t, backend, protocol, secure, own))
					})
				}
			}
		}
	}
}

// load is clients of a gateway that is reloaded.
type load struct {
	*gateway

	config  func() Config // another one each time
	tls     *tls.Config   // of the clients; nil: they do not speak it
	own     bool          // each reload replaces the listener
	dials   atomic.Int64
	clients [16]atomic.Int64 // requests
	done    chan struct{}
}

func newLoad(t *testing.T, backend, protocol string, secure, own bool) *load {
	t.Helper()
	l := &load{own: own, done: make(chan struct{})}
	ca := fwxtest.NewAuthority(t)
	certificate := ca.Issue("127.0.0.1")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body) // the client tells if it failed
	}))
	t.Cleanup(server.Close)
	if secure {
		l.tls = &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1"}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Certificate}}
		server.StartTLS()
	} else {
		server.Start()
	}
	l.config = func() Config {
		f := &testFilter{onData: func(*Connection, Direction, []byte) Verdict { return Pass }}
		config := gatewayConfig(backend, server.Listener.Addr().String(), f)
		if !own {
			config.Listeners = append(config.Listeners, ListenerConfig{Name: "other", Listen: "127.0.0.1:0", Upstream: "out", Filters: []string{"a"}})
			config.Listeners[0].Filters = nil
		}
		in := &config.Listeners[0]
		in.Protocol = protocol
		if secure {
			in.TLS = &ListenerTLS{Certificates: []CertificateConfig{{Cert: certificate.CertFile, Key: certificate.KeyFile}}}
			config.Upstreams[0].TLS = &UpstreamTLS{CA: ca.File}
		}
		return config
	}
	l.gateway = startGateway(t, l.config())
	return l
}

// run asks for one thing after the other until done, on one connection as long as that is
// kept. Nothing is asked for again.
func (l *load) run(ctx context.Context, requests *atomic.Int64) error {
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.ListenAddress("in").String())
		if err != nil {
			return err
		}
		if l.tls != nil {
			c = tls.Client(c, l.tls)
		}
		l.dials.Add(1)
		over, err := l.askAll(c, requests)
		c.Close()
		if over || err != nil {
			return err
		}
	}
}

// askAll asks on a connection until it is told that it ends, or the load is over.
func (l *load) askAll(c net.Conn, requests *atomic.Int64) (over bool, err error) {
	r := bufio.NewReader(c)
	for {
		select {
		case <-l.done:
			return true, nil
		default:
		}
		text := fmt.Sprint("request ", requests.Load())
		_ = c.SetDeadline(time.Now().Add(patience)) // it is open
		if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text), text); err != nil {
			return false, err
		}
		p, err := http.ReadResponse(r, nil)
		if err != nil {
			return false, err
		}
		got, err := io.ReadAll(p.Body)
		if err != nil || p.StatusCode != http.StatusOK || string(got) != text {
			return false, fmt.Errorf("%s: %q, not %q, %w", p.Status, got, text, err)
		}
		requests.Add(1)
		if p.Close {
			return false, nil
		}
	}
}

// asked waits until every client has had another answer.
func (l *load) asked(t *testing.T) {
	t.Helper()
	var before [len(l.clients)]int64
	for i := range l.clients {
		before[i] = l.clients[i].Load()
	}
	eventually(t, "every client has an answer", func() bool {
		for i := range l.clients {
			if l.clients[i].Load() == before[i] && !t.Failed() {
				return false
			}
		}
		return true
	})
}

// footprint is what the process holds.
type footprint struct {
	descriptors int
	heap        uint64
	goroutines  int
}

func footprintNow() (f footprint) {
	runtime.GC()
	runtime.GC() // what cleanups have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap, f.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil { // it is there on Linux only
		f.descriptors = len(entries)
	}
	return f
}

// within reports whether there is no more than before, but for what some clients may cause.
// Of each there is a connection and the server's end of another, which may be told to end
// and begun again just now; a worker may need a connection more to the server.
func (f footprint) within(before footprint, clients int) bool {
	spare := 4 * clients
	return f.descriptors <= before.descriptors+spare && f.goroutines <= before.goroutines+spare && f.heap <= before.heap+4<<20
}

func reloadUnderLoad(t *testing.T, reloads int, l *load) {
	t.Helper()
	var clients sync.WaitGroup
	for i := range l.clients {
		clients.Go(func() {
			if err := l.run(t.Context(), &l.clients[i]); err != nil {
				t.Errorf("client %d, after %d requests: %v", i, l.clients[i].Load(), err)
			}
		})
	}
	stop := sync.OnceFunc(func() {
		close(l.done)
		clients.Wait()
	})
	defer stop()
	reload := func(n int) {
		for range n {
			check(t, l.Reload(t.Context(), l.config()))
			l.asked(t)
			if t.Failed() {
				break
			}
		}
	}
	warm := min(reloads/4, 30)
	reload(warm)
	before := footprintNow()
	reload(reloads - warm)
	var after footprint
	eventually(t, "what was replaced has been given back", func() bool {
		after = footprintNow()
		return after.within(before, len(l.clients))
	})
	stop()
	t.Logf("%d reloads, %d requests on %d connections; before %+v, after %+v", reloads, l.requests(), l.dials.Load(), before, after)
	if n := l.dials.Load(); !l.own && n != int64(len(l.clients)) {
		t.Errorf("%d clients have had %d connections", len(l.clients), n)
	}
	eventually(t, "the replaced generations end", func() bool {
		l.turn.mu.Lock()
		defer l.turn.give()
		return len(l.generations) == 1
	})
	if l.log.has("reset") || l.log.has("request failed") || strings.Contains(l.log.text.String(), "level=ERROR") {
		t.Error("the log tells of faults")
	}
}

func (l *load) requests() (n int64) {
	for i := range l.clients {
		n += l.clients[i].Load()
	}
	return n
}
