package framework

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"fwx/framework/metrics"
	"fwx/framework/strict"
)

// listenerTLS is what a listener needs to speak TLS.
type listenerTLS struct {
	settings     *ListenerTLS
	certificates []certificate
	files        []File // of the clients' issuers
	server       *tls.Config
	tickets      *tickets
	keys         atomic.Uint64 // how many had been made of those that server has
	handshakes   [handshakePassed + 1]*metrics.Counter
}

// handshake results, as they are counted.
type handshakeResult uint8

const (
	handshakeFull handshakeResult = iota
	handshakeResumed
	handshakeFailed
	handshakePassed // passed through
)

func (r handshakeResult) String() string {
	return [...]string{"full", "resumed", "failed", "passed"}[r]
}

// makeTLS reads what the listeners with TLS need. What cannot be read is a mistake,
// unless the current generation has it: then that goes on.
func (g *generation) makeTLS(current *generation, check strict.Checker) {
	g.listenerTLS = make([]*listenerTLS, len(g.config.Listeners))
	for i := range g.config.Listeners {
		if lc := &g.config.Listeners[i]; lc.TLS != nil {
			part := check.Sub(lc.part(), lc.Table).Sub("tls", lc.TLS.Table)
			g.listenerTLS[i] = g.readListenerTLS(part, lc, current.listenerTLSOf(lc.Name))
		}
	}
	g.upstreamTLS = make([]*upstreamTLS, len(g.config.Upstreams))
	for i := range g.config.Upstreams {
		if uc := &g.config.Upstreams[i]; uc.TLS != nil {
			part := check.Sub(uc.part(), uc.Table).Sub("tls", uc.TLS.Table)
			g.upstreamTLS[i] = g.readUpstreamTLS(part, uc, current.upstreamTLSOf(uc.Name))
		}
	}
}

// listenerTLSOf returns the TLS of the listener of a name; nil if there is none.
func (g *generation) listenerTLSOf(name string) *listenerTLS {
	if g != nil {
		for _, l := range g.listeners {
			if l.config.Name == name {
				return l.tls
			}
		}
	}
	return nil
}

func (g *generation) readListenerTLS(check strict.Checker, lc *ListenerConfig, before *listenerTLS) *listenerTLS {
	settings := lc.TLS
	minVersion, ok := tlsVersions[settings.MinVersion]
	if !ok {
		return nil // it has been reported
	}
	l := &listenerTLS{settings: settings, tickets: &tickets{}}
	l.server = &tls.Config{MinVersion: minVersion, NextProtos: settings.ALPN, DynamicRecordSizingDisabled: true}
	for i, cc := range settings.Certificates {
		if c, ok := g.readListed(check.Sub(fmt.Sprintf("certificates[%d]", i), cc.Table), cc, before); ok {
			l.certificates = append(l.certificates, c)
			l.server.Certificates = append(l.server.Certificates, c.Certificate)
		}
	}
	g.readClientCA(check, l, before)
	bindTickets(l.server)
	if before != nil && strict.Equal(before.settings, settings) && slices.Equal(before.files, l.files) {
		l.tickets = before.tickets
	}
	l.config()
	return l
}

// readListed reads one of a listener's certificates. One that is there already goes on
// if its files cannot be used.
func (g *generation) readListed(check strict.Checker, cc CertificateConfig, before *listenerTLS) (certificate, bool) {
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
	certPath, keyPath := g.config.path(cc.Cert), ""
	if cc.Key != "" {
		keyPath = g.config.path(cc.Key)
	}
	c, fault, err := readCertificate(certPath, keyPath)
	if err == nil {
		return c, true
	}
	if before != nil {
		for _, old := range before.certificates {
			if old.path() == certPath {
				g.keep(check, err)
				old.files = c.files // lest the same is tried again and again
				return old, true
			}
		}
	}
	check.Errorf(fault, "%v", err)
	return certificate{}, false
}

// keep logs that what was read before goes on.
func (g *generation) keep(what fmt.Stringer, err error) {
	g.fw.logger.Error("a certificate could not be loaded again; the one before stays", "of", what.String(), "error", err)
}

func (g *generation) readClientCA(check strict.Checker, l *listenerTLS, before *listenerTLS) {
	if l.settings.ClientCA == "" {
		return
	}
	pool, err := readCA(g.config.path(l.settings.ClientCA), &l.files)
	if err != nil && before != nil && before.settings.ClientCA == l.settings.ClientCA {
		g.keep(check, err)
		pool, err = before.server.ClientCAs, nil
	}
	if err != nil {
		check.Errorf("client_ca", "%v", err)
		return
	}
	l.server.ClientCAs = pool
	switch l.settings.ClientCertificate {
	case clientCertificateOptional:
		l.server.ClientAuth = tls.VerifyClientCertIfGiven
	case clientCertificateRequired:
		l.server.ClientAuth = tls.RequireAndVerifyClientCert
	}
}

// config returns the configuration of the next handshake.
func (l *listenerTLS) config() *tls.Config {
	if keys, made := l.tickets.current(time.Now()); l.keys.Swap(made) != made {
		l.server.SetSessionTicketKeys(keys)
	}
	return l.server
}

// filesRead returns the files that were read.
func (l *listenerTLS) filesRead() (list []File) {
	if l == nil {
		return nil
	}
	for _, c := range l.certificates {
		list = append(list, c.files...)
	}
	return append(list, l.files...)
}

const (
	metricHandshakes         = "fwx_tls_handshakes_total"
	metricUpstreamHandshakes = "fwx_tls_upstream_handshakes_total"
	metricExpiry             = "fwx_tls_certificate_expiry_seconds"
)

func (l *listenerTLS) makeMetrics(r *metrics.Registry, listener metrics.Label) (err error) {
	for result := range l.handshakes {
		label := metrics.Label{Name: "result", Value: handshakeResult(result).String()}
		l.handshakes[result], err = r.Counter(metricHandshakes, "TLS handshakes with clients, and connections passed through.", listener, label)
		if err != nil {
			return err
		}
	}
	return nil
}

// measureTLS adds when certificates expire.
func (fw *Firewall) measureTLS(m *measurements) {
	for _, l := range fw.current.Load().listeners {
		if l.tls == nil {
			continue
		}
		for _, c := range l.tls.certificates {
			m.add(metrics.KindGauge, metricExpiry, "When a certificate expires, in seconds since 1970.", float64(c.Leaf.NotAfter.Unix()),
				metrics.Label{Name: "listener", Value: l.config.Name}, metrics.Label{Name: "file", Value: c.path()})
		}
	}
}

// changedCertificates names the listeners and upstreams whose certificates are not those
// of an earlier generation.
func (g *generation) changedCertificates(old *generation) (list []string) {
	for _, l := range g.listeners {
		if before := old.listenerTLSOf(l.config.Name); before != nil && l.tls != nil && !slices.Equal(before.filesRead(), l.tls.filesRead()) {
			list = append(list, "certificates of listener "+l.config.Name)
		}
	}
	for _, u := range g.upstreams {
		if before := old.upstreamTLSOf(u.config.Name); before != nil && u.tls != nil && !slices.Equal(before.filesRead(), u.tls.filesRead()) {
			list = append(list, "certificates of upstream "+u.config.Name)
		}
	}
	return list
}
