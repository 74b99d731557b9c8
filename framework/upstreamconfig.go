package framework

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/strict"
	"fwx/framework/wire/http1"
)

// UpstreamConfig is a set of servers.
type UpstreamConfig struct {
	// Name identifies the upstream in listeners and logs.
	Name string `toml:"name,required"`
	// Servers are "host:port", "[ipv6]:port", "unix:/path" or "builtin:NAME".
	Servers []string `toml:"servers"`
	// Server are servers with settings of their own, beside Servers.
	Server []ServerConfig `toml:"server"`
	// Balance says how a server is chosen: balance.RoundRobin, which is the default,
	// balance.LeastConnections or balance.Hash.
	Balance string `toml:"balance"`
	// Hash is the key for balance.Hash: HashAddress, the client's address, which is the
	// default, or HashHeader and the name of a field of the request. Requests without the
	// field, and connections that do not speak HTTP, use the address.
	Hash string `toml:"hash"`
	// ConnectTimeout bounds each attempt to connect, the TLS handshake included; 0 means 5 s.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// MaxConnections bounds the connections to each server, or the requests if the protocol
	// is "http"; 0: unlimited.
	MaxConnections int `toml:"max_connections"`
	// IdleTimeout is how long a connection of protocol "http" to a server is kept while no
	// request uses it; 0 means 30 s. If the server announces a shorter time by Keep-Alive,
	// that applies.
	IdleTimeout time.Duration `toml:"idle_timeout"`
	// MaxIdle bounds the idle connections to each server, for each worker; 0 means 1024.
	MaxIdle int `toml:"max_idle"`
	// MaxRequests bounds the requests for which one connection is used; 0: unlimited.
	MaxRequests int `toml:"max_requests"`
	// SlowStart is how long a server that joins or comes back takes to reach its whole share;
	// 0: it has the whole share at once.
	SlowStart time.Duration `toml:"slow_start"`
	// Check configures health checks of the servers; nil: they are not checked.
	Check *balance.CheckConfig `toml:"check"`
	// Eject configures how servers are skipped for a while that keep failing; nil: they are
	// not.
	Eject *balance.EjectConfig `toml:"eject"`
	// TLS configures TLS with the servers; nil: it is not used.
	TLS *UpstreamTLS `toml:"tls"`

	Table strict.Table `toml:"."`
}

// ServerConfig is a server with settings of its own.
type ServerConfig struct {
	// Address is as in UpstreamConfig.Servers.
	Address string `toml:"address,required"`
	// Weight is the server's share, 1 to 256; 0 means 1.
	Weight int `toml:"weight"`
	// Backup means that the server is chosen only if none of the others can be.
	Backup bool `toml:"backup"`

	Table strict.Table `toml:"."`
}

const (
	builtinPrefix = "builtin:" // prefix of a server inside the program
	unixPrefix    = "unix:"    // prefix of the path of a unix socket
)

// Values of UpstreamConfig.Hash, or the beginning of a value.
const (
	HashAddress = "address"
	HashHeader  = "header:"
)

// hashHeader returns the name of the field that chooses the server of a request, in lower
// case; empty if none does.
func (u UpstreamConfig) hashHeader() string {
	if name, ok := strings.CutPrefix(u.Hash, HashHeader); ok {
		return strings.ToLower(name)
	}
	return ""
}

func (u UpstreamConfig) checkHash(check strict.Checker) {
	name, header := strings.CutPrefix(u.Hash, HashHeader)
	switch {
	case u.Hash == "":
	case u.Balance != balance.Hash:
		check.Errorf("hash", "is for balance = %q", balance.Hash)
	case header && !http1.ValidName(name):
		check.Errorf("hash", "%q is not the name of a field", name)
	case !header && u.Hash != HashAddress:
		check.Errorf("hash", "%q: wants %q, or %q and the name of a field", u.Hash, HashAddress, HashHeader)
	}
}

func (c *Config) checkUpstream(check strict.Checker, u *UpstreamConfig) {
	c.checkServers(check, u)
	check.OneOf("balance", &u.Balance, "way to choose a server", balance.Balances())
	u.checkHash(check)
	check.Duration("connect_timeout", &u.ConnectTimeout, defaultConnectTimeout)
	check.Duration("slow_start", &u.SlowStart, 0)
	check.Duration("idle_timeout", &u.IdleTimeout, defaultServerIdle)
	check.Number("max_idle", &u.MaxIdle, maxCount, defaultMaxIdle)
	check.Count("max_requests", u.MaxRequests, maxCount)
	check.Count("max_connections", u.MaxConnections, maxCount)
	if u.Check != nil {
		settings := *u.Check
		u.Check = &settings // the caller's stay as they are
		u.Check.Check(check.Sub("check", settings.Table))
	}
	if u.Eject != nil {
		settings := *u.Eject
		u.Eject = &settings // the caller's stay as they are
		u.Eject.Check(check.Sub("eject", settings.Table))
	}
	if u.TLS != nil {
		settings := *u.TLS
		u.TLS = &settings // the caller's stay as they are
		u.TLS.Check(check.Sub("tls", settings.Table))
		u.checkServerNames(check)
	}
}

// checkServer looks at the form of an address; nothing is looked up.
func (c *Config) checkServer(server string) error {
	if name, ok := strings.CutPrefix(server, builtinPrefix); ok {
		if _, ok := c.Builtin[name]; !ok {
			return &UnknownNameError{What: "builtin server", Name: name, Known: sortedKeys(c.Builtin)}
		}
		return nil
	}
	if strings.HasPrefix(server, unixPrefix) {
		_, err := c.address(server)
		return err
	}
	_, _, err := splitServer(server)
	return err
}

func (c *Config) checkServers(check strict.Checker, u *UpstreamConfig) {
	if len(u.Servers)+len(u.Server) == 0 {
		check.Errorf("servers", "wants at least one server")
	}
	if n := len(u.Servers) + len(u.Server); n > balance.MaxServers {
		check.Errorf("servers", "wants at most %d servers, not %d", balance.MaxServers, n)
	}
	seen := make(map[string]bool)
	add := func(check strict.Checker, key, server string) {
		if err := c.checkServer(server); err != nil {
			check.Errorf(key, "%q: %v", server, err)
		} else if seen[server] {
			check.Errorf(key, "server %q is there already", server)
		}
		seen[server] = true
	}
	for i, server := range u.Servers {
		add(check, fmt.Sprintf("servers[%d]", i), server)
	}
	u.Server = slices.Clone(u.Server) // the caller's stay as they are
	for i := range u.Server {
		s := &u.Server[i]
		part := check.Sub(fmt.Sprintf("server[%d]", i), s.Table)
		add(part, "address", s.Address)
		part.Number("weight", &s.Weight, balance.MaxWeight, 1)
	}
}

// checkServerNames reports a server without a name that its certificate could be for.
func (u *UpstreamConfig) checkServerNames(check strict.Checker) {
	if u.TLS.ServerName != "" || u.TLS.InsecureSkipVerify {
		return
	}
	servers := slices.Clone(u.Servers)
	for _, s := range u.Server {
		servers = append(servers, s.Address)
	}
	if i := slices.IndexFunc(servers, func(server string) bool { return hostOf(server) == "" }); i >= 0 {
		check.Errorf("tls", "wants a server_name, the one that the certificate of %q is for", servers[i])
	}
}

// splitServer splits "host:port".
func splitServer(server string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(server)
	if err != nil || host == "" {
		return "", 0, errors.New("wants host:port, [ipv6]:port, unix:/path or builtin:name")
	}
	if err := completion.CheckHost(host); err != nil {
		return "", 0, err
	}
	port, err = completion.ParsePort(text)
	return host, port, err
}
