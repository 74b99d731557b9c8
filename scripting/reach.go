package scripting

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// reach is which servers a script may connect to, and which names it may look up.
//
// A name alone says little about where a connection goes: whoever runs the
// name's zone says that, and may say something else at each lookup. So an entry
// with a name reaches public addresses only; others want an entry of their own.
type reach struct {
	filter   string
	dir      string
	hosts    []hostGrant // of connect
	sockets  []string    // of connect: paths of unix sockets; one that ends in a separator is a directory
	names    []hostGrant // of dns
	insecure bool
	expect   bool // connections of other connections
}

// hostGrant is an entry with a name, a pattern of names, or a network.
type hostGrant struct {
	name   string       // "example.org", "*.example.org" or "*"; empty: the network
	prefix netip.Prefix // in its usual form
	port   uint16       // 0: any
}

func newReach(s Settings, check strict.Checker) *reach {
	r := &reach{filter: s.Name, dir: s.Dir, insecure: s.Allow.InsecureTLS, expect: s.Allow.Expect}
	note := func(key string, i int, err error) {
		if err != nil {
			check.Errorf(fmt.Sprintf("allow.%s[%d]", key, i), "%v", err)
		}
	}
	for i, entry := range s.Allow.Connect {
		note("connect", i, r.addConnect(entry))
	}
	for i, entry := range s.Allow.DNS {
		g, err := parseHostGrant(entry)
		if err != nil {
			err = fmt.Errorf("%q: %w", entry, err)
		}
		r.names = append(r.names, g)
		note("dns", i, err)
	}
	return r
}

const (
	unixScheme = "unix:"
	anyPort    = "*"
	anyName    = "*"
	beneath    = "*." // a prefix of a pattern
)

func (r *reach) addConnect(entry string) error {
	if path, ok := strings.CutPrefix(entry, unixScheme); ok {
		if path == "" {
			return fmt.Errorf("%q: the path of the unix socket is missing", entry)
		}
		clean := r.locate(path)
		if strings.HasSuffix(path, "/") {
			clean += string(filepath.Separator)
		}
		r.sockets = append(r.sockets, clean)
		return nil
	}
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		return fmt.Errorf(`%q: wants "host:port", "network:port" ("[2001:db8::/32]:443" for IPv6), port "*" for any, or "unix:/path"`, entry)
	}
	g, err := parseHostGrant(host)
	if err == nil && port != anyPort {
		g.port, err = parsePort(port)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", entry, err)
	}
	r.hosts = append(r.hosts, g)
	return nil
}

// locate returns a path from the directory of the configuration on, cleaned.
func (r *reach) locate(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	return filepath.Clean(path)
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q: wants a number from 1 to 65535", text)
	}
	return uint16(n), nil
}

func parseHostGrant(host string) (hostGrant, error) {
	if p, _, err := parsePrefix(host); err == nil {
		return hostGrant{prefix: p}, nil
	}
	if host == anyName {
		return hostGrant{name: host}, nil
	}
	rest, pattern := strings.CutPrefix(host, beneath)
	name, err := cleanName(rest)
	if err != nil {
		return hostGrant{}, err
	}
	if pattern {
		name = beneath + name
	}
	return hostGrant{name: name}, nil
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// cleanName returns a host name as it is compared: in lower case and without a dot
// at the end. What a system might take for a number is no name.
func cleanName(text string) (string, error) {
	name := strings.TrimSuffix(text, ".")
	if name == "" || len(name) > 253 {
		return "", fmt.Errorf("%q is no host name", text)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, nameLetters) != "" {
			return "", fmt.Errorf("%q is no host name (names in other scripts are written as xn--…)", text)
		}
	}
	name = strings.ToLower(name) // of ASCII, by now
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", fmt.Errorf("%q is neither a host name nor an IP address in its usual form", text)
	}
	return name, nil
}

// covers reports whether the entry's name or pattern is that of a clean name.
func (g hostGrant) covers(name string) bool {
	if rest, ok := strings.CutPrefix(g.name, beneath); ok {
		return strings.HasSuffix(name, "."+rest)
	}
	return g.name == anyName || g.name != "" && g.name == name
}

func (g hostGrant) coversAddr(a netip.Addr) bool { return g.name == "" && g.prefix.Contains(a) }

func (g hostGrant) coversPort(port uint16) bool { return g.port == 0 || g.port == port }

// named reports whether an entry of connect has the name, and any port or this one.
func (r *reach) named(name string, port uint16) bool {
	return slices.ContainsFunc(r.hosts, func(g hostGrant) bool { return g.covers(name) && g.coversPort(port) })
}

// mayLookUp reports whether an entry of dns has the name.
func (r *reach) mayLookUp(name string) bool {
	return slices.ContainsFunc(r.names, func(g hostGrant) bool { return g.covers(name) })
}

// mayReverse reports whether the name of an address may be looked up.
func (r *reach) mayReverse(a netip.Addr) bool {
	return slices.ContainsFunc(r.names, func(g hostGrant) bool { return g.name == anyName || g.coversAddr(a) })
}

// admits reports whether a connection may go to an address, which is that of a name
// with an entry or not.
func (r *reach) admits(to netip.AddrPort, named bool) bool {
	if named && isPublic(to.Addr()) {
		return true
	}
	return slices.ContainsFunc(r.hosts, func(g hostGrant) bool { return g.coversAddr(to.Addr()) && g.coversPort(to.Port()) })
}

func (r *reach) denied(what, add string) error {
	return &codedError{fmt.Sprintf("filter %q is not allowed to %s: add %s in [filter.allow]", r.filter, what, add), codeDenied}
}

func (r *reach) deniedTarget(to string) error {
	return r.denied("connect to "+to, fmt.Sprintf("%q to connect", to))
}

// admitSocket returns the path of a unix socket to connect to. It follows symbolic
// links, which may block.
func (r *reach) admitSocket(path string) (string, error) {
	clean := r.locate(path)
	if slices.Contains(r.sockets, clean) {
		return clean, nil // whatever it leads to: the entry names it
	}
	for _, entry := range r.sockets {
		if !strings.HasSuffix(entry, string(filepath.Separator)) || !strings.HasPrefix(clean, entry) {
			continue
		}
		folder, err := filepath.EvalSymlinks(entry)
		if err != nil {
			return "", err
		}
		resolved, err := filepath.EvalSymlinks(clean)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(resolved, folder+string(filepath.Separator)) {
			return resolved, nil
		}
	}
	return "", r.deniedTarget(unixScheme + path)
}

// special are the networks that lead to no public host, though their addresses look
// like others: those that carry an address of IPv4 inside, too.
var special = func() (list []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

// unicast6 is what addresses of public hosts have in IPv6.
var unicast6 = netip.MustParsePrefix("2000::/3")

// isPublic reports whether an address in its usual form can be that of a host
// anywhere in the internet.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !unicast6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// target is where a script wants to connect to.
type target struct {
	host string     // as the script gave it, for messages; empty: a unix socket
	name string     // clean; empty: the address
	addr netip.Addr // in its usual form
	port uint16
	path string
}

var errTarget = errors.New(`wants "tcp://host:port", "tls://host:port" or "unix:/path"`)

// parseHostPort reads the host and port of a target.
func parseHostPort(host, port string) (t target, err error) {
	if t.port, err = parsePort(port); err != nil {
		return t, err
	}
	t.host = host
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return t, fmt.Errorf("%q: an address with a zone cannot be connected to", host)
		}
		t.addr = a.Unmap()
		return t, nil
	}
	t.name, err = cleanName(host)
	return t, err
}

func (t target) String() string {
	if t.host == "" {
		return unixScheme + t.path
	}
	if t.name == "" {
		return netip.AddrPortFrom(t.addr, t.port).String()
	}
	return t.name + ":" + strconv.Itoa(int(t.port))
}

// address returns the address of one of the hosts of a target.
func (t target) address(a netip.Addr) completion.Address {
	return completion.Address{AddrPort: netip.AddrPortFrom(a, t.port)}
}
