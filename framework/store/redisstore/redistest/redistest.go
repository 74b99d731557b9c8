// Package redistest runs a redis-server for tests.
package redistest

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// Server is a redis-server of a test, on a unix socket in a folder of its own. It
// keeps nothing on disk.
type Server struct {
	tb      testing.TB
	program string
	dir     string
	process *exec.Cmd
	output  bytes.Buffer
}

// patience bounds the start of a server.
const patience = 30 * time.Second

// Start starts a server. The end of the test stops it. Without the program
// redis-server the test is skipped, or fails, as fwxtest.Require says.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, program: fwxtest.Require(tb, "redis-server"), dir: tb.TempDir()}
	s.Restart()
	tb.Cleanup(s.Stop)
	return s
}

// Address returns the address of the server as settings spell it.
func (s *Server) Address() string { return "unix:" + s.socket() }

func (s *Server) socket() string { return filepath.Join(s.dir, "redis") }

// Restart starts the server again after Stop, without what it held before.
func (s *Server) Restart() {
	s.tb.Helper()
	s.process = exec.Command(s.program, "--port", "0", "--unixsocket", s.socket(), "--save", "", //nolint:gosec,noctx // Stop ends it.
		"--appendonly", "no", "--dir", s.dir, "--daemonize", "no")
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		s.tb.Fatal(err)
	}
	fwxtest.Eventually(s.tb, patience, "redis-server answers", func() bool {
		c, err := net.Dial("unix", s.socket()) //nolint:noctx // It is on this machine.
		if err != nil {
			return false
		}
		_ = c.Close() // nothing was said
		return true
	})
}

// Stop kills the server, if it runs: clients see their connections break off.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill() // it may have ended by itself
	_ = s.process.Wait()         // it was killed
	s.process = nil
}
