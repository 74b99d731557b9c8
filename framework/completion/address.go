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
