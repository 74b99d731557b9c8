package framework

import (
	"crypto/tls"
	"fmt"

	"fwx/framework/completion"
	"fwx/framework/metrics"
	"fwx/framework/strict"
	"fwx/framework/tlsstream"
)

// upstreamTLS is what an upstream needs to speak TLS with its servers.
type upstreamTLS struct {
	settings   *UpstreamTLS
	client     *tls.Config
	files      []File
	handshakes [handshakeFailed + 1]*metrics.Counter
}

// sessionsKept is how many sessions with servers are kept to be resumed.
const sessionsKept = 256

// upstreamTLSOf returns the TLS of the upstream of a name; nil if there is none.
func (g *generation) upstreamTLSOf(name string) *upstreamTLS {
	if u := g.upstreamOf(name); u != nil {
		return u.tls
	}
	return nil
}

func (g *generation) readUpstreamTLS(check strict.Checker, uc *UpstreamConfig, before *upstreamTLS) *upstreamTLS {
	settings := uc.TLS
	minVersion, ok := tlsVersions[settings.MinVersion]
	if !ok {
		return nil // it has been reported
	}
	u := &upstreamTLS{settings: settings}
	u.client = &tls.Config{
		MinVersion: minVersion, NextProtos: settings.ALPN, DynamicRecordSizingDisabled: true,
		ServerName: settings.ServerName, InsecureSkipVerify: settings.InsecureSkipVerify, //nolint:gosec // the operator says so
		ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
	}
	fault, err := u.read(&g.config)
	if err == nil {
		return u
	}
	if before != nil && strict.Equal(before.settings, settings) {
		g.keep(check, err)
		return &upstreamTLS{settings: settings, client: before.client, files: u.files}
	}
	check.Errorf(fault, "%v", err)
	return nil
}

// read reads the files; fault is the key of the one that cannot be used.
func (u *upstreamTLS) read(config *Config) (fault string, err error) {
	if u.settings.CA != "" {
		if u.client.RootCAs, err = readCA(config.path(u.settings.CA), &u.files); err != nil {
			return "ca", err
		}
	}
	if u.settings.Cert == "" {
		return "", nil
	}
	key := ""
	if u.settings.Key != "" {
		key = config.path(u.settings.Key)
	}
	c, fault, err := readCertificate(config.path(u.settings.Cert), key)
	u.files = append(u.files, c.files...)
	u.client.Certificates = []tls.Certificate{c.Certificate}
	return fault, err
}

// filesRead returns the files that were read.
func (u *upstreamTLS) filesRead() []File {
	if u == nil {
		return nil
	}
	return u.files
}

func (u *upstreamTLS) makeMetrics(r *metrics.Registry, upstream string) (err error) {
	for result := range u.handshakes {
		u.handshakes[result], err = r.Counter(metricUpstreamHandshakes, "TLS handshakes with servers.",
			metrics.Label{Name: "upstream", Value: upstream}, metrics.Label{Name: "result", Value: handshakeResult(result).String()})
		if err != nil {
			return err
		}
	}
	return nil
}

// config returns the configuration of a handshake with the server of a host.
func (u *upstreamTLS) config(host string) *tls.Config {
	if u.client.ServerName != "" || u.client.InsecureSkipVerify {
		return u.client
	}
	c := u.client.Clone()
	c.ServerName = host
	return c
}

// secure begins the handshake with a server that was connected; done is told of its end.
func (u *upstreamTLS) secure(socket *completion.Socket, host string, done func(error)) (*tlsstream.Stream, error) {
	w := socket.Worker()
	var s *tlsstream.Stream
	s, err := tlsstream.Client(socket, u.config(host), func(err error) {
		result := handshakeFailed
		if err == nil {
			result = resultOf(s.ConnectionState())
		} else {
			err = fmt.Errorf("TLS handshake: %w", explainTLSError(err))
		}
		u.handshakes[result].Add(w.Index(), 1)
		done(err)
	})
	return s, err
}

// check is secure for the checks of a server.
func (u *upstreamTLS) check(socket *completion.Socket, server string, done func(error)) (*tlsstream.Stream, error) {
	return u.secure(socket, hostOf(server), done)
}

// resultOf tells a resumed session from a new one.
func resultOf(state tls.ConnectionState) handshakeResult {
	if state.DidResume {
		return handshakeResumed
	}
	return handshakeFull
}

// hostOf returns the host of a server, as its certificate has it; empty if it has none.
func hostOf(server string) string {
	host, _, err := splitServer(server)
	if err != nil {
		return ""
	}
	return host
}
