//go:build (linux && !portable) || windows

package completion

import (
	"encoding/binary"
	"net/netip"
	"unsafe"
)

// putSockaddr writes an address as the system wants it and returns its length.
func putSockaddr(to *rawSockaddr, address netip.AddrPort, wide bool) uint32 {
	addr := address.Addr()
	if !wide {
		sa := (*rawSockaddr4)(unsafe.Pointer(to))
		*sa = rawSockaddr4{Family: familyIPv4, Addr: addr.Unmap().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], address.Port())
		return uint32(unsafe.Sizeof(*sa))
	}
	sa := (*rawSockaddr6)(unsafe.Pointer(to))
	*sa = rawSockaddr6{Family: familyIPv6, Addr: addr.As16(), Scope_id: zoneIndex(addr.Zone())}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], address.Port())
	return uint32(unsafe.Sizeof(*sa))
}

// getSockaddr reads an address as the system gives it, the zero AddrPort if it is
// none of IP.
func getSockaddr(from *rawSockaddr, size uint32) netip.AddrPort {
	switch {
	case from.Addr.Family == familyIPv4 && size >= uint32(unsafe.Sizeof(rawSockaddr4{})):
		sa := (*rawSockaddr4)(unsafe.Pointer(from))
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port)
	case from.Addr.Family == familyIPv6 && size >= uint32(unsafe.Sizeof(rawSockaddr6{})):
		sa := (*rawSockaddr6)(unsafe.Pointer(from))
		port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
		return netip.AddrPortFrom(inZone(netip.AddrFrom16(sa.Addr).Unmap(), sa.Scope_id), port)
	default:
		return netip.AddrPort{}
	}
}
