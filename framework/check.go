package framework

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"fwx/framework/balance"
	"fwx/framework/completion"
	"fwx/framework/strict"
)

// part is a part of the configuration that is being checked: a table of a
// file, or what a host program has filled in.
type part struct {
	mistakes *strict.Errors
	table    strict.Table
	title    string // what a mistake says if there is no table
}

// errorf reports a mistake at a key.
func (p part) errorf(key, format string, args ...any) {
	if !p.table.IsZero() {
		p.mistakes.Add(p.table.Errorf(key, format, args...))
		return
	}
	p.mistakes.Add(fmt.Errorf("%s: %s: %s", p.title, key, fmt.Sprintf(format, args...)))
}

// given reports whether it is for the checks here to judge a missing value: what
// a file lacks, or has of a wrong type, has been reported already.
func given[T any](p part, key string) bool {
	_, ok := p.table.Map()[key].(T)
	return ok || p.table.IsZero()
}

// written reports whether a file has a key with a value of a type.
func written[T any](p part, key string) bool {
	_, ok := p.table.Map()[key].(T)
	return ok
}

// text reports an empty string where there must be one.
func (p part) text(key, value string) {
	if value == "" && given[string](p, key) {
		p.errorf(key, "must not be empty")
	}
}

// duration reports a time that is not positive; 0 means the fallback. In a file the key is left
// out for that: whoever writes a zero means something else by it, none at all or no bound.
func (p part) duration(key string, value *time.Duration, fallback time.Duration) {
	switch {
	case *value < 0:
		p.errorf(key, "wants a positive duration, not %v", *value)
	case *value == 0 && fallback > 0 && written[string](p, key):
		p.errorf(key, `0s could mean no time or no limit: leave the key out for %v, write "1ms" for hardly any time, or "8760h" for hardly a limit`, fallback)
	}
	if *value <= 0 {
		*value = fallback
	}
}

// size reports a size that is not within bounds; 0 means the fallback, and cannot be written
// in a file.
func (p part) size(key string, value *strict.Size, least, most, fallback strict.Size) {
	switch n := *value; {
	case n == 0 && !written[int64](p, key) && !written[string](p, key):
	case n == 0 && fallback == 0:
		p.errorf(key, "0 could mean nothing at all or no bound: leave the key out for no bound, or write a size of at least %d", int64(least))
	case n < least && most == math.MaxInt64:
		p.errorf(key, "wants a size of at least %d, not %d", int64(least), int64(n))
	case n < least || n > most:
		p.errorf(key, "wants a number from %d to %d, not %d", int64(least), int64(most), int64(n))
	}
	if *value <= 0 {
		*value = fallback
	}
}

func (p part) count(key string, n, most int) {
	if n < 0 || n > most {
		p.errorf(key, "wants a number from 0 to %d, not %d", most, n)
	}
}

// names are the names in use for one kind of part.
type names map[string]bool

// add reports a name that is empty or that an earlier part has already.
func (n names) add(p part, what, name string) {
	p.text("name", name)
	if n[name] {
		p.errorf("name", "there are two %ss %q", what, name)
	}
	if name != "" {
		n[name] = true
	}
}

// check reports what is wrong with the settings, apart from those of filters.
func (c *Config) check(mistakes *strict.Errors) {
	c.checkService(part{mistakes, c.Service.table, "service"})
	c.checkAdmin(part{mistakes, c.Admin.table, "admin"})
	upstreams, filters, listeners := make(names), make(names), make(names)
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		p := part{mistakes, u.Table, fmt.Sprintf("upstream %q", u.Name)}
		upstreams.add(p, "upstream", u.Name)
		c.checkUpstream(p, u)
	}
	for i := range c.Filters {
		f := &c.Filters[i]
		filters.add(part{mistakes, f.Table, fmt.Sprintf("filter %q", f.Name)}, "filter", f.Name)
	}
	if len(c.Listeners) == 0 {
		mistakes.Add(errors.New("the configuration has no [[listener]]: there is nothing to do"))
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		p := part{mistakes, l.Table, fmt.Sprintf("listener %q", l.Name)}
		listeners.add(p, "listener", l.Name)
		c.checkListener(p, l, upstreams, filters)
		c.checkSpoken(mistakes, l)
	}
	c.checkPlaces(mistakes)
}

// checkSpoken reports what the upstreams of a listener with protocol "http" offer by
// ALPN besides HTTP/1.1. Those that only filters choose are looked at by the handshake.
func (c *Config) checkSpoken(mistakes *strict.Errors, l *ListenerConfig) {
	if l.Protocol != protocolHTTP {
		return
	}
	names := []string{l.Upstream}
	for i := range l.Routes {
		names = append(names, l.Routes[i].Upstream)
	}
	for i := range c.Upstreams {
		if u := &c.Upstreams[i]; u.TLS != nil && slices.Contains(names, u.Name) {
			p := part{mistakes, u.TLS.Table, fmt.Sprintf("upstream %q: tls", u.Name)}
			p.spokenByHTTP(u.TLS.ALPN, fmt.Sprintf("listener %q has protocol = %q, which is %q", l.Name, protocolHTTP, alpnHTTP))
		}
	}
}

const (
	// maxCount and maxWorkers are bounds that are beyond any sense.
	maxCount   = 10_000_000
	maxWorkers = 4096
)

func (c *Config) checkService(p part) {
	s := &c.Service
	known := append([]string{"auto"}, completion.Backends()...)
	if s.Backend != "" && !slices.Contains(known, s.Backend) {
		p.errorf("backend", "%v", &UnknownNameError{What: "backend", Name: s.Backend, Known: known})
	}
	p.count("workers", s.Workers, maxWorkers)
	p.count("max_connections", s.MaxConnections, maxCount)
	p.duration("drain", &s.Drain, defaultDrain)
	p.size("body_memory", &s.BodyMemory, 1<<20, math.MaxInt64, defaultBodyMemory)
}

func (c *Config) checkAdmin(p part) {
	if p.table.IsZero() && c.Admin.Listen == "" {
		return
	}
	p.text("listen", c.Admin.Listen)
	if c.Admin.Listen == "" {
		return
	}
	address, err := c.address(c.Admin.Listen)
	switch {
	case err != nil:
		p.errorf("listen", "%v", err)
	case !address.IsUnix() && !address.Addr().IsLoopback() && !c.Admin.AllowRemote:
		p.errorf("listen", "%q can be reached by other machines, and whoever reaches it may look at everything; allow_remote = true allows that", c.Admin.Listen)
	default:
		c.Admin.Listen = address.String()
	}
}

func (c *Config) checkUpstream(p part, u *UpstreamConfig) {
	c.checkServers(p, u)
	p.oneOf("balance", &u.Balance, "way to choose a server", balance.Balances())
	u.checkHash(p)
	p.duration("connect_timeout", &u.ConnectTimeout, defaultConnectTimeout)
	p.duration("slow_start", &u.SlowStart, 0)
	p.duration("idle_timeout", &u.IdleTimeout, defaultServerIdle)
	p.number("max_idle", &u.MaxIdle, maxCount, defaultMaxIdle)
	p.count("max_requests", u.MaxRequests, maxCount)
	p.count("max_connections", u.MaxConnections, maxCount)
	if u.Check != nil {
		check := *u.Check
		u.Check = &check // the caller's stays as it is
		checkCheck(part{p.mistakes, check.Table, p.title + ": check"}, u.Check)
	}
	if u.Eject != nil {
		eject := *u.Eject
		u.Eject = &eject // the caller's stays as it is
		checkEject(part{p.mistakes, eject.Table, p.title + ": eject"}, u.Eject)
	}
	if u.TLS != nil {
		settings := *u.TLS
		u.TLS = &settings // the caller's stay as they are
		u.TLS.check(part{p.mistakes, settings.Table, p.title + ": tls"})
		c.checkServerNames(p, u)
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

func (c *Config) checkListener(p part, l *ListenerConfig, upstreams, filters names) {
	p.text("listen", l.Listen)
	if l.Listen != "" {
		if _, err := c.address(l.Listen); err != nil {
			p.errorf("listen", "%v", err)
		}
	}
	p.oneOf("protocol", &l.Protocol, "protocol", []string{protocolTCP, protocolHTTP})
	checkHTTP(p, l, upstreams)
	c.checkSpool(p, l)
	p.text("upstream", l.Upstream)
	if l.Upstream != "" && !upstreams[l.Upstream] {
		p.errorf("upstream", "there is no upstream %q%s", l.Upstream, strict.Suggest(l.Upstream, sortedKeys(upstreams)))
	}
	for i, name := range l.Filters {
		key := fmt.Sprintf("filters[%d]", i)
		if !filters[name] {
			p.errorf(key, "there is no filter %q%s", name, strict.Suggest(name, sortedKeys(filters)))
		} else if slices.Contains(l.Filters[:i], name) {
			p.errorf(key, "filter %q is in the list already", name)
		}
	}
	p.duration("idle_timeout", &l.IdleTimeout, defaultIdleTimeout)
	if l.TLS != nil {
		settings := *l.TLS
		l.TLS = &settings // the caller's stay as they are
		l.TLS.check(part{p.mistakes, settings.Table, p.title + ": tls"})
		if l.Protocol == protocolHTTP {
			l.TLS.checkHTTP(part{p.mistakes, settings.Table, p.title + ": tls"})
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
