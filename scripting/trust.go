package scripting

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"

	"fwx/framework/completion"
)

// tlsOptions are what a script says about a connection with TLS.
type tlsOptions struct {
	ca, serverName   string
	certificate, key string
	insecure         bool
}

var tlsOptionNames = []string{"ca", "server_name", "certificate", "key", "insecure"}

func (o options) tls() tlsOptions {
	t := tlsOptions{
		ca: o.text("ca"), serverName: o.text("server_name"),
		certificate: o.text("certificate"), key: o.text("key"), insecure: o.flag("insecure"),
	}
	if (t.certificate == "") != (t.key == "") {
		o.fail("certificate", "and key go together")
	}
	return t
}

// trust is what connections with the same options have in common, the tickets of
// servers included. It is made anew now and then, as its files may have changed.
type trust map[tlsOptions]*trusted

type trusted struct {
	config  *tls.Config
	expires time.Duration // on the worker's clock
}

const (
	trustLife   = time.Minute
	maxTrusted  = 64
	maxTickets  = 64
	maxPEMBytes = 1 << 20
)

// configFor returns the configuration for a connection to a host, on a fiber.
func (s *state) configFor(o tlsOptions, host string, protocols ...string) (*tls.Config, error) {
	base := o
	base.serverName = ""
	t := s.trust[base]
	if t == nil || s.worker.Now() >= t.expires {
		config, err := s.loadTrust(base)
		if err != nil {
			return nil, err
		}
		if len(s.trust) >= maxTrusted {
			clear(s.trust)
		}
		t = &trusted{config: config, expires: s.worker.Now() + trustLife}
		s.trust[base] = t
	}
	config := t.config.Clone()
	config.ServerName, config.NextProtos = host, protocols
	if o.serverName != "" {
		config.ServerName = o.serverName
	}
	return config, nil
}

// loadTrust reads the files that the options name. The system's certificates are
// read there too, so that the worker need not at the first handshake.
func (s *state) loadTrust(o tlsOptions) (*tls.Config, error) {
	if o.insecure && !s.filter.reach.insecure {
		return nil, s.filter.reach.denied("connect without a check of the certificate", "insecure_tls = true")
	}
	value, err := s.running.block(func() (any, error) {
		config := &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(maxTickets),
			InsecureSkipVerify: o.insecure, //nolint:gosec // The configuration allows it and the script asks for it.
		}
		var err error
		if config.RootCAs, err = s.filter.access.roots(o.ca); err != nil || o.certificate == "" {
			return config, err
		}
		config.Certificates, err = s.filter.access.certificate(o.certificate, o.key)
		return config, err
	})
	config, _ := value.(*tls.Config)
	return config, err
}

// block is state.block with an error where that would raise one.
func (f *fiber) block(do func() (any, error)) (any, error) {
	_, value, err := f.perform(func(o *completion.Overlapped) error { return f.state.worker.RunBlocking(o, do) })
	return value, err
}

// roots returns the authorities in a file, or the system's.
func (a *access) roots(path string) (*x509.CertPool, error) {
	if path == "" {
		return a.systemRoots()
	}
	text, err := a.readPEM(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, &codedError{path + " has no certificate (PEM)", codeTLS}
	}
	return roots, nil
}

func (a *access) certificate(path, keyPath string) ([]tls.Certificate, error) {
	text, err := a.readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := a.readPEM(keyPath)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		return nil, &codedError{fmt.Sprintf("certificate %s, key %s: %v", path, keyPath, err), codeTLS}
	}
	return []tls.Certificate{pair}, nil
}

// readPEM reads a file that the script may read, in a blocking way.
func (a *access) readPEM(path string) ([]byte, error) {
	g, name, err := a.find(reading, path)
	if err != nil {
		return nil, err
	}
	f, err := g.root.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, explain("open", path, err)
	}
	defer f.Close() //nolint:errcheck // It is only read.
	text, err := io.ReadAll(io.LimitReader(f, maxPEMBytes))
	return text, explain("read", path, err)
}
