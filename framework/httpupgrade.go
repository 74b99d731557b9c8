package framework

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"fwx/framework/strict"
	"fwx/framework/wire/http1"
	"fwx/framework/wire/websocket"
)

// The data of an upgraded connection is not inspected, except for WebSockets. So only the
// protocols in HTTPConfig.Upgrades are forwarded. A request for another protocol is forwarded
// without its Upgrade field (RFC 9110, 7.8).

const protocolWebSocket = "websocket"

var (
	errUnasked   = errors.New("it switched protocols without being asked")
	errNotAgreed = errors.New("its Sec-WebSocket-Accept is wrong or missing")
)

// checkUpgrades reports mistakes in the list of protocols to which connections may be
// upgraded.
func (h *HTTPConfig) checkUpgrades(check strict.Checker) {
	if h.Upgrades == nil {
		h.Upgrades = []string{protocolWebSocket}
	}
	h.Upgrades = slices.Clone(h.Upgrades)
	for i, protocol := range h.Upgrades {
		h.Upgrades[i] = strings.ToLower(protocol)
		name, version, versioned := strings.Cut(h.Upgrades[i], "/")
		switch {
		case !http1.ValidName(name) || versioned && !http1.ValidName(version):
			check.Errorf("upgrades", "%q is not the name of a protocol", protocol)
		case strings.HasPrefix(name, "h2") || name == "http":
			check.Errorf("upgrades", "%q: HTTP/2 in a tunnel would bypass all filters, routes and logs, and is never forwarded", protocol)
		}
	}
}

// allowed returns those protocols of an Upgrade field that may be forwarded, as they were
// spelled.
func (h *HTTPConfig) allowed(list []byte) string {
	var kept []string
	for protocol := range bytes.SplitSeq(list, []byte(",")) {
		name := string(bytes.TrimSpace(protocol))
		if slices.Contains(h.Upgrades, strings.ToLower(name)) {
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, ", ")
}

// narrowUpgrade removes all protocols from the request that may not be forwarded. A request
// for a WebSocket must have the key by which the server's response can be checked.
func (x *Exchange) narrowUpgrade() {
	r := &x.request
	if r.Upgrade() == nil {
		return
	}
	protocols := x.h.config.allowed(r.Upgrade())
	if lists(protocols, protocolWebSocket) && (!r.Is("GET") || len(fieldValues(&r.Header, "sec-websocket-key")) != 1) {
		protocols = ""
	}
	r.SetUpgrade(protocols)
}

// lists reports whether a comma-separated list contains a name.
func lists(list, name string) bool {
	for member := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(member), name) {
			return true
		}
	}
	return false
}

// agreed returns the protocol to which the server has switched, in lower case, if it was asked
// to.
func (x *Exchange) agreed() (string, error) {
	protocol := strings.ToLower(string(x.response.Upgrade()))
	asked := x.request.Upgrade()
	if protocol == "" || asked == nil || !lists(string(asked), protocol) || x.requestState != requestComplete {
		return "", errUnasked
	}
	if protocol == protocolWebSocket {
		accepts := fieldValues(&x.response.Header, "sec-websocket-accept")
		if len(accepts) != 1 || string(accepts[0]) != websocket.Accept(x.request.Get("sec-websocket-key")) {
			return "", errNotAgreed
		}
	}
	x.response.SetUpgrade(protocol)
	return protocol, nil
}
