package main

import (
	"bytes"
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

const tlsConfig = `
[service]
workers = 2
[[upstream]]
name = "echo"
servers = ["ECHO"]
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "echo"
[listener.tls]
certificates = [{ cert = "CERT" }]
`

// TestSaveCertificate changes only the file of a certificate, which has its key too: the
// next client is shown the new one. One that cannot be used leaves the old one, and the log
// says why.
func TestSaveCertificate(t *testing.T) {
	ca := fwxtest.NewAuthority(t)
	both := func(certificate, key fwxtest.Issued) string {
		return readFile(t, certificate.CertFile) + readFile(t, key.KeyFile)
	}
	first, second, third := ca.Issue("a.example"), ca.Issue("a.example"), ca.Issue("a.example")
	file := filepath.Join(t.TempDir(), "certificate.pem")
	write(t, file, both(first, first))
	r := newRunning(t, strings.ReplaceAll(tlsConfig, "CERT", filepath.ToSlash(file)))
	shows := func(want fwxtest.Issued) bool {
		t.Helper()
		c, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool}) //nolint:noctx // it is there
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // it has served
		return bytes.Equal(c.ConnectionState().PeerCertificates[0].Raw, want.Certificate.Certificate[0])
	}
	becomes := func(want fwxtest.Issued) {
		t.Helper()
		fwxtest.Eventually(t, time.Minute, "the certificate is shown", func() bool { return shows(want) })
	}
	becomes(first)
	write(t, file, both(second, second))
	becomes(second)
	for _, bad := range []struct{ text, reason string }{
		{both(third, second), "private key does not match"},
		{"no certificate", "failed to find any PEM data"},
	} {
		write(t, file, bad.text)
		r.prints("a certificate could not be loaded again; the one before stays")
		r.prints(bad.reason)
		if !shows(second) {
			t.Errorf("%s: the old certificate is not shown", bad.reason)
		}
	}
	write(t, file, both(third, third))
	becomes(third)
}
