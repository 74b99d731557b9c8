//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fwx/framework"
	"fwx/scripting"
)

// The contenders in Go are this program, started again with hostCommand and a host as JSON.
const hostCommand = "host"

// host is a proxy in this program.
type host struct {
	Name    string
	Setup   Setup
	Backend string // of fwx's completion port
	Workers int    // how many workers fwx has; 0: as many as the other proxies have threads
	Filter  string // "", "go" or "lua", or with protocol "http": "http", "http-lua", "hostile"; "tls": none, and TLS is terminated
}

// script is the name of the script that the host runs; empty if it runs none.
func (h host) script() string {
	switch h.Filter {
	case "lua", "http-lua":
		return scriptFile("fwx", h.Setup.Script)
	case hostileFilter:
		return scriptFile("fwx", hostileFilter)
	}
	return ""
}

// files is how many files it opens for each connection: two sockets, and io.Copy a pipe for
// each direction while it waits.
func (h host) files() int {
	if h.Name == "go-copy" || h.Name == "go-copy-tls" {
		return 6
	}
	return 2
}

func runHost(text string) {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var h host
	err := json.Unmarshal([]byte(text), &h)
	if err == nil {
		switch h.Name {
		case "go-copy", "go-copy-tls":
			runtime.GOMAXPROCS(threads)
			err = h.copyStreams(ctx)
		case "go-reverse":
			runtime.GOMAXPROCS(threads)
			err = h.reverse(ctx)
		default: // its threads are its workers
			err = h.fwx(ctx)
		}
	}
	if err != nil {
		log.Fatal(err) //nolint:gocritic // the context ends with the process
	}
}

// fwx runs a gateway.
func (h host) fwx(ctx context.Context) error {
	filters, err := h.filters()
	if err != nil {
		return err
	}
	listener := framework.ListenerConfig{Name: "bench", Listen: h.Setup.Listen, Upstream: "server"}
	if h.Filter == "tls" {
		listener.TLS = &framework.ListenerTLS{Certificates: []framework.CertificateConfig{{Cert: h.Setup.Certificate}}}
	}
	if strings.HasPrefix(h.Filter, "http") || h.Filter == hostileFilter {
		listener.Protocol = "http"
		listener.HTTP = &framework.HTTPConfig{Forwarded: framework.ForwardedOff} // as the others
	}
	for _, f := range filters {
		listener.Filters = append(listener.Filters, f.Name)
	}
	fw, err := framework.New(framework.Config{
		Service:   framework.ServiceConfig{Workers: cmp.Or(h.Workers, threads), Backend: h.Backend, Drain: time.Second},
		Upstreams: []framework.UpstreamConfig{{Name: "server", Servers: []string{h.Setup.Server}}},
		Filters:   filters,
		Listeners: []framework.ListenerConfig{listener},
	}, nil)
	if err != nil {
		return err
	}
	return fw.Run(ctx)
}

func (h host) filters() ([]framework.FilterConfig, error) {
	switch h.Filter {
	case "go":
		filters := make([]framework.FilterConfig, max(h.Setup.Chain, 1))
		for i := range filters {
			filters[i] = framework.FilterConfig{Name: "look" + strconv.Itoa(i), Filter: looker{}}
		}
		return filters, nil
	case "lua", "http-lua", hostileFilter:
		filter, err := scripting.New(scripting.Settings{
			Script: h.script(),
			Allow:  scripting.Allow{Read: []string{"."}, Write: []string{"."}},
			Dir:    h.Setup.Dir,
		})
		return []framework.FilterConfig{{Name: "lua", Filter: filter}}, err
	}
	return nil, nil
}

// looker is a filter that searches all data for a text that is not there, as fwx-look.lua does.
type looker struct{}

var sought = []byte("needle")

func (looker) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP, nil
}

func (l looker) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return l, nil
}

func (l looker) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.AttachDataFilter(l); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

func (looker) Data(_ *framework.Connection, _ framework.Direction, chunk []byte) framework.Verdict {
	if bytes.Contains(chunk, sought) {
		return framework.Deny("found")
	}
	return framework.Pass
}

// copyStreams is the proxy that everybody writes first: a goroutine for each direction.
func (h host) copyStreams(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.Setup.Listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })() // which ends Accept
	if h.Name == "go-copy-tls" {
		certificate, err := tls.LoadX509KeyPair(h.Setup.Certificate, h.Setup.Certificate)
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go h.copyBoth(ctx, client)
	}
}

func (h host) copyBoth(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }() // both directions have ended
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.Setup.Server)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = server.Close() }()
	upstream := make(chan struct{})
	go func() {
		copyOne(server, client)
		close(upstream)
	}()
	copyOne(client, server)
	<-upstream
}

func copyOne(to, from net.Conn) {
	_, _ = io.Copy(to, from) // an error ends the direction like an end does
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be closed
	}
}

// reverse is the reverse proxy of the standard library.
func (h host) reverse(ctx context.Context) error {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: h.Setup.Server})
	proxy.Transport = &http.Transport{ // keeps all connections to the server, as the others do
		MaxIdleConnsPerHost: h.Setup.Connections,
		DisableCompression:  true,
	}
	server := &http.Server{Addr: h.Setup.Listen, Handler: proxy, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // which ends ListenAndServe
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
