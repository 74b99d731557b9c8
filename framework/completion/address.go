package completion

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is where a stream socket listens or connects to: an IP address and
// port, or the path of a unix socket.
type Address struct {
	netip.AddrPort
	Path string
}

const unixPrefix = "unix:"

// ParseAddress parses "10.0.0.5:80", "[::1]:80" or "unix:/run/app.sock".
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, unixPrefix); ok {
		if path == "" {
			return Address{}, fmt.Errorf("address %q: the path of the unix socket is missing", s)
		}
		return Address{Path: path}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: wants ip:port, [ipv6]:port or unix:/path", s)
	}
	return Address{AddrPort: ap}, nil
}

// Check reports an address that no socket can have: a path that is longer than the system
// takes, or that has a NUL.
func (a Address) Check() error {
	switch most := maxPath; {
	case strings.ContainsRune(a.Path, 0):
		return fmt.Errorf("address %q: a path has no NUL", a)
	case len(a.Path) > most:
		return fmt.Errorf("address %q: the path has %d bytes, and that of a unix socket has %d at most: use a shorter directory", a, len(a.Path), most)
	}
	return nil
}

// CheckHost reports what is neither an IP address nor the name of a host, which consists of
// letters, digits, hyphens and underscores between its dots.
func CheckHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	const longest, longestLabel = 253, 63
	good := len(host) <= longest+1
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		good = good && label != "" && len(label) <= longestLabel && !strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		})
	}
	if !good {
		return fmt.Errorf("%q is neither the name of a host nor an IP address", host)
	}
	return nil
}

// ParsePort parses a port that can be connected to.
func ParsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q: wants a number from 1 to 65535", text)
	}
	return uint16(n), nil
}

// IsUnix reports whether a is the path of a unix socket.
func (a Address) IsUnix() bool { return a.Path != "" }

// String returns the address as ParseAddress takes it.
func (a Address) String() string {
	if a.IsUnix() {
		return unixPrefix + a.Path
	}
	if !a.IsValid() {
		return unixPrefix // the unnamed end of a unix socket
	}
	return a.AddrPort.String()
}

// zoneIndex returns the number of the interface that an IPv6 zone names, or is; 0:
// none.
func zoneIndex(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// inZone returns addr with the zone of an interface's number; 0: none.
func inZone(addr netip.Addr, index uint32) netip.Addr {
	if index == 0 || !addr.Is6() {
		return addr
	}
	return addr.WithZone(strconv.FormatUint(uint64(index), 10))
}
