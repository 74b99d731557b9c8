package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"fwx/framework/internal/files"
	"fwx/framework/internal/secret"
)

// certificate is a certificate with its key as they were read.
type certificate struct {
	tls.Certificate
	files []files.File // the certificate's, and the key's if that is another
}

// path returns where the certificate was read; empty: a host program has made it.
func (c *certificate) path() string {
	if len(c.files) == 0 {
		return ""
	}
	return c.files[0].Path
}

// readCertificate reads a certificate and its key. With an error, fault is the key of
// the setting that names what is at fault.
func readCertificate(certPath, keyPath string) (c certificate, fault string, err error) {
	certText, err := files.Read(certPath, &c.files)
	if err != nil {
		return c, "cert", err
	}
	keyText := certText
	if keyPath != "" {
		if keyText, err = files.Read(keyPath, &c.files); err != nil {
			return c, "key", err
		}
	} else {
		keyPath = certPath
	}
	c.Certificate, err = tls.X509KeyPair(certText, keyText)
	if err != nil {
		return c, faulty(err), fmt.Errorf("%s, %s: %w", certPath, keyPath, errors.New(strings.TrimPrefix(err.Error(), "tls: ")))
	}
	if err := secret.Check(keyPath); err != nil {
		if keyPath == certPath {
			return c, "cert", err
		}
		return c, "key", err
	}
	if now := time.Now(); now.After(c.Leaf.NotAfter) {
		return c, "cert", fmt.Errorf("%s: the certificate has expired, on %s", certPath, c.Leaf.NotAfter.Format(time.RFC3339))
	} else if now.Before(c.Leaf.NotBefore) {
		return c, "cert", fmt.Errorf("%s: the certificate is not valid before %s", certPath, c.Leaf.NotBefore.Format(time.RFC3339))
	}
	return c, "", nil
}

// readyCertificate returns a certificate that a host program has made.
func readyCertificate(made tls.Certificate) (c certificate, err error) {
	c.Certificate = made
	switch {
	case len(made.Certificate) == 0 || made.PrivateKey == nil:
		return c, errors.New("wants a certificate and its private key")
	case made.Leaf == nil:
		c.Leaf, err = x509.ParseCertificate(made.Certificate[0])
	}
	return c, err
}

// faulty tells which of the two files an error of tls.X509KeyPair is about.
func faulty(err error) string {
	if strings.Contains(err.Error(), "key") {
		return "key"
	}
	return "cert"
}

// readCA reads the certificates of issuers.
func readCA(path string, list *[]files.File) (*x509.CertPool, error) {
	text, err := files.Read(path, list)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate (PEM) in it", path)
	}
	return pool, nil
}
