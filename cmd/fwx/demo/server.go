package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute

	// closeGrace is how long Close lets requests that are being answered go on.
	closeGrace = time.Second
)

// Server is a running demo server. Its methods may be called from any goroutine.
type Server struct {
	http     *http.Server
	addr     string
	abort    context.CancelFunc // ends the context of every request
	serving  chan struct{}      // closed when Serve has returned, after serveErr is set
	serveErr error
	conns    sync.WaitGroup // open connections
	close    func() error
}

// Start opens a demo server on a free port of 127.0.0.1. It listens once Start has
// returned, until Close. With a nil logger it logs nothing.
func Start(logger *slog.Logger) (*Server, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	ctx, abort := context.WithCancel(context.Background())
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		abort()
		return nil, fmt.Errorf("demo server: %w", err)
	}
	s := &Server{
		addr:    listener.Addr().String(),
		abort:   abort,
		serving: make(chan struct{}),
	}
	s.close = sync.OnceValue(s.shutDown)
	// Neither a read nor a write timeout: /bytes and /echo take as long as the client
	// and the filters between like.
	s.http = &http.Server{
		Handler:           newHandler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.track,
	}
	go s.serve(listener, logger)
	return s, nil
}

// Addr returns the address the server listens on, host and port.
func (s *Server) Addr() string { return s.addr }

// Close ends the server: it stops listening, lets requests that are being answered go
// on for a second at most, then breaks what is left off. When it returns no goroutine of
// the server is left. Every call returns the same error; a request broken off is none.
func (s *Server) Close() error { return s.close() }

// serve accepts connections until the server is closed.
func (s *Server) serve(listener net.Listener, logger *slog.Logger) {
	defer close(s.serving)
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.serveErr = fmt.Errorf("demo server: %w", err)
		logger.Error("demo server ended", "address", s.addr, "error", err)
	}
}

// track counts the open connections. The server calls it before it starts a
// connection's goroutine, and as the last thing that this goroutine does.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed:
		s.conns.Done()
	case http.StateActive, http.StateIdle, http.StateHijacked: // Nothing here hijacks.
	}
}

// shutDown does the work of Close.
func (s *Server) shutDown() error {
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err := s.http.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	s.abort()
	<-s.serving
	// Also after a shutdown in time: a connection accepted at the last moment can have
	// escaped it.
	err = errors.Join(s.serveErr, err, s.http.Close())
	s.conns.Wait()
	return err
}
