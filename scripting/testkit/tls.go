package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"iter"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"
)

// authority signs the certificates of the servers of tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
	pool        *x509.CertPool
}

// theAuthority is one for the program: to make it takes longer than a test.
var theAuthority = sync.OnceValues(newAuthority)

// valid is when all certificates are: whatever the time is, by any clock.
var valid = [2]time.Time{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the tests"},
		NotBefore: valid[0], NotAfter: valid[1],
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	a.pool.AppendCertsFromPEM(a.pem)
	return a, nil
}

// sign returns the certificate of a server, for its address and the name, if there is
// one, that the client asks for.
func (a *authority) sign(name string, address netip.Addr) (*tls.Certificate, error) {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server of a test"},
		NotBefore: valid[0], NotAfter: valid[1], IPAddresses: []net.IP{address.AsSlice()},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name != "" {
		leaf.DNSNames = []string{name}
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, a.certificate, &a.key.PublicKey, a.key)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: a.key}, err
}

// encrypted is TLS between the socket of a peer and what the test sees. What reads runs
// as a coroutine, and goes on when something has come.
type encrypted struct {
	conn    *tls.Conn
	in, out []byte // ciphertext: that has come, and that is to be sent
	ended   bool   // nothing more comes
	shaken  bool   // the handshake is over
	waiting []byte // to be sent after it
	closing bool   // the stream is to be ended after it
	plain   []byte // that has been read
	err     error  // why nothing more is

	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
}

// encryptServer is for a peer that a server has accepted.
func encryptServer(a *authority, address netip.Addr) *encrypted {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return a.sign(hello.ServerName, address) },
	}
	return encrypt(func(w *wire) *tls.Conn { return tls.Server(w, config) })
}

// encryptClient is for a peer that is a client; its ClientHello is there to be sent.
func encryptClient(name string, protocols []string) *encrypted {
	config := &tls.Config{
		ServerName: name, NextProtos: protocols, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // whose the certificate is, is not what scripts decide
	}
	e := encrypt(func(w *wire) *tls.Conn { return tls.Client(w, config) })
	e.resume()
	return e
}

func encrypt(side func(*wire) *tls.Conn) *encrypted {
	e := &encrypted{}
	e.conn = side((*wire)(e))
	e.resume, e.stop = iter.Pull(e.read)
	return e
}

// read is the coroutine.
func (e *encrypted) read(yield func(struct{}) bool) {
	e.yield = yield
	e.err = e.conn.Handshake() //nolint:noctx // it ends with the coroutine
	e.shaken = e.err == nil
	buf := make([]byte, 16<<10)
	for e.err == nil {
		var n int
		n, e.err = e.conn.Read(buf)
		e.plain = append(e.plain, buf[:n]...)
	}
}

// feed takes ciphertext, or the end, and returns what it comes to.
func (e *encrypted) feed(data []byte) []byte {
	e.in = append(e.in, data...)
	e.ended = e.ended || len(data) == 0
	if e.err == nil {
		e.resume()
	}
	if e.shaken && len(e.waiting) > 0 {
		waiting := e.waiting
		e.waiting = nil
		e.write(waiting)
	}
	if e.shaken && e.closing {
		_ = e.conn.CloseWrite() // an error means that there is nobody to tell
	}
	plain := e.plain
	e.plain = nil
	return plain
}

// write sends data, or keeps it until the handshake is over.
func (e *encrypted) write(data []byte) {
	if !e.shaken {
		e.waiting = append(e.waiting, data...)
		return
	}
	_, _ = e.conn.Write(data) // it goes into memory
}

// finish tells the client that nothing more comes.
func (e *encrypted) finish() {
	e.closing = true
	if e.shaken {
		_ = e.conn.CloseWrite() // an error means that there is nobody to tell
	}
}

// take returns the ciphertext that is to be sent.
func (e *encrypted) take() []byte {
	out := e.out
	e.out = nil
	return out
}

// wire is an encrypted as the connection that crypto/tls has.
type wire encrypted

// Read waits, as a coroutine, until something has come.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.in) == 0 {
		if w.ended {
			return 0, io.EOF
		}
		if !w.yield(struct{}{}) {
			return 0, net.ErrClosed
		}
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write collects what is to be sent.
func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// The rest of a net.Conn is of no account to crypto/tls here.

// Close does nothing.
func (w *wire) Close() error { return nil }

// LocalAddr returns none.
func (w *wire) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr returns none.
func (w *wire) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline does nothing.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// sent reports whether nothing waits for the handshake.
func (e *encrypted) sent() bool { return e.shaken || e.err != nil }
