package certs

import (
	"crypto/tls"

	"fwx/framework/internal/files"
	"fwx/framework/metrics"
	"fwx/framework/strict"
)

// Client is TLS with the servers of an upstream.
type Client struct {
	settings   *UpstreamTLS
	client     *tls.Config
	files      []files.File
	handshakes [Failed + 1]*metrics.Counter
}

// sessionsKept is how many sessions with servers are kept to be resumed.
const sessionsKept = 256

// Client reads the files of an upstream whose settings have been checked. What cannot be read
// is a mistake, unless the Client before has the same settings: then what it has goes on. The
// result is nil after some mistakes; before may be nil.
func (l Loader) Client(check strict.Checker, settings *UpstreamTLS, before *Client) *Client {
	minVersion, ok := tlsVersions[settings.MinVersion]
	if !ok {
		return nil // it has been reported
	}
	c := &Client{settings: settings}
	c.client = &tls.Config{
		MinVersion: minVersion, NextProtos: settings.ALPN, DynamicRecordSizingDisabled: true,
		ServerName: settings.ServerName, InsecureSkipVerify: settings.InsecureSkipVerify, //nolint:gosec // the operator says so
		ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
	}
	fault, err := c.read(l)
	if err == nil {
		return c
	}
	if before != nil && strict.Equal(before.settings, settings) {
		l.Kept(check.String(), err)
		return &Client{settings: settings, client: before.client, files: c.files}
	}
	check.Errorf(fault, "%v", err)
	return nil
}

// read reads the files; fault is the key of the one that cannot be used.
func (c *Client) read(l Loader) (fault string, err error) {
	if c.settings.CA != "" {
		if c.client.RootCAs, err = readCA(l.path(c.settings.CA), &c.files); err != nil {
			return "ca", err
		}
	}
	if c.settings.Cert == "" {
		return "", nil
	}
	shown, fault, err := readCertificate(l.path(c.settings.Cert), l.path(c.settings.Key))
	c.files = append(c.files, shown.files...)
	c.client.Certificates = []tls.Certificate{shown.Certificate}
	return fault, err
}

// Files returns the files that were read; a nil Client has none.
func (c *Client) Files() []files.File {
	if c == nil {
		return nil
	}
	return c.files
}

const metricUpstreamHandshakes = "fwx_tls_upstream_handshakes_total"

// MakeMetrics makes the counters of an upstream, unless the Client has some.
func (c *Client) MakeMetrics(r *metrics.Registry, upstream metrics.Label) (err error) {
	if c.handshakes[0] != nil {
		return nil
	}
	for result := range c.handshakes {
		label := metrics.Label{Name: "result", Value: Result(result).String()}
		c.handshakes[result], err = r.Counter(metricUpstreamHandshakes, "TLS handshakes with servers.", upstream, label)
		if err != nil {
			return err
		}
	}
	return nil
}

// Count counts a handshake that has ended on a worker.
func (c *Client) Count(worker int, r Result) { c.handshakes[r].Add(worker, 1) }

// Config returns the configuration of a handshake with the server of a host.
func (c *Client) Config(host string) *tls.Config {
	if c.client.ServerName != "" || c.client.InsecureSkipVerify {
		return c.client
	}
	config := c.client.Clone()
	config.ServerName = host
	return config
}
