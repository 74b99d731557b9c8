package websocket

import (
	"crypto/sha1" //nolint:gosec // RFC 6455, 4.2.2: it protects nothing
	"encoding/base64"
)

// Accept returns the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
func Accept(key []byte) string {
	const suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(append(make([]byte, 0, len(key)+len(suffix)), key...), suffix...)) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}
