package framework

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/strict"
	"fwx/framework/wire/http1"
)

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

func (u UpstreamConfig) checkHash(p part) {
	name, header := strings.CutPrefix(u.Hash, HashHeader)
	switch {
	case u.Hash == "":
	case u.Balance != balance.Hash:
		p.errorf("hash", "is for balance = %q", balance.Hash)
	case header && !http1.ValidName(name):
		p.errorf("hash", "%q is no name of a field", name)
	case !header && u.Hash != HashAddress:
		p.errorf("hash", "%q: wants %q, or %q and the name of a field", u.Hash, HashAddress, HashHeader)
	}
}

// balance returns how a server is chosen.
func (u UpstreamConfig) balance() balance.Config {
	return balance.Config{
		Name: u.Name, Balance: u.Balance, MaxConnections: u.MaxConnections, SlowStart: u.SlowStart, Check: u.Check, Eject: u.Eject,
	}
}

// targets returns the servers of an upstream whose configuration has been checked.
func (c *Config) targets(u UpstreamConfig) (targets []balance.Target) {
	for _, text := range u.Servers {
		targets = append(targets, c.target(ServerConfig{Address: text}))
	}
	for _, s := range u.Server {
		targets = append(targets, c.target(s))
	}
	return targets
}

func (c *Config) target(s ServerConfig) balance.Target {
	t := balance.Target{Text: s.Address, Weight: max(s.Weight, 1), Backup: s.Backup}
	text := s.Address
	if name, ok := strings.CutPrefix(text, builtinPrefix); ok {
		text = c.Builtin[name]
	}
	if a, err := completion.ParseAddress(text); err == nil {
		t.Address = c.locate(a)
		return t
	}
	t.Host, t.Port, _ = splitServer(text) // the address has been checked
	return t
}

// findBuiltin reports a server inside the program that is not running.
func (c *Config) findBuiltin(u UpstreamConfig) error {
	for _, t := range c.targets(u) {
		if name, ok := strings.CutPrefix(t.Text, builtinPrefix); ok && c.Builtin[name] == "" {
			return fmt.Errorf("upstream %q: server %q: this program has no such builtin server", u.Name, t.Text)
		}
	}
	return nil
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

func (c *Config) checkServers(p part, u *UpstreamConfig) {
	if len(u.Servers)+len(u.Server) == 0 && (!p.table.Has("servers") || given[[]any](p, "servers")) {
		p.errorf("servers", "wants at least one server")
	}
	if n := len(u.Servers) + len(u.Server); n > balance.MaxServers {
		p.errorf("servers", "wants at most %d servers, not %d", balance.MaxServers, n)
	}
	seen := make(map[string]bool)
	add := func(p part, key, server string) {
		if err := c.checkServer(server); err != nil {
			p.errorf(key, "%q: %v", server, err)
		} else if seen[server] {
			p.errorf(key, "server %q is there already", server)
		}
		seen[server] = true
	}
	for i, server := range u.Servers {
		add(p, fmt.Sprintf("servers[%d]", i), server)
	}
	for i := range u.Server {
		s := &u.Server[i]
		sp := part{p.mistakes, s.Table, fmt.Sprintf("%s: server %q", p.title, s.Address)}
		if given[string](sp, "address") {
			add(sp, "address", s.Address)
		}
		if s.Weight < 0 || s.Weight > balance.MaxWeight || s.Weight == 0 && given[int64](sp, "weight") && s.Table.Has("weight") {
			sp.errorf("weight", "wants a number from 1 to %d, not %d", balance.MaxWeight, s.Weight)
		}
	}
}

func checkCheck(p part, c *balance.CheckConfig) {
	p.oneOf("kind", &c.Kind, "kind of check", balance.CheckKinds())
	if c.Kind == balance.CheckTCP {
		for key, set := range map[string]bool{"path": c.Path != "", "host": c.Host != "", "status": len(c.Status) > 0} {
			if set {
				p.errorf(key, "is for kind = %q", balance.CheckHTTP)
			}
		}
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Path[0] != '/' || !isVisible(c.Path) {
		p.errorf("path", "%q: wants a path that begins with / and has neither spaces nor control characters", c.Path)
	}
	if !isVisible(c.Host) {
		p.errorf("host", "%q: wants a host without spaces and control characters", c.Host)
	}
	for i, status := range c.Status {
		if status < 100 || status > 599 {
			p.errorf(fmt.Sprintf("status[%d]", i), "wants a number from 100 to 599, not %d", status)
		}
	}
	p.duration("interval", &c.Interval, balance.DefaultInterval)
	p.duration("timeout", &c.Timeout, balance.DefaultCheckTimeout)
	p.number("rise", &c.Rise, maxRow, balance.DefaultRise)
	p.number("fall", &c.Fall, maxRow, balance.DefaultFall)
}

// maxRow bounds settings that count events in a row.
const maxRow = 1000

func checkEject(p part, e *balance.EjectConfig) {
	p.number("failures", &e.Failures, maxRow, balance.DefaultFailures)
	p.duration("time", &e.Time, balance.DefaultEjectTime)
	p.duration("max_time", &e.MaxTime, max(balance.DefaultMaxEjectTime, e.Time))
	if e.MaxTime < e.Time {
		p.errorf("max_time", "wants at least the %v of time, not %v", e.Time, e.MaxTime)
	}
	p.number("max_share", &e.MaxShare, 100, balance.DefaultMaxShare)
}

// isVisible reports whether a text may appear in the head of an HTTP request.
func isVisible(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b <= ' ' || b >= 0x7f })
}

// oneOf reports a value that is not one of those known; an empty one means the first.
func (p part) oneOf(key string, value *string, what string, known []string) {
	switch {
	case *value == "" && !written[string](p, key):
		*value = known[0]
	case !slices.Contains(known, *value):
		p.errorf(key, "%v", &UnknownNameError{What: what, Name: *value, Known: known})
	}
}

// number reports a number that is not from 1 to the most; 0 means the fallback.
func (p part) number(key string, n *int, most, fallback int) {
	if *n < 0 || *n > most || *n == 0 && p.table.Has(key) {
		p.errorf(key, "wants a number from 1 to %d, not %d", most, *n)
	}
	if *n <= 0 {
		*n = fallback
	}
}

// ErrUnknownUpstream is returned for a name that no upstream has.
var ErrUnknownUpstream = errors.New("there is no such upstream")

// UpstreamInfo describes an upstream at one moment.
type UpstreamInfo struct {
	Name    string         `json:"name"`
	Balance string         `json:"balance"`
	Servers []balance.Info `json:"servers"`
}

// UpstreamInfos returns the upstreams in the order of the configuration.
func (fw *Firewall) UpstreamInfos() []UpstreamInfo {
	upstreams := fw.current.Load().upstreams
	infos := make([]UpstreamInfo, 0, len(upstreams))
	for _, u := range upstreams {
		infos = append(infos, UpstreamInfo{u.config.Name, u.config.Balance, u.balancer.Infos()})
	}
	return infos
}

// DrainServer drains a server of an upstream: it gets no new connections, and the existing
// ones continue. If drained is false, it gets connections again. The server is named by its
// address or as in the configuration, where one name may stand for several servers. This lasts
// until it is changed or the server is removed from the configuration. DrainServer returns
// ErrNotRunning, ErrUnknownUpstream or ErrUnknownServer. It must not be called on a worker.
func (fw *Firewall) DrainServer(name, server string, drained bool) ([]balance.Info, error) {
	if !fw.Ready() {
		return nil, ErrNotRunning
	}
	g := fw.current.Load()
	servers := g.balancerOf(name)
	if servers == nil {
		return nil, fmt.Errorf("%q: %w%s", name, ErrUnknownUpstream, strict.Suggest(name, g.upstreamNames()))
	}
	infos, err := servers.Drain(server, drained)
	if err != nil {
		return nil, fmt.Errorf("upstream %q: server %q: %w", name, server, err)
	}
	return infos, nil
}

func (g *generation) upstreamNames() (names []string) {
	for _, u := range g.upstreams {
		names = append(names, u.config.Name)
	}
	return names
}
