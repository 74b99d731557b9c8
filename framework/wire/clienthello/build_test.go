package clienthello

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ext is an extension of a hello that a test builds.
type ext struct {
	id   uint16
	data []byte
}

// build makes the message of a hello, header included.
func build(version uint16, suites []uint16, extensions ...ext) []byte {
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, make([]byte, 32)...)
	body = append(body, 0)
	body = append(body, vec(2, u16s(suites...))...)
	body = append(body, 1, 0)
	if len(extensions) > 0 {
		var all []byte
		for _, e := range extensions {
			all = binary.BigEndian.AppendUint16(all, e.id)
			all = append(all, vec(2, e.data)...)
		}
		body = append(body, vec(2, all)...)
	}
	return append([]byte{typeClientHello}, vec(3, body)...)
}

// vec puts the length, a number of so many bytes, before data.
func vec(size int, data []byte) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	return append(length[4-size:], data...)
}

func u16s(list ...uint16) (b []byte) {
	for _, n := range list {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

func sni(name string) ext {
	return ext{extServerName, vec(2, append([]byte{0}, vec(2, []byte(name))...))}
}

func alpn(protocols ...string) ext {
	list := make([]byte, 0, 16*len(protocols))
	for _, p := range protocols {
		list = append(list, vec(1, []byte(p))...)
	}
	return ext{extALPN, vec(2, list)}
}

func versions(list ...uint16) ext { return ext{extVersions, vec(1, u16s(list...))} }

func schemes(list ...uint16) ext { return ext{extSignatureSchemes, vec(2, u16s(list...))} }

// records puts a message into records of at most so many bytes.
func records(message []byte, most int) (b []byte) {
	for len(message) > 0 {
		n := min(most, len(message))
		b = append(b, recordHandshake, 3, 1)
		b = append(b, vec(2, message[:n])...)
		message = message[n:]
	}
	return b
}

// whole puts a message into one record.
func whole(message []byte) []byte { return records(message, maxRecordPayload) }

// numbers reads a list as fingerprints have it.
func numbers(tb testing.TB, list string) (all []uint16) {
	tb.Helper()
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(text, 16, 16)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, uint16(n))
	}
	return all
}

// script is a net.Conn that has been sent some bytes, and keeps what is sent.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)         { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)        { return s.out.Write(b) }
func (s *script) Close() error                       { return nil }
func (s *script) SetWriteDeadline(t time.Time) error { return nil }

// goHello returns what crypto/tls sends first.
func goHello(config *tls.Config) []byte {
	s := &script{in: strings.NewReader("")}
	_ = tls.Client(s, config).HandshakeContext(context.Background()) // nobody answers
	return s.out.Bytes()
}

// understood returns how crypto/tls understands a hello; nil if it refuses it.
func understood(raw []byte) (info *tls.ClientHelloInfo) {
	server := tls.Server(&script{in: bytes.NewReader(raw)}, &tls.Config{
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			info = i
			return nil, io.EOF
		},
	})
	_ = server.HandshakeContext(context.Background()) // it is refused
	return info
}
