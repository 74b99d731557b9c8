package framework

import (
	"errors"
	"fmt"
	"strings"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/strict"
)

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
