package balance

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// zone is what a DNS server for tests knows: names to records.
type zone map[string][]record

type record struct {
	ttl   uint32
	alias string // or else an address
	ip    string
}

// answer answers a question; too many records for a datagram are left out unless it
// comes over a stream.
func (z zone) answer(question []byte, stream bool) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	records := z[q.Name.String()]
	if len(records) == 0 {
		reply.RCode = dnsmessage.RCodeNameError
	}
	if len(records) > 20 && !stream {
		reply.Truncated, records = true, nil
	}
	for _, r := range records {
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: r.ttl}
		if r.alias != "" {
			alias := dnsmessage.MustNewName(r.alias)
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rh, Body: &dnsmessage.CNAMEResource{CNAME: alias}})
			for _, target := range z[r.alias] {
				ip := netip.MustParseAddr(target.ip)
				if q.Type == dnsmessage.TypeA && ip.Is4() {
					rh.Name, rh.TTL = alias, target.ttl
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rh, Body: &dnsmessage.AResource{A: ip.As4()}})
				}
			}
			continue
		}
		switch ip := netip.MustParseAddr(r.ip); {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rh, Body: &dnsmessage.AResource{A: ip.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !ip.Is4():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rh, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	return reply.Pack()
}

// serveZone runs a DNS server and returns how to connect to it.
func serveZone(t *testing.T, z zone) dialFunc {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if runtime.GOOS == "windows" && err != nil {
		t.Skipf("Wine lacks a control code that Go's UDP sockets ask for: %v", err)
	}
	must(t, err)
	streams, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	must(t, err)
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		buf := make([]byte, 1<<16)
		for {
			n, from, err := packets.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, err := z.answer(buf[:n], false); err == nil {
				_, _ = packets.WriteTo(append([]byte{^reply[0], ^reply[1]}, stranger(reply)...), from) // with another ID
				_, _ = packets.WriteTo(reply, from)
			}
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			_, _ = io.ReadFull(c, length[:])
			question := make([]byte, binary.BigEndian.Uint16(length[:]))
			_, _ = io.ReadFull(c, question)
			if reply, err := z.answer(question, true); err == nil {
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = packets.Close()
		_ = streams.Close()
		<-ended
		<-ended
	})
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		if network == "tcp" {
			return d.DialContext(ctx, network, streams.Addr().String())
		}
		return d.DialContext(ctx, network, packets.LocalAddr().String())
	}
}

// stranger is the rest of an answer that is not to the question, with a short life.
func stranger(reply []byte) []byte {
	forged := slices.Clone(reply[2:])
	if n := len(forged); n > 10 {
		copy(forged[n-10:], []byte{0, 0, 0, 1})
	}
	return forged
}

func TestLookup(t *testing.T) {
	z := zone{
		"one.example.":   {{ttl: 300, ip: "10.0.0.1"}},
		"two.example.":   {{ttl: 300, ip: "10.0.0.1"}, {ttl: 60, ip: "10.0.0.2"}, {ttl: 20, ip: "fd00::1"}},
		"alias.example.": {{ttl: 7, alias: "one.example."}},
		"none.example.":  {{ttl: 0, ip: "10.0.0.1"}},
	}
	for i := range 30 {
		z["many.example."] = append(z["many.example."], record{ttl: uint32(100 + i), ip: netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String()})
	}
	dial := serveZone(t, z)
	for _, test := range []struct {
		host      string
		addresses int
		life      time.Duration
	}{
		{"one.example", 1, 300 * time.Second},
		{"two.example", 3, 20 * time.Second},
		{"alias.example", 1, 7 * time.Second},
		{"none.example", 1, 1},
		{"many.example", 30, 100 * time.Second},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		a, err := lookUp(ctx, test.host+".", dial)
		cancel()
		if err != nil || len(a.Addresses) != test.addresses || a.Life != test.life {
			t.Errorf("%s: %d addresses for %v, %v; not %d for %v", test.host, len(a.Addresses), a.Life, err, test.addresses, test.life)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if a, err := lookUp(ctx, "missing.example.", dial); err == nil {
		t.Errorf("a name that is not there: %+v", a)
	}
}

// FuzzMessageLife sees that no message, however broken, does harm.
func FuzzMessageLife(f *testing.F) {
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("a."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packed, err := question.Pack()
	must(f, err)
	reply, err := zone{"a.": {{ttl: 5, ip: "10.0.0.1"}}}.answer(packed, false)
	must(f, err)
	f.Add(packed)
	f.Add(reply)
	f.Fuzz(func(t *testing.T, message []byte) {
		life, ok := messageLife(message)
		if ok && life <= 0 || !ok && life != 0 {
			t.Errorf("%v, %v", life, ok)
		}
	})
}
