package websocket

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// Compression is what two ends have agreed on for permessage-deflate. The zero value is
// no compression.
type Compression struct {
	Agreed bool
	// ClientContext and ServerContext say that a message of the client, or of the server,
	// may refer to those before it.
	ClientContext, ServerContext bool
	// ClientBits and ServerBits are the bits of the windows by which they compress, from
	// 8 to 15.
	ClientBits, ServerBits int
}

const deflateName = "permessage-deflate"

// Offer returns what a client's Sec-WebSocket-Extensions asks for without all that is not
// understood: the offers of permessage-deflate, as they were written; empty if none is
// left.
func Offer(values ...[]byte) string {
	var kept []string
	for _, value := range values {
		for extension := range bytes.SplitSeq(value, []byte{','}) { // no parameter of it has a comma
			if _, err := parseDeflate(extension, true); err == nil {
				kept = append(kept, string(trim(extension)))
			}
		}
	}
	return strings.Join(kept, ", ")
}

// ErrExtension answers Agreed if the server wants what has not been offered or is not
// understood.
var ErrExtension = errors.New("the server has chosen an extension that is not understood")

// Agreed returns what a server's Sec-WebSocket-Extensions has chosen of an offer.
func Agreed(offer string, values ...[]byte) (Compression, error) {
	var c Compression
	for _, value := range values {
		for extension := range bytes.SplitSeq(value, []byte{','}) {
			if len(trim(extension)) == 0 {
				continue
			}
			chosen, err := parseDeflate(extension, false)
			if err != nil || c.Agreed || offer == "" {
				return Compression{}, ErrExtension
			}
			c = chosen
		}
	}
	return c, nil
}

// parseDeflate reads an offer or a choice of permessage-deflate (RFC 7692, 7.1).
func parseDeflate(text []byte, offer bool) (Compression, error) {
	c := Compression{Agreed: true, ClientContext: true, ServerContext: true, ClientBits: maxWindowBits, ServerBits: maxWindowBits}
	name, rest, more := bytes.Cut(text, []byte{';'})
	if !strings.EqualFold(string(trim(name)), deflateName) {
		return Compression{}, ErrExtension
	}
	seen := make(map[string]bool)
	for more {
		var parameter []byte
		parameter, rest, more = bytes.Cut(rest, []byte{';'})
		key, value, given := strings.Cut(string(trim(parameter)), "=")
		key = strings.ToLower(strings.TrimSpace(key))
		value = strings.TrimSpace(value)
		if seen[key] {
			return Compression{}, ErrExtension
		}
		seen[key] = true
		ok := false
		switch key {
		case "client_no_context_takeover":
			c.ClientContext, ok = false, !given
		case "server_no_context_takeover":
			c.ServerContext, ok = false, !given
		case "client_max_window_bits":
			if offer && !given { // the client can do whatever is asked
				ok = true
				break
			}
			c.ClientBits, ok = windowBits(value)
		case "server_max_window_bits":
			c.ServerBits, ok = windowBits(value)
		}
		if !ok {
			return Compression{}, ErrExtension
		}
	}
	return c, nil
}

// windowBits reads the value of a parameter, in quotes or not.
func windowBits(text string) (int, bool) {
	if n := len(text); n > 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && text[0] != '0' && text[0] != '+' && n >= minWindowBits && n <= maxWindowBits
}

func trim(text []byte) []byte { return bytes.Trim(text, " \t") }
