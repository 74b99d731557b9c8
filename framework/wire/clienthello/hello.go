package clienthello

import "strings"

// Hello is what a client offers. The lists are in the client's order and have all
// that it has sent, reserved values (RFC 8701) included.
type Hello struct {
	// Version is legacy_version, 0x0303 from TLS 1.2 on.
	Version uint16
	// ServerName is the name of the host that the client wants (RFC 6066), in small
	// letters; empty if it does not say.
	ServerName string
	// ALPN is the application protocols (RFC 7301).
	ALPN []string
	// Versions is supported_versions; without it those up to Version.
	Versions []uint16
	// CipherSuites, Extensions, Groups and SignatureSchemes are numbers of IANA's
	// registries.
	CipherSuites     []uint16
	Extensions       []uint16
	Groups           []uint16
	SignatureSchemes []uint16
	// PointFormats is ec_point_formats (RFC 8422).
	PointFormats []uint8

	hasVersions bool // supported_versions is there
}

// Versions of TLS.
const (
	versionSSL30 = 0x0300
	versionTLS10 = 0x0301
	versionTLS13 = 0x0304
)

// The extensions that are looked into.
const (
	extServerName           = 0
	extStatusRequest        = 5
	extGroups               = 10
	extPointFormats         = 11
	extSignatureSchemes     = 13
	extALPN                 = 16
	extSCT                  = 18
	extExtendedMasterSecret = 23
	extPreSharedKey         = 41
	extEarlyData            = 42
	extVersions             = 43
	extCookie               = 44
	extPSKModes             = 45
	extSignatureSchemesCert = 50
	extKeyShare             = 51
	extEncryptedHello       = 0xfe0d
	extRenegotiationInfo    = 0xff01
)

const maxSessionID = 32

func (h *Hello) parse(message []byte) error {
	r := reader{rest: message}
	h.Version = uint16(r.number(2))
	r.take(32) // random
	sessionID := r.vector(1)
	suites := r.vector(2)
	for suites.more() {
		h.CipherSuites = append(h.CipherSuites, uint16(suites.number(2)))
	}
	methods := r.vector(1)
	switch {
	case r.broken || suites.broken:
		return mistake(DecodeError, "it ends too early")
	case h.Version < versionSSL30:
		return mistake(ProtocolVersion, "it offers version %#04x", h.Version)
	case len(sessionID.rest) > maxSessionID:
		return mistake(DecodeError, "its session ID has %d bytes", len(sessionID.rest))
	case len(h.CipherSuites) == 0:
		return mistake(DecodeError, "it offers no cipher suite")
	case len(methods.rest) == 0:
		return mistake(DecodeError, "it offers no compression method, not even none")
	}
	if r.more() {
		extensions := r.vector(2)
		if !r.ended() {
			return mistake(DecodeError, "its extensions do not end where it does")
		}
		if err := h.parseExtensions(extensions); err != nil {
			return err
		}
	}
	if !h.hasVersions {
		for v := min(h.Version, versionTLS13-1); v >= versionTLS10; v-- {
			h.Versions = append(h.Versions, v)
		}
	}
	return nil
}

func (h *Hello) parseExtensions(r reader) error {
	seen := make(map[int]bool)
	for r.more() {
		id := r.number(2)
		e := r.vector(2)
		switch {
		case r.broken:
			return mistake(DecodeError, "its extensions end too early")
		case seen[id]:
			return mistake(IllegalParameter, "extension %d is there twice", id)
		case id == extPreSharedKey && r.more():
			return mistake(IllegalParameter, "extension %d is not the last", id)
		}
		seen[id] = true
		h.Extensions = append(h.Extensions, uint16(id))
		if err := h.parseExtension(id, &e); err != nil {
			return err
		}
		if !e.ended() {
			return mistake(DecodeError, "extension %d is malformed", id)
		}
	}
	return nil
}

// parseExtension takes what is in an extension; what cannot be right is left over, or
// breaks the reader.
func (h *Hello) parseExtension(id int, e *reader) error {
	switch id {
	case extServerName:
		return h.parseServerName(e)
	case extALPN:
		h.parseALPN(e)
	case extVersions:
		h.Versions, h.hasVersions = e.numbers(1), true
	case extGroups:
		h.Groups = e.numbers(2)
	case extSignatureSchemes:
		h.SignatureSchemes = e.numbers(2)
	case extSignatureSchemesCert:
		e.numbers(2)
	case extPointFormats:
		h.PointFormats = e.filled(1)
	case extStatusRequest:
		e.take(1)
		e.vector(2)
		e.vector(2)
	case extCookie:
		e.filled(2)
	case extPSKModes, extRenegotiationInfo:
		e.vector(1)
	case extKeyShare:
		skipShares(e)
	case extPreSharedKey:
		skipIdentities(e)
	case extEncryptedHello:
		skipEncryptedHello(e)
	case extExtendedMasterSecret, extSCT, extEarlyData: // they are empty
	default:
		e.rest = nil
	}
	return nil
}

// filled takes a vector that is not empty.
func (r *reader) filled(size int) []byte {
	v := r.vector(size)
	if len(v.rest) == 0 {
		r.broken = true
	}
	return v.rest
}

func (h *Hello) parseServerName(e *reader) error {
	list := e.vector(2)
	if !list.more() {
		e.broken = true
	}
	for list.more() {
		kind, name := list.number(1), list.filled(2)
		switch {
		case list.broken:
			e.broken = true
		case kind != 0: // no host
		case h.ServerName != "":
			return mistake(IllegalParameter, "it names two servers")
		case !isHost(name):
			return mistake(IllegalParameter, "it names the server %q, which is not the name of a host", name)
		default:
			h.ServerName = strings.ToLower(string(name))
		}
	}
	return nil
}

const maxHost = 253

// isHost reports whether a name may be that of a host. Addresses, which some clients
// send although they should not, and underscores are let through.
func isHost(name []byte) bool {
	if len(name) > maxHost || name[len(name)-1] == '.' {
		return false
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == ':':
		default:
			return false
		}
	}
	return true
}

func (h *Hello) parseALPN(e *reader) {
	list := e.vector(2)
	for list.more() {
		h.ALPN = append(h.ALPN, string(list.filled(1)))
	}
	if list.broken || len(h.ALPN) == 0 {
		e.broken = true
	}
}

func skipShares(e *reader) {
	list := e.vector(2)
	for list.more() {
		list.number(2) // group
		list.filled(2)
	}
	e.broken = e.broken || list.broken
}

func skipIdentities(e *reader) {
	identities := e.vector(2)
	none := len(identities.rest) == 0
	for identities.more() {
		identities.filled(2)
		identities.take(4) // age
	}
	binders := e.vector(2)
	none = none || len(binders.rest) == 0
	for binders.more() {
		binders.filled(1)
	}
	e.broken = e.broken || none || identities.broken || binders.broken
}

// skipEncryptedHello skips an outer encrypted_client_hello (RFC 9849). An inner one is
// never sent in the clear.
func skipEncryptedHello(e *reader) {
	if e.number(1) != 0 {
		e.broken = true
	}
	e.take(5)   // suite and configuration
	e.vector(2) // key
	e.vector(2) // payload
}
