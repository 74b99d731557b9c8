package certs

import (
	"crypto/tls"
	"fmt"
	"time"

	"fwx/framework/strict"
)

// The modes of TLS on a listener.
const (
	// Terminate: the gateway is the TLS server; filters and the upstream get what is in it.
	Terminate = "terminate"
	// PassThrough: the gateway looks at the ClientHello; all bytes go on as they are.
	PassThrough = "passthrough"
)

// What a listener wants of its clients' certificates.
const (
	clientCertificateNone     = "none"
	clientCertificateOptional = "optional"
	clientCertificateRequired = "required"
)

// DefaultHandshakeTimeout bounds a handshake when the settings do not.
const DefaultHandshakeTimeout = 10 * time.Second

// minVersions are what the lowest version may be; the first is what it is by default.
var minVersions = []string{"1.2", "1.3", "1.1", "1.0"}

// ListenerTLS is TLS with the clients of a listener.
type ListenerTLS struct {
	// Mode is Terminate or PassThrough; empty means the former. A filter may
	// decide otherwise for a connection.
	Mode string `toml:"mode"`
	// Certificates are those that the clients are shown: the first one that is for the
	// name that a client asks for, and that it can use, else the first.
	Certificates []CertificateConfig `toml:"certificates"`
	// ClientCA is a file with the certificates (PEM) of those who may have issued the
	// clients' certificates.
	ClientCA string `toml:"client_ca"`
	// ClientCertificate is "none", "optional" or "required"; empty means "required" if
	// there is a ClientCA.
	ClientCertificate string `toml:"client_certificate"`
	// MinVersion is the lowest version that is spoken: "1.0" to "1.3"; empty means "1.2".
	MinVersion string `toml:"min_version"`
	// ALPN is the application protocols (RFC 7301) that are offered, the preferred first.
	// With protocol "http" it is "http/1.1", and nothing else can be.
	ALPN []string `toml:"alpn"`
	// HandshakeTimeout bounds the time until the ClientHello is there, and then that
	// until the handshake is done; 0 means 10 s.
	HandshakeTimeout time.Duration `toml:"handshake_timeout"`

	Table strict.Table `toml:"."`
}

// CertificateConfig names the files of a certificate, or is one.
type CertificateConfig struct {
	// Cert is the file with the certificate and those that lead to its issuer (PEM).
	Cert string `toml:"cert,required"`
	// Key is the file with its private key (PEM); empty: it is in the file Cert, too.
	Key string `toml:"key"`
	// Certificate is the certificate itself, for a host program that has it; Cert and
	// Key are not used then.
	Certificate *tls.Certificate

	Table strict.Table `toml:"."`
}

// UpstreamTLS is TLS with the servers of an upstream.
type UpstreamTLS struct {
	// ServerName is the name that the servers' certificates must be for, and that is
	// asked for; empty means the host of each server as Servers has it.
	ServerName string `toml:"server_name"`
	// CA is a file with the certificates (PEM) of those who may have issued the servers'
	// certificates; empty means those that the system trusts.
	CA string `toml:"ca"`
	// InsecureSkipVerify takes any certificate. Whoever is between the gateway and the
	// server can then read and change everything.
	InsecureSkipVerify bool `toml:"insecure_skip_verify"`
	// Cert and Key are the files of the certificate that the servers are shown.
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
	// MinVersion and ALPN are as those of a listener.
	MinVersion string   `toml:"min_version"`
	ALPN       []string `toml:"alpn"`

	Table strict.Table `toml:"."`
}

var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// Check reports what is wrong with the settings, and fills in the defaults. It reads no files.
func (t *ListenerTLS) Check(check strict.Checker) {
	check.OneOf("mode", &t.Mode, "mode", []string{Terminate, PassThrough})
	if t.ClientCertificate == "" && t.ClientCA != "" {
		t.ClientCertificate = clientCertificateRequired
	}
	check.OneOf("client_certificate", &t.ClientCertificate, "value",
		[]string{clientCertificateNone, clientCertificateOptional, clientCertificateRequired})
	if t.ClientCertificate != clientCertificateNone && t.ClientCA == "" {
		check.Errorf("client_certificate", "%q wants a client_ca, with the certificates of those who may have issued the clients'", t.ClientCertificate)
	}
	check.OneOf("min_version", &t.MinVersion, "version of TLS", minVersions)
	checkProtocols(check, t.ALPN)
	check.Duration("handshake_timeout", &t.HandshakeTimeout, DefaultHandshakeTimeout)
	if t.Mode == Terminate && len(t.Certificates) == 0 {
		check.Errorf("certificates", `wants at least one, { cert = "FILE", key = "FILE" }, to terminate TLS; "fwx cert self-signed" makes one to try it with`)
	}
}

// Check reports what is wrong with the settings, and fills in the defaults. It reads no files.
func (t *UpstreamTLS) Check(check strict.Checker) {
	check.OneOf("min_version", &t.MinVersion, "version of TLS", minVersions)
	checkProtocols(check, t.ALPN)
	if t.InsecureSkipVerify && t.CA != "" {
		check.Errorf("insecure_skip_verify", "nothing is verified then, and ca is of no use: leave one of them out")
	}
	if t.Cert == "" && t.Key != "" {
		check.Errorf("key", "wants a cert that it belongs to")
	}
}

func checkProtocols(check strict.Checker, list []string) {
	for i, name := range list {
		if len(name) == 0 || len(name) > 255 {
			check.Errorf(fmt.Sprintf("alpn[%d]", i), "wants a name of 1 to 255 bytes, as h2 or http/1.1")
		}
	}
}
