package framework

import (
	"crypto/tls"
	"crypto/x509"

	"fwx/framework/wire/clienthello"
)

// TLSInfo is what is known of TLS with a client. It must not be changed.
type TLSInfo struct {
	// Hello is what the client offers.
	Hello *clienthello.Hello
	// Terminated says that the handshake is done; what follows is zero otherwise.
	Terminated bool
	// Version and CipherSuite were agreed on, and Protocol by ALPN; empty: none was.
	Version     uint16
	CipherSuite uint16
	Protocol    string
	// Resumed says that the client came back with a ticket.
	Resumed bool
	// ClientCertificate is the client's, verified; nil: it has shown none.
	ClientCertificate *x509.Certificate

	fingerprint string
}

// Fingerprint returns the JA4 fingerprint of the client.
func (t *TLSInfo) Fingerprint() string {
	if t.fingerprint == "" {
		t.fingerprint = t.Hello.JA4()
	}
	return t.fingerprint
}

// agreed notes what a handshake has agreed on.
func (t *TLSInfo) agreed(state tls.ConnectionState) {
	t.Terminated, t.Resumed = true, state.DidResume
	t.Version, t.CipherSuite, t.Protocol = state.Version, state.CipherSuite, state.NegotiatedProtocol
	if len(state.PeerCertificates) > 0 {
		t.ClientCertificate = state.PeerCertificates[0]
	}
}

// TLS returns what is known of TLS with the client: from the event ClientHello on what
// it offers, and behind the handshake what was agreed on. It is nil on a listener
// without TLS, and before.
func (c *Connection) TLS() *TLSInfo {
	if c.handshake == nil || c.handshake.info.Hello == nil {
		return nil
	}
	return &c.handshake.info
}

// SetTLSMode decides for this connection whether TLS is terminated (TLSTerminate) or
// passed through (TLSPassThrough). It is legal in the handler of ClientHello, anywhere
// else ErrBadContext, and ErrNoCertificate if the listener has none to terminate with. On
// a connection that is passed through no HTTP is spoken, whatever the listener's protocol.
func (c *Connection) SetTLSMode(mode string) error {
	switch {
	case c.Ended():
		return ErrTerminating
	case c.event.Type != ClientHello || !c.handling && !c.event.held:
		return ErrBadContext
	case mode == TLSTerminate && !c.listener.tls.CanTerminate():
		return ErrNoCertificate
	case mode != TLSTerminate && mode != TLSPassThrough:
		return &UnknownNameError{What: "TLS mode", Name: mode, Known: []string{TLSTerminate, TLSPassThrough}}
	}
	c.handshake.mode = mode
	return nil
}
