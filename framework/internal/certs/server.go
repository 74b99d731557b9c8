package certs

import (
	"crypto/tls"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"fwx/framework/internal/files"
	"fwx/framework/metrics"
	"fwx/framework/strict"
)

// Loader reads what the settings name.
type Loader struct {
	// Dir is the directory that relative paths start from.
	Dir string
	// Kept is told that what was read before goes on, because it cannot be read again.
	Kept func(what string, err error)
}

// path returns the path of a file that the settings name.
func (l Loader) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.Dir, name)
}

// Server is TLS with the clients of a listener.
type Server struct {
	settings     *ListenerTLS
	certificates []certificate
	files        []files.File // of the clients' issuers
	server       *tls.Config
	tickets      *tickets
	keys         atomic.Uint64 // how many had been made of those that server has
	handshakes   [Passed + 1]*metrics.Counter
}

// Result is how a handshake ended, as it is counted.
type Result uint8

// The results.
const (
	Full Result = iota
	Resumed
	Failed
	Passed // passed through
)

// String returns the label of the metric.
func (r Result) String() string {
	return [...]string{"full", "resumed", "failed", "passed"}[r]
}

// ResultOf tells a resumed session from a new one.
func ResultOf(state tls.ConnectionState) Result {
	if state.DidResume {
		return Resumed
	}
	return Full
}

// Server reads the files of a listener whose settings have been checked. What cannot be read
// is a mistake, unless the Server before has it: then that goes on. The result is nil after
// some mistakes; before may be nil.
func (l Loader) Server(check strict.Checker, settings *ListenerTLS, before *Server) *Server {
	minVersion, ok := tlsVersions[settings.MinVersion]
	if !ok {
		return nil // it has been reported
	}
	s := &Server{settings: settings, tickets: &tickets{}}
	s.server = &tls.Config{MinVersion: minVersion, NextProtos: settings.ALPN, DynamicRecordSizingDisabled: true}
	for i, cc := range settings.Certificates {
		if c, ok := l.listed(check.Sub(fmt.Sprintf("certificates[%d]", i), cc.Table), cc, before); ok {
			s.certificates = append(s.certificates, c)
			s.server.Certificates = append(s.server.Certificates, c.Certificate)
		}
	}
	l.clientCA(check, s, before)
	bindTickets(s.server)
	if before != nil && strict.Equal(before.settings, settings) && slices.Equal(before.files, s.files) {
		s.tickets = before.tickets
	}
	s.Config()
	return s
}

// listed reads one of a listener's certificates. One that is there already goes on
// if its files cannot be used.
func (l Loader) listed(check strict.Checker, cc CertificateConfig, before *Server) (certificate, bool) {
	if cc.Certificate != nil {
		c, err := readyCertificate(*cc.Certificate)
		if err != nil {
			check.Errorf("", "%v", err)
		}
		return c, err == nil
	}
	if cc.Cert == "" {
		check.Text("cert", cc.Cert)
		return certificate{}, false
	}
	certPath := l.path(cc.Cert)
	c, fault, err := readCertificate(certPath, l.path(cc.Key))
	if err == nil {
		return c, true
	}
	if before != nil {
		for _, old := range before.certificates {
			if old.path() == certPath {
				l.Kept(check.String(), err)
				old.files = c.files // so that the same files are not tried again and again
				return old, true
			}
		}
	}
	check.Errorf(fault, "%v", err)
	return certificate{}, false
}

func (l Loader) clientCA(check strict.Checker, s *Server, before *Server) {
	if s.settings.ClientCA == "" {
		return
	}
	pool, err := readCA(l.path(s.settings.ClientCA), &s.files)
	if err != nil && before != nil && before.settings.ClientCA == s.settings.ClientCA {
		l.Kept(check.String(), err)
		pool, err = before.server.ClientCAs, nil
	}
	if err != nil {
		check.Errorf("client_ca", "%v", err)
		return
	}
	s.server.ClientCAs = pool
	switch s.settings.ClientCertificate {
	case clientCertificateOptional:
		s.server.ClientAuth = tls.VerifyClientCertIfGiven
	case clientCertificateRequired:
		s.server.ClientAuth = tls.RequireAndVerifyClientCert
	}
}

// Config returns the configuration of the next handshake.
func (s *Server) Config() *tls.Config {
	if keys, made := s.tickets.current(time.Now()); s.keys.Swap(made) != made {
		s.server.SetSessionTicketKeys(keys)
	}
	return s.server
}

// Files returns the files that were read; a nil Server has none.
func (s *Server) Files() (list []files.File) {
	if s == nil {
		return nil
	}
	for _, c := range s.certificates {
		list = append(list, c.files...)
	}
	return append(list, s.files...)
}

const metricHandshakes = "fwx_tls_handshakes_total"

// MakeMetrics makes the counters of a listener.
func (s *Server) MakeMetrics(r *metrics.Registry, listener metrics.Label) (err error) {
	for result := range s.handshakes {
		label := metrics.Label{Name: "result", Value: Result(result).String()}
		s.handshakes[result], err = r.Counter(metricHandshakes, "TLS handshakes with clients, and connections passed through.", listener, label)
		if err != nil {
			return err
		}
	}
	return nil
}

// Count counts a handshake that has ended on a worker.
func (s *Server) Count(worker int, r Result) { s.handshakes[r].Add(worker, 1) }

// CanTerminate reports whether there is a certificate.
func (s *Server) CanTerminate() bool { return len(s.certificates) > 0 }

// Expiries returns when each certificate expires, and its file; empty: a program has made it.
func (s *Server) Expiries() iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		for _, c := range s.certificates {
			if !yield(c.path(), c.Leaf.NotAfter) {
				return
			}
		}
	}
}

// ExpireTicketKey has the next handshake make a new key for tickets, as it would be in time.
func (s *Server) ExpireTicketKey() { s.tickets.expire() }
