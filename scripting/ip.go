package scripting

import (
	"fmt"
	"net/netip"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

var ipFunctions = []binding{
	{
		"parse", ipParse, "(text: string) -> string or fail",
		"An address or network in its usual form: `fwx.ip.parse(\"10.1.2.3/8\")` gives `\"10.0.0.0/8\"`. `\"EINVAL\"`: it is none.",
	},
	{
		"set", ipSet, "(list: string[]) -> set or fail",
		"A set of addresses and networks. `\"EINVAL\"`: an entry is none.",
	},
	{
		"contains", ipContains, "(network: string, address: string) -> boolean or fail",
		"Whether an address is in a network: `fwx.ip.contains(\"10.0.0.0/8\", conn.client)`. For more than a few use a set. " +
			"`\"EINVAL\"`: one of them is none.",
	},
	{"version", ipVersion, "(address: string) -> 4|6 or fail", "`\"EINVAL\"`: it is none."},
	{
		"is_private", ipIs(netip.Addr.IsPrivate), "(address: string) -> boolean or fail",
		"Whether it is in one of the networks for private use: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`.",
	},
	{"is_loopback", ipIs(netip.Addr.IsLoopback), "(address: string) -> boolean or fail", "`127.0.0.0/8` or `::1`."},
}

// parseAddress parses an argument that is an address.
func parseAddress(L *lua.LState, n int) (netip.Addr, error) {
	text := argString(L, n)
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, invalid(fmt.Sprintf("%q is not an IP address", text))
	}
	return a.Unmap().WithZone(""), nil
}

func ipContains(_ *state, L *lua.LState) int {
	text := argString(L, 1)
	network, _, err := parsePrefix(text)
	if err != nil {
		return giveError(L, invalid(fmt.Sprintf("%q is not an IP address or prefix", text)))
	}
	a, err := parseAddress(L, 2)
	if err != nil {
		return giveError(L, err)
	}
	return give(L, lua.LBool(network.Contains(a)))
}

func ipVersion(_ *state, L *lua.LState) int {
	a, err := parseAddress(L, 1)
	switch {
	case err != nil:
		return giveError(L, err)
	case a.Is4():
		return give(L, lua.LNumber(4))
	}
	return give(L, lua.LNumber(6))
}

func ipIs(is func(netip.Addr) bool) func(*state, *lua.LState) int {
	return func(_ *state, L *lua.LState) int {
		a, err := parseAddress(L, 1)
		if err != nil {
			return giveError(L, err)
		}
		return give(L, lua.LBool(is(a)))
	}
}

var setMethods = []binding{
	{
		"contains", setContains, "(address: string?) -> boolean",
		"`false` for `nil` and for text that is no address.",
	},
}

var setMeta = []binding{{"__len", setLen, "() -> integer", "The number of entries that are not inside another."}}

// ipParse returns an address or prefix in its usual form.
func ipParse(_ *state, L *lua.LState) int {
	text := argString(L, 1)
	p, isAddr, err := parsePrefix(text)
	switch {
	case err != nil:
		return giveError(L, invalid(fmt.Sprintf("%q is not an IP address or prefix", text)))
	case isAddr:
		return give(L, lua.LString(p.Addr().String()))
	}
	return give(L, lua.LString(p.String()))
}

// parsePrefix parses "192.0.2.1", "192.0.2.0/24", or the same of IPv6. Addresses of
// IPv4 in the form of IPv6 are those of IPv4.
func parsePrefix(text string) (p netip.Prefix, isAddr bool, err error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true, nil
	}
	p, err = netip.ParsePrefix(text)
	if err == nil && p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), false, err
}

// ipRange is the addresses from first to last.
type ipRange struct{ first, last netip.Addr }

// addrSet is a set of addresses: ranges in order that do not touch each other.
type addrSet []ipRange

// newAddrSet makes a set of prefixes.
func newAddrSet(prefixes []netip.Prefix) addrSet {
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var set addrSet
	for _, p := range prefixes {
		r := ipRange{p.Addr(), lastOf(p)}
		if n := len(set); n > 0 && r.first.Compare(set[n-1].last) <= 0 {
			continue // prefixes nest or lie apart: this one is inside
		}
		set = append(set, r)
	}
	return set
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // of a length that an address has
	return a
}

func (set addrSet) contains(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(set, a, func(r ipRange, a netip.Addr) int { return r.first.Compare(a) })
	return found || i > 0 && a.Compare(set[i-1].last) <= 0
}

// ipSet makes a set of a list of addresses and prefixes.
func ipSet(s *state, L *lua.LState) int {
	list := L.CheckTable(1)
	n := list.Len()
	s.meter.charge(8 * n)
	prefixes := make([]netip.Prefix, 0, n)
	for i := 1; i <= n; i++ {
		text, ok := list.RawGetInt(i).(lua.LString)
		p, _, err := parsePrefix(string(text))
		if !ok || err != nil {
			return giveError(L, invalid(fmt.Sprintf("entry %d: %q is not an IP address or prefix", i, list.RawGetInt(i).String())))
		}
		prefixes = append(prefixes, p)
	}
	return give(L, s.object(s.types.set, newAddrSet(prefixes)))
}

// setContains reports whether an address is in a set. What is no address is not.
func setContains(_ *state, L *lua.LState) int {
	set := argObject[addrSet](L, 1, "set")
	if L.Get(2) == lua.LNil {
		return give(L, lua.LFalse)
	}
	a, err := netip.ParseAddr(argString(L, 2))
	return give(L, lua.LBool(err == nil && set.contains(a.Unmap().WithZone(""))))
}

func setLen(_ *state, L *lua.LState) int {
	return give(L, lua.LNumber(len(argObject[addrSet](L, 1, "set"))))
}
