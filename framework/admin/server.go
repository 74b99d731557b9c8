package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/internal/rebind"
)

const (
	// headLimit bounds the head of a request, readLimit all of it, writeLimit its answer.
	headLimit  = 5 * time.Second
	readLimit  = 10 * time.Second
	writeLimit = 30 * time.Second
	// idleLimit is how long a connection is kept between two requests.
	idleLimit = 30 * time.Second
	// closeLimit is how long requests that are under way have at the end.
	closeLimit = time.Second
	// answerLimit is how long a worker may take to tell what is asked.
	answerLimit = 2 * time.Second
	// maxHeader bounds the header of a request, in bytes.
	maxHeader = 16 << 10
	// socketMode lets nobody but the gateway's own user connect.
	socketMode = 0o600
)

// Evaluator runs a piece of Lua that looks at the gateway, and returns what it
// has printed and its result as text.
type Evaluator func(ctx context.Context, source string) (string, error)

// Server is an admin listener.
type Server struct {
	fw       *framework.Firewall
	address  completion.Address // as the configuration has it
	evaluate Evaluator          // nil: nothing is evaluated
	busy     chan struct{}      // something is being evaluated
	local    bool               // it cannot be reached by other machines
	named    bool               // requests may name it as they like to read
	listener net.Listener
	server   http.Server
	served   chan struct{}
}

// Start opens the admin listener that the firewall's configuration asks for. It can
// be started before the firewall, which is not ready then. evaluate is what
// the console runs Lua by; nil, or a configuration without the console, refuses that.
func Start(ctx context.Context, fw *framework.Firewall, evaluate Evaluator) (*Server, error) {
	config := fw.Admin()
	address, err := completion.ParseAddress(config.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{fw: fw, address: address, busy: make(chan struct{}, 1), served: make(chan struct{})}
	s.local = address.IsUnix() || address.Addr().IsLoopback()
	s.named = address.IsUnix() || config.AllowRemote
	if config.Console {
		s.evaluate = evaluate
	}
	err = rebind.Try(ctx, fw.Logger(), address.String(), func() (err error) {
		s.listener, err = listen(ctx, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s.server = http.Server{
		Handler: s.handler(), ConnContext: remember, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit,
		ErrorLog: slog.NewLogLogger(fw.Logger().Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(&places{Listener: s.listener}) // Close ends it
	}()
	fw.Logger().Info("admin", "address", s.Address())
	return s, nil
}

// listen opens the address. A unix socket that nobody listens on any more is in
// nobody's way.
func listen(ctx context.Context, address completion.Address) (net.Listener, error) {
	var config net.ListenConfig
	if !address.IsUnix() {
		return config.Listen(ctx, "tcp", address.AddrPort.String())
	}
	if info, err := os.Lstat(address.Path); err == nil && info.Mode()&os.ModeSocket != 0 {
		var dialer net.Dialer
		if c, err := dialer.DialContext(ctx, "unix", address.Path); err == nil {
			_ = c.Close() // it was only a question
			return nil, fmt.Errorf("%s: somebody listens there already", address)
		}
		_ = os.Remove(address.Path) // otherwise listen says what is wrong
	}
	l, err := config.Listen(ctx, "unix", address.Path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(address.Path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Address returns the address in the form of the configuration, with the port if
// that said 0.
func (s *Server) Address() string {
	if s.address.IsUnix() {
		return "unix:" + s.listener.Addr().String()
	}
	return s.listener.Addr().String()
}

// Close ends the listener. Requests that are under way have a moment to end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	<-s.served
	return err
}
