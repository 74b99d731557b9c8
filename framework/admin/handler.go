package admin

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"fwx/framework"
	"fwx/framework/balance"
	"fwx/framework/completion"
)

const (
	// defaultList and maxList are how many connections are listed at a time.
	defaultList = 100
	maxList     = 1000
	// maxSource is the largest body of a request, a piece of Lua that is evaluated, in bytes.
	maxSource = 64 << 10
)

//go:embed dashboard.html
var dashboard []byte

// The answers of the API, as JSON.
type (
	// ConnectionList is the answer to GET /api/connections.
	ConnectionList struct {
		Open        int                        `json:"open"` // in all
		Connections []framework.ConnectionInfo `json:"connections"`
		More        bool                       `json:"more"` // behind the last one
	}
	// Gateway is the answer to GET /api/gateway.
	Gateway struct {
		Backend string `json:"backend"`
		Reason  string `json:"reason"`
		Workers int    `json:"workers"`
		Ready   bool   `json:"ready"`
		Open    int    `json:"open"`
		Stuck   []int  `json:"stuck"` // workers that do not answer
	}
	// Evaluation is the answer to POST /api/eval.
	Evaluation struct {
		Output string `json:"output"`
		Error  string `json:"error,omitempty"`
	}
	// Failure is the answer to what could not be done.
	Failure struct {
		Error string `json:"error"`
	}
)

// handler routes the requests.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(s.fw))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(dashboard) }) // the client has gone
	mux.HandleFunc("GET /api/gateway", s.gateway)
	mux.HandleFunc("GET /api/filters", s.filters)
	mux.HandleFunc("GET /api/alerts", s.alerts)
	mux.HandleFunc("GET /api/connections", s.connections)
	mux.HandleFunc("GET /api/connections/{id}", s.connection)
	mux.HandleFunc("POST /api/connections/{id}/kill", s.kill)
	mux.HandleFunc("GET /api/upstreams", s.upstreams)
	mux.HandleFunc("POST /api/upstreams/{name}/servers/{server}/drain", s.drain(true))
	mux.HandleFunc("POST /api/upstreams/{name}/servers/{server}/ready", s.drain(false))
	mux.HandleFunc("POST /api/eval", s.eval)
	return s.guard(http.NewCrossOriginProtection().Handler(mux))
}

// guard refuses what an operator does not ask. It reads all of a request before it is
// carried out, so that a client which sends half of one has nothing of the gateway.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSource))
		switch {
		case !s.address.IsUnix() && (!reads || !s.named) && !plainHost(r.Host):
			refuse(w, http.StatusForbidden, fmt.Errorf("the host %q is neither an address nor localhost", r.Host))
		case !s.local && !reads:
			refuse(w, http.StatusForbidden, errors.New("what other machines can reach changes nothing; use a loopback address or a unix socket"))
		case err != nil:
			refuse(w, http.StatusBadRequest, err)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			carryOut(next, w, r)
		}
	})
}

// plainHost reports whether a request names its host by an address or as localhost.
// A name could be one that a web page has made to lead here.
func plainHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

// healthz tells whether every worker answers, and has buffers to receive into.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	if stuck := s.fw.Stuck(ctx); len(stuck) > 0 {
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("workers %v do not answer", stuck))
		return
	}
	if short := s.fw.Short(ctx); len(short) > 0 {
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("workers %v are short of receive buffers", short))
		return
	}
	answer(w, "ok")
}

// readyz tells whether connections are accepted.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.fw.Ready() {
		refuse(w, http.StatusServiceUnavailable, errors.New("not ready"))
		return
	}
	answer(w, "ready")
}

func (s *Server) gateway(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	g := Gateway{Ready: s.fw.Ready(), Open: s.fw.Connections(), Stuck: []int{}}
	if port := s.fw.Port(); port != nil {
		info := port.Info()
		g.Backend, g.Reason, g.Workers = info.Backend, info.Reason, info.Workers
		g.Stuck = append(g.Stuck, s.fw.Stuck(ctx)...)
	}
	answer(w, g)
}

func (s *Server) filters(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	answer(w, s.fw.FilterInfos(ctx))
}

func (s *Server) alerts(w http.ResponseWriter, _ *http.Request) { answer(w, s.fw.Alerts()) }

func (s *Server) connections(w http.ResponseWriter, r *http.Request) {
	after, err := number(r.FormValue("after"), 0)
	limit, err2 := number(r.FormValue("limit"), defaultList)
	if err := errors.Join(err, err2); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	list := ConnectionList{Open: s.fw.Connections(), Connections: []framework.ConnectionInfo{}}
	found, more := s.fw.Inspect(ctx, after, int(min(limit, maxList)))
	list.Connections, list.More = append(list.Connections, found...), more
	answer(w, list)
}

// number returns a number of a query; missing if it has none.
func number(text string, missing uint64) (uint64, error) {
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}

func (s *Server) connection(w http.ResponseWriter, r *http.Request) {
	s.onConnection(w, r, func(ctx context.Context, id uint64) (any, error) { return s.fw.InspectConnection(ctx, id) })
}

func (s *Server) kill(w http.ResponseWriter, r *http.Request) {
	s.onConnection(w, r, func(ctx context.Context, id uint64) (any, error) {
		return "killed", s.fw.Kill(ctx, id, "ended by the operator")
	})
}

// onConnection does something with the connection that a request names.
func (s *Server) onConnection(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, id uint64) (any, error)) {
	id, err := number(r.PathValue("id"), 0)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	result, err := do(ctx, id)
	switch {
	case errors.Is(err, framework.ErrNoConnection):
		refuse(w, http.StatusNotFound, fmt.Errorf("%d: %w", id, err))
	case errors.Is(err, completion.ErrPortClosed), errors.Is(err, context.DeadlineExceeded):
		refuse(w, http.StatusServiceUnavailable, err)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		answer(w, result)
	}
}

func (s *Server) upstreams(w http.ResponseWriter, _ *http.Request) { answer(w, s.fw.UpstreamInfos()) }

// drain takes a server of an upstream out, or puts it back.
func (s *Server) drain(drained bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		servers, err := s.fw.DrainServer(r.PathValue("name"), r.PathValue("server"), drained)
		switch {
		case errors.Is(err, framework.ErrUnknownUpstream), errors.Is(err, balance.ErrUnknownServer):
			refuse(w, http.StatusNotFound, err)
		case err != nil: // the gateway does not run
			refuse(w, http.StatusServiceUnavailable, err)
		default:
			answer(w, servers)
		}
	}
}

// eval evaluates a piece of Lua, the body of the request.
func (s *Server) eval(w http.ResponseWriter, r *http.Request) {
	if s.evaluate == nil {
		refuse(w, http.StatusForbidden, errors.New("nothing is evaluated here: [admin] lacks console = true"))
		return
	}
	source, err := io.ReadAll(r.Body) // all of it has come
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	select {
	case s.busy <- struct{}{}:
	default:
		refuse(w, http.StatusServiceUnavailable, errors.New("something else is being evaluated"))
		return
	}
	defer func() { <-s.busy }()
	output, err := s.evaluate(r.Context(), string(source))
	e := Evaluation{Output: output}
	if err != nil {
		e.Error = err.Error()
	}
	answer(w, e)
}

// answer answers with a value as JSON, or with text.
func answer(w http.ResponseWriter, value any) {
	if text, ok := value.(string); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text+"\n") //nolint:gosec // it is text/plain; on an error the client has gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client has gone
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Failure{err.Error()}) // the client has gone
}
