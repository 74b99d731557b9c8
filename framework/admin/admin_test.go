package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/admin"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

const patience = 30 * time.Second

// holder is a filter that keeps every connection, and can tell why.
type holder struct{}

func (holder) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.AcceptedConnection | framework.ConnectionTerminating, nil
}

func (holder) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return holder{}, nil
}

func (holder) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if ev.Type == framework.AcceptedConnection {
		ev.Connection.SetValue(holder{}, ev)
		return framework.Hold
	}
	return framework.Pass
}

func (holder) Interrupt(c *framework.Connection) {
	_ = c.Value(holder{}).(*framework.Event).Resume(framework.Pass) // it is held
}

func (holder) Waits(*framework.Connection) []framework.WaitInfo {
	return []framework.WaitInfo{{Handler: "handler", Call: "call", At: "script:1", Seconds: 1}}
}

// gateway is a firewall with an admin listener.
type gateway struct {
	t      *testing.T
	fw     *framework.Firewall
	server *admin.Server
	client http.Client
	base   string
}

func newGateway(t *testing.T, config framework.AdminConfig, evaluate admin.Evaluator) *gateway {
	t.Helper()
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	fw, err := framework.New(framework.Config{
		Admin:     config,
		Service:   framework.ServiceConfig{Workers: 2, Drain: time.Second},
		Upstreams: []framework.UpstreamConfig{{Name: "site", Servers: []string{"127.0.0.1:1"}}},
		Filters:   []framework.FilterConfig{{Name: "hold", Kind: "holder", Filter: holder{}}},
		Listeners: []framework.ListenerConfig{{Name: "web", Listen: "127.0.0.1:0", Upstream: "site", Filters: []string{"hold"}}},
		Logger:    slog.New(slog.DiscardHandler),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, fw: fw}
	if g.server, err = admin.Start(t.Context(), fw, evaluate); err != nil {
		t.Fatal(err)
	}
	g.base = "http://" + g.server.Address()
	transport := &http.Transport{DisableKeepAlives: true}
	if path, ok := strings.CutPrefix(g.server.Address(), "unix:"); ok {
		g.base = "http://fwx"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	g.client = http.Client{Transport: transport, Timeout: patience}
	t.Cleanup(func() {
		g.stop()
		if err := g.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	if err := g.fw.Start(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := g.fw.Shutdown(ctx); err != nil {
		g.t.Error(err)
	}
}

// dial opens a connection to the gateway, which keeps it.
func (g *gateway) dial() net.Conn {
	g.t.Helper()
	var d net.Dialer
	c, err := d.DialContext(g.t.Context(), "tcp", g.fw.ListenAddress("web").String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience)) // it is open
	return c
}

// request makes a request and returns its status and body.
func (g *gateway) request(method, path, body string, change ...func(*http.Request)) (int, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.base+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	answer, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// get decodes the answer to a request that succeeds.
func get[T any](g *gateway, path string) (value T) {
	g.t.Helper()
	status, text := g.request(http.MethodGet, path, "")
	if err := json.Unmarshal([]byte(text), &value); err != nil || status != http.StatusOK {
		g.t.Fatalf("%s: %d %s", path, status, text)
	}
	return value
}

// held waits until the gateway keeps so many connections.
func (g *gateway) held(n int) {
	g.t.Helper()
	fwxtest.Eventually(g.t, patience, fmt.Sprint(n, " connections are held"), func() bool {
		held := 0
		for _, c := range get[admin.ConnectionList](g, "/api/connections?limit=1000").Connections {
			held += len(c.Holds)
		}
		return held == n
	})
}

func TestReady(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	is := func(path string, want int) {
		t.Helper()
		if status, text := g.request(http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/healthz", "/metrics", "/api/connections", "/api/filters", "/api/alerts", "/api/upstreams", "/api/gateway", "/"} {
		is(path, http.StatusOK)
	}
	is("/readyz", http.StatusServiceUnavailable)
	is("/api/connections/1", http.StatusNotFound)
	g.start()
	is("/readyz", http.StatusOK)
	is("/healthz", http.StatusOK)

	g.dial()
	g.held(1)
	ended := make(chan struct{})
	go func() { // it takes until the connection is reset
		defer close(ended)
		g.stop()
	}()
	fwxtest.Eventually(t, patience, "it is not ready while it drains", func() bool {
		status, _ := g.request(http.MethodGet, "/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	<-ended
	is("/readyz", http.StatusServiceUnavailable)
	is("/api/connections/1", http.StatusNotFound)
	is("/metrics", http.StatusOK)
}

func TestStuckWorker(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	g.start()
	free := make(chan struct{})
	if err := g.fw.Port().Workers()[1].Post(func() { <-free }); err != nil {
		t.Fatal(err)
	}
	status, text := g.request(http.MethodGet, "/healthz", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "workers [1] do not answer") {
		t.Error(status, text)
	}
	if status, text := g.request(http.MethodGet, "/metrics", ""); status != http.StatusOK || !strings.Contains(text, `fwx_held{worker="0"} 0`) {
		t.Error(status, text)
	}
	close(free)
}

func TestConnections(t *testing.T) {
	const n = 5
	g := newGateway(t, framework.AdminConfig{}, nil)
	g.start()
	clients := make([]net.Conn, 0, n)
	for range n {
		clients = append(clients, g.dial())
	}
	g.held(n)

	var seen []uint64
	for after, more := uint64(0), true; more; {
		list := get[admin.ConnectionList](g, fmt.Sprintf("/api/connections?limit=2&after=%d", after))
		for _, c := range list.Connections {
			seen = append(seen, c.ID)
			after = c.ID
		}
		if more = list.More; list.Open != n || len(list.Connections) == 0 {
			t.Fatalf("%+v", list)
		}
	}
	if fmt.Sprint(seen) != "[1 2 3 4 5]" {
		t.Error(seen)
	}

	c := get[framework.ConnectionInfo](g, "/api/connections/3")
	c.Worker = 0
	if c.ID != 3 || !strings.HasPrefix(c.Client, "127.0.0.1:") || c.Listener != "web" || c.Upstream != "site" || c.State != "events" ||
		c.Age <= 0 || c.Verdict != "pass" || len(c.Filters) != 1 || len(c.Holds) != 1 {
		t.Errorf("%+v", c)
	}
	if h := c.Holds[0]; h.Filter != "hold" || h.What != "accepted" || h.Seconds < 0 || len(h.Waits) != 1 || h.Waits[0].At != "script:1" {
		t.Errorf("%+v", h)
	}

	if status, text := g.request(http.MethodPost, "/api/connections/3/kill", ""); status != http.StatusOK || text != "killed\n" {
		t.Error(status, text)
	}
	dead := 0
	for _, client := range clients {
		if client.LocalAddr().String() == c.Client {
			if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the killed connection lives:", err)
			}
			dead++
		}
	}
	if dead != 1 {
		t.Error("no client has the address", c.Client)
	}
	g.held(n - 1)
	for path, want := range map[string]int{"3": http.StatusNotFound, "99": http.StatusNotFound, "x": http.StatusBadRequest} {
		if status, text := g.request(http.MethodPost, "/api/connections/"+path+"/kill", ""); status != want {
			t.Error(path, status, text)
		}
		if status, text := g.request(http.MethodGet, "/api/connections/"+path, ""); status != want {
			t.Error(path, status, text)
		}
	}
	if status, _ := g.request(http.MethodGet, "/api/connections/1/kill", ""); status != http.StatusMethodNotAllowed {
		t.Error("a GET kills", status)
	}
	if status, _ := g.request(http.MethodGet, "/api/connections?after=-1", ""); status != http.StatusBadRequest {
		t.Error(status)
	}
}

func TestFiltersAndGateway(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	g.start()
	filters := get[[]framework.FilterInfo](g, "/api/filters")
	if len(filters) != 1 || filters[0].Name != "hold" || filters[0].Kind != "holder" || filters[0].Class != "nat" || fmt.Sprint(filters[0].Listeners) != "[web]" {
		t.Errorf("%+v", filters)
	}
	if alerts := get[[]framework.Alert](g, "/api/alerts"); alerts == nil || len(alerts) != 0 {
		t.Errorf("%+v", alerts)
	}
	g.fw.RaiseAlert("hold", 1, "it is tired")
	if alerts := get[[]framework.Alert](g, "/api/alerts"); len(alerts) != 1 || alerts[0].Filter != "hold" || alerts[0].Worker != 1 || alerts[0].Text != "it is tired" || alerts[0].Time.IsZero() {
		t.Errorf("%+v", alerts)
	}
	info := get[admin.Gateway](g, "/api/gateway")
	if want := g.fw.Port().Info(); info.Backend != want.Backend || info.Workers != 2 || !info.Ready || len(info.Stuck) != 0 {
		t.Errorf("%+v", info)
	}
}

func TestUpstreams(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	const server = "/api/upstreams/site/servers/127.0.0.1:1"
	if status, text := g.request(http.MethodPost, server+"/drain", ""); status != http.StatusServiceUnavailable {
		t.Error(status, text)
	}
	g.start()
	state := func() string {
		list := get[[]framework.UpstreamInfo](g, "/api/upstreams")
		if len(list) != 1 || list[0].Name != "site" || list[0].Balance != "round_robin" || len(list[0].Servers) != 1 || list[0].Servers[0].Address != "127.0.0.1:1" {
			t.Fatalf("%+v", list)
		}
		return list[0].Servers[0].State
	}
	for _, step := range []struct{ action, state, up string }{{"drain", "drained", "0"}, {"drain", "drained", "0"}, {"ready", "up", "1"}} {
		status, text := g.request(http.MethodPost, server+"/"+step.action, "")
		if status != http.StatusOK || !strings.Contains(text, `"state":"`+step.state+`"`) || state() != step.state {
			t.Error(step, status, text)
		}
		if _, text := g.request(http.MethodGet, "/metrics", ""); !strings.Contains(text, `fwx_upstream_up{server="127.0.0.1:1",upstream="site"} `+step.up+"\n") {
			t.Error(step, text)
		}
	}
	for path, want := range map[string]string{
		"/api/upstreams/site/servers/127.0.0.1:2/drain": `upstream \"site\": server \"127.0.0.1:2\": there is no such server`,
		"/api/upstreams/sit/servers/127.0.0.1:1/drain":  `\"sit\": there is no such upstream; did you mean \"site\"?`,
		"/api/upstreams/site/servers/unix:%2Fa/ready":   `server \"unix:/a\"`,
	} {
		if status, text := g.request(http.MethodPost, path, ""); status != http.StatusNotFound || !strings.Contains(text, want) {
			t.Error(path, status, text)
		}
	}
	if status, _ := g.request(http.MethodGet, server+"/drain", ""); status != http.StatusMethodNotAllowed {
		t.Error("a GET drains", status)
	}
}

// TestMetrics looks for what is there in the text that Prometheus reads.
func TestMetrics(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	g.start()
	h, err := g.fw.Metrics().Histogram("latency_seconds", "How long.", []float64{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.fw.Port().Workers()[0].Call(func() { h.Observe(0, 1.5) }); err != nil {
		t.Fatal(err)
	}
	g.dial()
	g.held(1)
	_, text := g.request(http.MethodGet, "/metrics", "")
	for _, line := range []string{
		`# HELP fwx_connections_total Connections accepted.`, `# TYPE fwx_connections_total counter`,
		`fwx_connections_total{listener="web"} 1`, `fwx_connections_open 1`,
		`fwx_connections_ended_total{listener="web",outcome="deny"} 0`, `fwx_bytes_total{direction="upstream",listener="web"} 0`,
		`fwx_filter_failures_total{filter="hold"} 0`, `fwx_store_entries{kind="memory"} 0`, `fwx_port_panics_total 0`,
		`# TYPE latency_seconds histogram`, `latency_seconds_bucket{le="1"} 0`, `latency_seconds_bucket{le="2"} 1`,
		`latency_seconds_bucket{le="+Inf"} 1`, `latency_seconds_sum 1.5`, `latency_seconds_count 1`, `# TYPE go_goroutines gauge`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestStrangers makes requests as web pages that the operator visits would.
func TestStrangers(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	g.start()
	for host, want := range map[string]int{
		"127.0.0.1:9901": http.StatusOK, "localhost:9901": http.StatusOK, "LOCALHOST": http.StatusOK, "[::1]:9901": http.StatusOK, "[::1]": http.StatusOK,
		"evil.example": http.StatusForbidden, "127.0.0.1.evil.example:9901": http.StatusForbidden, "localhost.evil.example": http.StatusForbidden,
	} {
		if status, text := g.request(http.MethodGet, "/healthz", "", func(r *http.Request) { r.Host = host }); status != want {
			t.Error(host, status, text)
		}
	}
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		status, _ := g.request(http.MethodPost, "/api/connections/1/kill", "", func(r *http.Request) { r.Header.Set(header[0], header[1]) })
		if status != http.StatusForbidden {
			t.Error(header, status)
		}
	}
	status, _ := g.request(http.MethodOptions, "/api/connections", "", func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
	})
	if status != http.StatusMethodNotAllowed {
		t.Error(status)
	}
}

// TestNames sees by which names of its host the listener can be read and changed.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name         string
		config       framework.AdminConfig
		read, change int // by a name
	}{
		{"loopback", framework.AdminConfig{}, http.StatusForbidden, http.StatusForbidden},
		{"loopback, others may look", framework.AdminConfig{AllowRemote: true}, http.StatusOK, http.StatusForbidden},
		{"all addresses", framework.AdminConfig{Listen: "0.0.0.0:0", AllowRemote: true}, http.StatusOK, http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, tt.config, echo)
			g.start()
			_, port, err := net.SplitHostPort(g.server.Address())
			if err != nil {
				t.Fatal(err)
			}
			g.base = "http://127.0.0.1:" + port
			named := func(r *http.Request) { r.Host = "gateway.example:" + port }
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if status, text := g.request(method, "/metrics", "", named); status != tt.read {
					t.Error(method, status, text)
				}
			}
			for _, path := range []string{"/api/connections/1/kill", "/api/upstreams/site/servers/127.0.0.1:1/drain", "/api/eval"} {
				if status, text := g.request(http.MethodPost, path, "1", named); status != tt.change {
					t.Error(path, status, text)
				}
			}
		})
	}
}

// TestRemote sees that what others reach changes nothing.
func TestRemote(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{Listen: "0.0.0.0:0", AllowRemote: true, Console: true}, echo)
	_, port, err := net.SplitHostPort(g.server.Address())
	if err != nil {
		t.Fatal(err)
	}
	g.base = "http://127.0.0.1:" + port
	g.start()
	g.dial()
	g.held(1)
	for _, path := range []string{"/api/connections/1/kill", "/api/upstreams/site/servers/127.0.0.1:1/drain", "/api/eval"} {
		if status, text := g.request(http.MethodPost, path, "1"); status != http.StatusForbidden {
			t.Error(path, status, text)
		}
	}
	g.held(1)
}

func echo(_ context.Context, source string) (string, error) {
	if source == "fail" {
		return "before", errors.New("failed")
	}
	return source, nil
}

func TestEval(t *testing.T) {
	off := newGateway(t, framework.AdminConfig{}, echo)
	if status, text := off.request(http.MethodPost, "/api/eval", "1"); status != http.StatusForbidden || !strings.Contains(text, "console = true") {
		t.Error(status, text)
	}
	g := newGateway(t, framework.AdminConfig{Console: true}, echo)
	for source, want := range map[string]string{"1 + 1": `{"output":"1 + 1"}`, "fail": `{"output":"before","error":"failed"}`} {
		if status, text := g.request(http.MethodPost, "/api/eval", source); status != http.StatusOK || text != want+"\n" {
			t.Error(status, text)
		}
	}
	if status, _ := g.request(http.MethodPost, "/api/eval", strings.Repeat(" ", 1<<17)); status != http.StatusBadRequest {
		t.Error(status)
	}
}

func TestOneEvalAtATime(t *testing.T) {
	begun, free := make(chan struct{}), make(chan struct{})
	g := newGateway(t, framework.AdminConfig{Console: true}, func(context.Context, string) (string, error) {
		close(begun)
		<-free
		return "", nil
	})
	var first sync.WaitGroup
	first.Go(func() { g.request(http.MethodPost, "/api/eval", "1") })
	<-begun
	if status, text := g.request(http.MethodPost, "/api/eval", "2"); status != http.StatusServiceUnavailable {
		t.Error(status, text)
	}
	close(free)
	first.Wait()
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not on this system: unix sockets")
	}
	path := filepath.Join(t.TempDir(), "admin")
	// What a gateway that was killed has left.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()

	g := newGateway(t, framework.AdminConfig{Listen: "unix:" + path}, nil)
	if g.server.Address() != "unix:"+path {
		t.Error(g.server.Address())
	}
	if status, text := g.request(http.MethodGet, "/healthz", ""); status != http.StatusOK {
		t.Error(status, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := admin.Start(t.Context(), g.fw, nil); err == nil || !strings.Contains(err.Error(), "somebody listens there already") {
		t.Error(err)
	}
}

// TestSilentClients sees that clients which send nothing, half a head or half a body keep
// nobody waiting.
func TestSilentClients(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":     "",
		"half a head": "GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
		"half a body": "POST /api/eval HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, framework.AdminConfig{Console: true}, echo)
			for range 200 {
				c, err := net.Dial("tcp", g.server.Address()) //nolint:noctx // it is there
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, sent); err != nil {
					t.Fatal(err)
				}
			}
			g.client.Timeout = time.Second // the silent ones would keep their places for 5 s and more
			if status, text := g.request(http.MethodGet, "/healthz", ""); status != http.StatusOK {
				t.Error(status, text)
			}
		})
	}
}

// TestManyClients makes more requests at a time than there may be connections.
func TestManyClients(t *testing.T) {
	g := newGateway(t, framework.AdminConfig{}, nil)
	kept := &http.Client{Transport: &http.Transport{}, Timeout: patience} // it keeps connections
	defer kept.CloseIdleConnections()
	var requests sync.WaitGroup
	for range 16 {
		requests.Go(func() {
			for range 20 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.base+"/healthz", nil)
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := kept.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
	}
	requests.Wait()
}
