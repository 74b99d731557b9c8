package scripting

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// checkService is the service that the example asks.
type checkService struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newCheckService(tb testing.TB) *checkService {
	tb.Helper()
	c := &checkService{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		if client := r.URL.Query().Get("client"); client != "127.0.0.1" {
			tb.Errorf("asked about %q", client)
		}
		(*c.answer.Load())(w, r)
	}))
	tb.Cleanup(c.Close)
	return c
}

func TestExampleExternalCheck(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	stalls := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, row := range []struct {
		name    string
		answer  http.HandlerFunc
		policy  string
		passes  bool
		asked   int32 // by two connections
		timeout float64
		log     string
	}{
		{"allowed", status(http.StatusOK, ""), "deny", true, 1, 5, ""},
		{"allowed without content", status(http.StatusNoContent, ""), "deny", true, 1, 5, ""},
		{"refused", status(http.StatusForbidden, "on a list"), "allow", false, 1, 5, `reason="on a list"`},
		{"fails closed", status(http.StatusInternalServerError, ""), "deny", false, 2, 5, "the service answered with status 500"},
		{"fails open", status(http.StatusInternalServerError, ""), "allow", true, 2, 5, "the service answered with status 500"},
		{"stalls", stalls, "deny", false, 2, 0.05, "not done within 50ms"},
	} {
		onBackends(t, func(t *testing.T, backend string) {
			t.Helper()
			t.Run(row.name, func(t *testing.T) {
				service := newCheckService(t)
				service.answer.Store(&row.answer)
				g := example(t, backend, "external_check.lua", Allow{Connect: []string{service.Listener.Addr().String()}}, map[string]any{
					"url": service.URL + "/check?client=", "timeout": row.timeout, "on_failure": row.policy,
				})
				for range 2 {
					if got, err := g.exchange("abc"); (got == "abc") != row.passes {
						t.Errorf("got %q, %v\n%s", got, err, g.log)
					}
				}
				g.logged(row.log)
				if n := service.asked.Load(); n > row.asked || n == 0 {
					t.Errorf("the service was asked %d times", n)
				}
			})
		})
	}
}

func TestExampleExternalCheckAway(t *testing.T) {
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	g := example(t, anyBackend, "external_check.lua", Allow{Connect: []string{address}}, map[string]any{
		"url": "http://" + address + "/?client=",
	})
	if got, _ := g.exchange("abc"); got != "" {
		t.Errorf("got %q", got)
	}
	g.logged("the external check has failed")
}
