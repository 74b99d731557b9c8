package framework

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// address parses the address of a listener or a unix socket. The path of a unix socket starts
// from the directory of the configuration.
func (c *Config) address(text string) (completion.Address, error) {
	a, err := completion.ParseAddress(text)
	if err != nil {
		return a, err
	}
	a = c.locate(a)
	return a, a.Check()
}

// locate returns an address with the path of a unix socket made to start from
// the directory of the configuration.
func (c *Config) locate(a completion.Address) completion.Address {
	if a.IsUnix() && a.Path[0] != '@' && !filepath.IsAbs(a.Path) {
		a.Path = filepath.Join(c.Dir, a.Path)
	}
	return a
}

// place is an address that is to be listened on, and who does.
type place struct {
	user    string
	address completion.Address
}

// checkPlaces reports addresses that are in each other's way, which binding them would show.
func (c *Config) checkPlaces(mistakes *strict.Errors) {
	var places []place
	add := func(p part, user, listen string) {
		address, err := c.address(listen)
		if err != nil {
			return // it has been reported
		}
		for _, other := range places {
			if inTheWay(address, other.address) {
				p.errorf("listen", "%s is in the way of %s at %s: an address can be listened on once", address, other.user, other.address)
				break
			}
		}
		places = append(places, place{user, address})
	}
	if c.Admin.Listen != "" {
		add(part{mistakes, c.Admin.table, "admin"}, "[admin]", c.Admin.Listen)
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		add(part{mistakes, l.Table, fmt.Sprintf("listener %q", l.Name)}, fmt.Sprintf("listener %q", l.Name), l.Listen)
	}
}

// inTheWay reports whether two addresses cannot be listened on at a time. Port 0 is one that is
// free; an address that stands for all has everything at its port, that of IPv6 IPv4 too.
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
