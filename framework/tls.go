package framework

import (
	"fmt"
	"slices"

	"fwx/framework/completion"
	"fwx/framework/internal/certs"
	"fwx/framework/metrics"
	"fwx/framework/strict"
	"fwx/framework/tlsstream"
)

// The settings of TLS are those of package certs.
type (
	// ListenerTLS is TLS with the clients of a listener.
	ListenerTLS = certs.ListenerTLS
	// CertificateConfig names the files of a certificate, or is one.
	CertificateConfig = certs.CertificateConfig
	// UpstreamTLS is TLS with the servers of an upstream.
	UpstreamTLS = certs.UpstreamTLS
)

// The modes of TLS on a listener.
const (
	// TLSTerminate: the gateway is the TLS server; filters and the upstream get what is in it.
	TLSTerminate = certs.Terminate
	// TLSPassThrough: the gateway looks at the ClientHello; all bytes go on as they are.
	TLSPassThrough = certs.PassThrough
)

const metricExpiry = "fwx_tls_certificate_expiry_seconds"

// makeTLS reads what the listeners with TLS need. What cannot be read is a mistake,
// unless the current generation has it: then that goes on.
func (g *generation) makeTLS(current *generation, check strict.Checker) {
	loader := certs.Loader{Dir: g.config.Dir, Kept: func(what string, err error) {
		g.fw.logger.Error("a certificate could not be loaded again; the one before stays", "of", what, "error", err)
	}}
	g.listenerTLS = make([]*certs.Server, len(g.config.Listeners))
	for i := range g.config.Listeners {
		if lc := &g.config.Listeners[i]; lc.TLS != nil {
			part := check.Sub(lc.part(), lc.Table).Sub("tls", lc.TLS.Table)
			g.listenerTLS[i] = loader.Server(part, lc.TLS, current.listenerTLSOf(lc.Name))
		}
	}
	g.upstreamTLS = make([]*certs.Client, len(g.config.Upstreams))
	for i := range g.config.Upstreams {
		if uc := &g.config.Upstreams[i]; uc.TLS != nil {
			part := check.Sub(uc.part(), uc.Table).Sub("tls", uc.TLS.Table)
			g.upstreamTLS[i] = loader.Client(part, uc.TLS, current.upstreamTLSOf(uc.Name))
		}
	}
}

// listenerTLSOf returns the TLS of the listener of a name; nil if there is none.
func (g *generation) listenerTLSOf(name string) *certs.Server {
	if g != nil {
		for _, l := range g.listeners {
			if l.config.Name == name {
				return l.tls
			}
		}
	}
	return nil
}

// upstreamTLSOf returns the TLS of the upstream of a name; nil if there is none.
func (g *generation) upstreamTLSOf(name string) *certs.Client {
	if u := g.upstreamOf(name); u != nil {
		return u.tls
	}
	return nil
}

// measureTLS adds when certificates expire.
func (fw *Firewall) measureTLS(m *measurements) {
	for _, l := range fw.current.Load().listeners {
		if l.tls == nil {
			continue
		}
		for path, at := range l.tls.Expiries() {
			m.add(metrics.KindGauge, metricExpiry, "When a certificate expires, in seconds since 1970.", float64(at.Unix()),
				metrics.Label{Name: "listener", Value: l.config.Name}, metrics.Label{Name: "file", Value: path})
		}
	}
}

// changedCertificates names the listeners and upstreams whose certificates are not those
// of an earlier generation.
func (g *generation) changedCertificates(old *generation) (list []string) {
	for _, l := range g.listeners {
		if before := old.listenerTLSOf(l.config.Name); before != nil && l.tls != nil && !slices.Equal(before.Files(), l.tls.Files()) {
			list = append(list, "certificates of listener "+l.config.Name)
		}
	}
	for _, u := range g.upstreams {
		if before := old.upstreamTLSOf(u.config.Name); before != nil && u.tls != nil && !slices.Equal(before.Files(), u.tls.Files()) {
			list = append(list, "certificates of upstream "+u.config.Name)
		}
	}
	return list
}

// secure begins the handshake with a server that was connected; done is told of its end.
func (u *upstream) secure(socket *completion.Socket, host string, done func(error)) (*tlsstream.Stream, error) {
	w := socket.Worker()
	var s *tlsstream.Stream
	s, err := tlsstream.Client(socket, u.tls.Config(host), func(err error) {
		result := certs.Failed
		if err == nil {
			result = certs.ResultOf(s.ConnectionState())
		} else {
			err = fmt.Errorf("TLS handshake: %w", explainTLSError(err))
		}
		u.tls.Count(w.Index(), result)
		done(err)
	})
	return s, err
}

// secureCheck is secure for the checks of a server.
func (u *upstream) secureCheck(socket *completion.Socket, server string, done func(error)) (*tlsstream.Stream, error) {
	return u.secure(socket, hostOf(server), done)
}

// hostOf returns the host of a server, as its certificate has it; empty if it has none.
func hostOf(server string) string {
	host, _, err := splitServer(server)
	if err != nil {
		return ""
	}
	return host
}
