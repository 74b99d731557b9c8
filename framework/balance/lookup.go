package balance

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer is the addresses of a name.
type Answer struct {
	Addresses []netip.Addr
	// Life is how long they may be used; 0: nobody knows.
	Life time.Duration
}

// Lookup looks a name up. An answer without addresses is an error.
type Lookup func(ctx context.Context, host string) (Answer, error)

// SystemLookup looks a name up as the system is configured: in its file of hosts, with
// its search domains, at its DNS servers. It is done by Go's own resolver, which does not
// tell how long an answer may be used; so a tap on its connections reads that.
func SystemLookup(ctx context.Context, host string) (Answer, error) {
	var dialer net.Dialer
	return lookUp(ctx, host, dialer.DialContext)
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

func lookUp(ctx context.Context, host string, dial dialFunc) (Answer, error) {
	t := tap{dial: dial}
	resolver := net.Resolver{PreferGo: true, Dial: t.connect}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return Answer{}, err
	}
	return Answer{addresses, t.answerLife()}, nil
}

// tap reads along what DNS servers answer.
type tap struct {
	dial dialFunc

	mu   sync.Mutex
	life time.Duration // the shortest of an answer; 0: there was none
}

func (t *tap) answerLife() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.life
}

// connect connects to a DNS server.
func (t *tap) connect(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := t.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if packets, ok := c.(*net.UDPConn); ok {
		return &tappedPackets{UDPConn: packets, tap: t}, nil
	}
	return &tappedStream{Conn: c, tap: t}, nil
}

// tappedPackets is a connection whose reads are messages each.
type tappedPackets struct {
	*net.UDPConn

	tap *tap
	id  uint16 // of the question
}

// Write notes which question is asked, so that nobody else's answer is read.
func (c *tappedPackets) Write(p []byte) (int, error) {
	if len(p) >= 2 {
		c.id = binary.BigEndian.Uint16(p)
	}
	return c.UDPConn.Write(p)
}

func (c *tappedPackets) Read(p []byte) (int, error) {
	n, err := c.UDPConn.Read(p)
	if n >= 2 && binary.BigEndian.Uint16(p) == c.id {
		c.tap.saw(p[:n])
	}
	return n, err
}

// tappedStream is a connection on which a message has its length before it.
type tappedStream struct {
	net.Conn

	tap  *tap
	seen []byte
}

// maxMessage bounds a DNS message with its length.
const maxMessage = 2 + 1<<16

func (c *tappedStream) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(c.seen)+n <= maxMessage {
		c.seen = append(c.seen, p[:n]...)
	}
	if len(c.seen) > 2 && len(c.seen) == 2+int(binary.BigEndian.Uint16(c.seen)) {
		c.tap.saw(c.seen[2:])
	}
	return n, err
}

// saw notes how long the answer in a message may be used.
func (t *tap) saw(message []byte) {
	life, ok := messageLife(message)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life == 0 || life < t.life {
		t.life = life
	}
}

// messageLife returns the shortest life of what a message answers; false if that is
// nothing. A life of 0 is one nanosecond.
func messageLife(message []byte) (life time.Duration, ok bool) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.RCode != dnsmessage.RCodeSuccess || header.Truncated || p.SkipAllQuestions() != nil {
		return 0, false
	}
	for {
		record, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) && ok {
			return max(life, 1), true
		}
		if err != nil || p.SkipAnswer() != nil {
			return 0, false
		}
		switch record.Type { //nolint:exhaustive // no others lead to an address
		case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME:
			if this := time.Duration(record.TTL) * time.Second; !ok || this < life {
				life, ok = this, true
			}
		}
	}
}
