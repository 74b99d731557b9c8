package clienthello

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// JA4 returns the JA4 fingerprint of the hello: what sort of client has sent it,
// whatever server it wants and however it mixes the order.
func (h *Hello) JA4() string {
	suites, extensions := withoutReserved(h.CipherSuites), withoutReserved(h.Extensions)
	name := 'i'
	if slices.Contains(extensions, extServerName) {
		name = 'd'
	}
	prefix := fmt.Sprintf("t%s%c%02d%02d%s", h.highest(), name, min(len(suites), 99), min(len(extensions), 99), h.firstALPN())

	slices.Sort(suites)
	extensions = slices.DeleteFunc(extensions, func(e uint16) bool { return e == extServerName || e == extALPN })
	slices.Sort(extensions)
	second := hexList(extensions)
	if schemes := withoutReserved(h.SignatureSchemes); len(schemes) > 0 {
		second += "_" + hexList(schemes)
	}
	return prefix + "_" + digest(hexList(suites)) + "_" + digest(second)
}

// isReserved reports whether a number is one that clients send so that nobody may rely
// on knowing them all (RFC 8701).
func isReserved(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

func withoutReserved(list []uint16) []uint16 {
	return slices.DeleteFunc(slices.Clone(list), isReserved)
}

// highest returns the highest version offered, as JA4 writes it.
func (h *Hello) highest() string {
	v := h.Version
	if h.hasVersions {
		v = 0
		for _, offered := range withoutReserved(h.Versions) {
			v = max(v, offered)
		}
	}
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	}
	return "00"
}

// firstALPN returns the first and the last character of the first protocol; of its
// hexadecimal form if they are no letters or digits.
func (h *Hello) firstALPN() string {
	if len(h.ALPN) == 0 {
		return "00"
	}
	p := h.ALPN[0]
	if !isAlphanumeric(p[0]) || !isAlphanumeric(p[len(p)-1]) {
		p = hex.EncodeToString([]byte(p))
	}
	return string([]byte{p[0], p[len(p)-1]})
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func hexList(list []uint16) string {
	var b strings.Builder
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%04x", n)
	}
	return b.String()
}

// digest returns the first 12 digits of the hash of a list, zeros if it is empty.
func digest(list string) string {
	if list == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(list))
	return hex.EncodeToString(sum[:6])
}
