//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// tlsBaseline is the contender that those who terminate TLS are compared with.
const tlsBaseline = "haproxy-tls"

// tlsContenders are the contenders that terminate TLS and pass on what is in it.
func tlsContenders() []string {
	return []string{tlsBaseline, "go-copy-tls", "fwx-uring-tls", "fwx-epoll-tls"}
}

// scheme is that of the URLs of a contender.
func (c Contender) scheme() string {
	if c.tls {
		return "https"
	}
	return "http"
}

// clientTLS is how the load speaks TLS. The key exchange is one that all contenders have:
// with the hybrid one of crypto/tls those in Go would do more than HAProxy.
func clientTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // The load is not what is measured.
		CurvePreferences:   []tls.CurveID{tls.X25519},
	}
}

// makeCertificate writes a certificate with its key (P-256) to a file and returns its path.
func makeCertificate(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	path := filepath.Join(dir, "bench.pem")
	return path, os.WriteFile(path, text, 0o600)
}

// tlsCases are those of TLS terminated.
func (b *bench) tlsCases() []Case {
	return []Case{b.handshakes(), b.tlsSmall(64), b.tlsBodies("down"), b.tlsBodies("up"), b.tlsIdle(4000)}
}

// handshakes is a connection with a full handshake for each request.
func (b *bench) handshakes() Case {
	const callers = 32
	return Case{
		Name:     "tls-handshakes",
		About:    fmt.Sprintf("%d clients that connect with a full TLS 1.3 handshake (X25519, P-256) for each request", callers),
		Figures:  []Figure{Connections, CPU, User, System, P50, P99, P999},
		Baseline: tlsBaseline,
		Entries: proxies(tlsContenders(), callers, nil, func(ctx context.Context, c Contender) (Sample, error) {
			w, l, err := b.underLoad(ctx, c, Setup{Connections: callers}, b.backend, func(address string) (load, error) {
				return startClients(ctx, callers, func(int) client { return &caller{peer{address: address, secure: true}} }), nil
			})
			if err != nil {
				return nil, err
			}
			sample := w.perRequest()
			sample[Connections] = w.rate()
			sample.add(l)
			return sample, nil
		}),
	}
}

// tlsSmall is requests for a short text over connections with TLS that are kept alive.
func (b *bench) tlsSmall(connections int) Case {
	return Case{
		Name:     fmt.Sprintf("tls-small-%d", connections),
		About:    fmt.Sprintf("short answers over %d connections with TLS that are kept alive", connections),
		Figures:  []Figure{Requests, CPU, User, System, P50, P99, P999},
		Baseline: tlsBaseline,
		Entries: proxies(tlsContenders(), connections, shortNeeds, func(ctx context.Context, c Contender) (Sample, error) {
			return b.requests(ctx, c, Setup{Connections: connections})
		}),
	}
}

// tlsBodies is large answers, or large requests, over TLS.
func (b *bench) tlsBodies(direction string) Case {
	const senders, size = 16, 1 << 20
	return Case{
		Name:     "tls-" + direction + "-1MiB",
		About:    fmt.Sprintf("bodies of 1 MiB over %d connections with TLS, %sstream", senders, direction),
		Figures:  []Figure{MiB, CPUGiB, UserGiB, SystemGiB},
		Baseline: tlsBaseline,
		Entries: proxies(tlsContenders(), senders, nil, func(ctx context.Context, c Contender) (Sample, error) {
			w, _, err := b.underLoad(ctx, c, Setup{Connections: senders}, b.backend, func(address string) (load, error) {
				return startClients(ctx, senders, func(int) client {
					p := peer{address: address, secure: true}
					if direction == "up" {
						return &poster{p, size}
					}
					return &getter{p, fmt.Sprintf("/bytes/%d", size)}
				}), nil
			})
			return w.perGiB(), err
		}),
	}
}

// tlsIdle is connections with TLS on which nothing moves after one request on each.
func (b *bench) tlsIdle(connections int) Case {
	if b.short {
		connections = 200
	}
	return Case{
		Name:     "tls-idle",
		About:    fmt.Sprintf("the memory of %d connections with TLS that are idle after one request", connections),
		Figures:  []Figure{Memory},
		Baseline: tlsBaseline,
		Entries: proxies(tlsContenders(), connections, nil, func(ctx context.Context, c Contender) (Sample, error) {
			return b.memory(ctx, c, connections, true)
		}),
	}
}
