package framework

import (
	"net/netip"
	"os"
	"path/filepath"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// address parses the address of a listener or a unix socket. The path of a unix socket is
// relative to the directory of the configuration.
func (c *Config) address(text string) (completion.Address, error) {
	a, err := completion.ParseAddress(text)
	if err != nil {
		return a, err
	}
	a = c.locate(a)
	return a, a.Check()
}

// locate returns an address whose unix socket path is resolved against the directory of the
// configuration.
func (c *Config) locate(a completion.Address) completion.Address {
	if a.IsUnix() && a.Path[0] != '@' && !filepath.IsAbs(a.Path) {
		a.Path = filepath.Join(c.Dir, a.Path)
	}
	return a
}

// place is an address to listen on, and the part of the configuration that has it.
type place struct {
	check   strict.Checker
	user    string
	address completion.Address
}

// places returns the addresses to listen on. Invalid ones are reported elsewhere.
func (c *Config) places(check strict.Checker) (all []place) {
	add := func(check strict.Checker, user, listen string) {
		if address, err := c.address(listen); err == nil {
			all = append(all, place{check, user, address})
		}
	}
	if c.Admin.Listen != "" {
		add(check.Sub("admin", c.Admin.Table), "[admin]", c.Admin.Listen)
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		add(check.Sub(l.part(), l.Table), l.part(), l.Listen)
	}
	return all
}

// checkPlaces reports addresses that conflict with each other, before binding them would fail.
func (c *Config) checkPlaces(check strict.Checker) {
	places := c.places(check)
	for i, p := range places {
		for _, other := range places[:i] {
			if inTheWay(p.address, other.address) {
				p.check.Errorf("listen", "%s conflicts with %s at %s: only one can listen on an address", p.address, other.user, other.address)
				break
			}
		}
	}
}

// checkPaths reports unix sockets that cannot be created at their paths: the directory is
// missing, or another kind of file is there.
func (c *Config) checkPaths(check strict.Checker) {
	for _, p := range c.places(check) {
		path := p.address.Path
		if path == "" || path[0] == '@' { // an IP address, or a unix socket without a file
			continue
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			p.check.Errorf("listen", "no unix socket can be created there: %v", err)
		} else if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
			p.check.Errorf("listen", "no unix socket can be created there: %s is a file that is not a socket", path)
		}
	}
}

// inTheWay reports whether two addresses conflict. Port 0 never does. An unspecified address
// conflicts with every address on its port; that of IPv6 includes IPv4.
func inTheWay(a, b completion.Address) bool {
	if a.IsUnix() || b.IsUnix() {
		return a.IsUnix() && b.IsUnix() && filepath.Clean(a.Path) == filepath.Clean(b.Path)
	}
	if a.Port() != b.Port() || a.Port() == 0 {
		return false
	}
	covers := func(all, one netip.Addr) bool { return all.IsUnspecified() && (all.Is6() || one.Is4()) }
	x, y := a.Addr().Unmap(), b.Addr().Unmap()
	return x == y || covers(x, y) || covers(y, x)
}
