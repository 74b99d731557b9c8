package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// runCert makes certificates.
func runCert(_ context.Context, p program, args []string) error {
	if len(args) > 0 && args[0] == "self-signed" {
		return p.selfSigned(args[1:])
	}
	if _, err := p.parseArguments("cert", args, noOptions); err != nil {
		return err
	}
	fmt.Fprintln(p.err, "fwx cert: wants self-signed; see fwx cert self-signed --help")
	return errUsage
}

// selfSigned makes a certificate to develop with.
func (p program) selfSigned(args []string) error {
	var certPath, keyPath string
	var days int
	names, err := p.parseArguments("cert", args, func(flags *flag.FlagSet) {
		flags.StringVar(&certPath, "cert", "cert.pem", "the file to write the certificate to")
		flags.StringVar(&keyPath, "key", "key.pem", "the file to write its private key to; only its owner can read it")
		flags.IntVar(&days, "days", 90, "how long it is valid, in days")
	})
	switch {
	case err != nil:
		return err
	case days < 1 || days > maxDays:
		return fmt.Errorf("-days: wants a number from 1 to %d, not %d", maxDays, days)
	case len(names) == 0:
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	cert, key, err := selfSigned(names, time.Duration(days)*24*time.Hour)
	if err != nil {
		return err
	}
	if err := createPair(certPath, cert, keyPath, key); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s and its private key %s are for %s, for %d days. It is signed by itself: no client trusts it unless told to.\n",
		certPath, keyPath, strings.Join(names, ", "), days)
	return nil
}

// maxDays is as long as browsers take a certificate for.
const maxDays = 825

// selfSigned returns a certificate for names of hosts and addresses, and its key, as PEM.
func selfSigned(names []string, life time.Duration) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), // the hour is for clocks that are wrong
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		switch ip := net.ParseIP(name); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case !isName(name):
			return nil, nil, fmt.Errorf("%q is neither the name of a host, as app.example or *.example, nor an IP address", name)
		default:
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// isName reports whether a certificate may be for a name.
func isName(name string) bool {
	for label := range strings.SplitSeq(strings.TrimPrefix(name, "*."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= 253
}

// createPair writes two files that must not be there yet. If one cannot be written there
// is none.
func createPair(certPath string, cert []byte, keyPath string, key []byte) error {
	if err := create(keyPath, key, 0o600); err != nil {
		return err
	}
	if err := create(certPath, cert, 0o644); err != nil {
		return errors.Join(err, os.Remove(keyPath))
	}
	return nil
}

// create writes a file that must not be there yet.
func create(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the operator says which file
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and nothing is overwritten: remove it, or name another file", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
