package clienthello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var suites = []uint16{0x1301, 0xc02b}

// parse feeds raw in pieces of a size.
func parse(raw []byte, size int) (*Parser, error) {
	p := &Parser{}
	for piece := range slices.Chunk(raw, size) {
		if done, err := p.Parse(piece); done || err != nil {
			return p, err
		}
	}
	return p, nil
}

func TestHello(t *testing.T) {
	config := &tls.Config{ServerName: "Www.Example.org", NextProtos: []string{"h2", "http/1.1"}}
	raw := goHello(config)
	if len(raw) < 1400 {
		t.Errorf("a hello of %d bytes has no post-quantum key share", len(raw))
	}
	p, err := parse(raw, len(raw))
	if err != nil {
		t.Fatal(err)
	}
	h := p.Hello()
	if h == nil || h.ServerName != "www.example.org" || !slices.Equal(h.ALPN, config.NextProtos) ||
		!slices.Contains(h.Groups, uint16(tls.X25519MLKEM768)) || h.Version != tls.VersionTLS12 || h.Versions[0] != tls.VersionTLS13 {
		t.Errorf("%+v", h)
	}
	if !bytes.Equal(p.Received(), raw) {
		t.Error("what was received is lost")
	}
	agree(t, raw, h)
}

// agree compares a hello with what crypto/tls makes of it.
func agree(t *testing.T, raw []byte, h *Hello) {
	t.Helper()
	info := understood(raw)
	if info == nil {
		t.Fatalf("crypto/tls refuses what was taken: %x", raw)
	}
	theirs := Hello{
		Version: h.Version, ServerName: strings.ToLower(info.ServerName), ALPN: info.SupportedProtos, Versions: info.SupportedVersions,
		CipherSuites: info.CipherSuites, Extensions: info.Extensions, PointFormats: info.SupportedPoints,
	}
	for _, g := range info.SupportedCurves {
		theirs.Groups = append(theirs.Groups, uint16(g))
	}
	for _, s := range info.SignatureSchemes {
		theirs.SignatureSchemes = append(theirs.SignatureSchemes, uint16(s))
	}
	ours := *h
	if !ours.hasVersions && ours.Version > tls.VersionTLS12 {
		// Without supported_versions no more than TLS 1.2 is negotiated (RFC 8446,
		// section 4.2.1), whatever crypto/tls then reports.
		ours.Versions, theirs.Versions = nil, nil
	}
	if diff := cmp.Diff(ours, theirs, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Hello{})); diff != "" {
		t.Errorf("crypto/tls understands it otherwise (-ours +theirs):\n%s", diff)
	}
}

func TestEverySplit(t *testing.T) {
	message := build(0x0303, suites, sni("a.example"), alpn("h2"), versions(0x2a2a, 0x0304), ext{0x5a5a, nil})
	want, err := parse(whole(message), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1; size <= len(message); size++ {
		if len(message)/size+1 > maxRecords {
			continue
		}
		raw := records(message, size)
		for _, piece := range []int{1, 2, 3, size, len(raw)} {
			p, err := parse(raw, piece)
			if err != nil || !reflect.DeepEqual(p.Hello(), want.Hello()) {
				t.Fatalf("records of %d bytes in pieces of %d: %+v, %v", size, piece, p.Hello(), err)
			}
		}
	}
	raw := whole(message)
	for at := range raw {
		p := &Parser{}
		if done, err := p.Parse(raw[:at]); done || err != nil {
			t.Fatalf("after %d bytes: %t, %v", at, done, err)
		}
		done, err := p.Parse(append(slices.Clone(raw[at:]), "behind it"...))
		if !done || err != nil || !reflect.DeepEqual(p.Hello(), want.Hello()) || !bytes.HasSuffix(p.Received(), []byte("behind it")) {
			t.Fatalf("split at %d: %t, %v", at, done, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	hello := func(extensions ...ext) []byte { return whole(build(0x0303, suites, extensions...)) }
	list := func(data ...byte) []byte { return data }
	for name, c := range map[string]struct {
		raw   []byte
		alert Alert
		says  string
	}{
		"HTTP":                     {[]byte("GET / HTTP/1.1\r\n\r\n"), NoAlert, "does not speak TLS"},
		"SSH":                      {[]byte("SSH-2.0-OpenSSH"), NoAlert, "does not speak TLS"},
		"zeros":                    {make([]byte, 20), NoAlert, "does not speak TLS"},
		"SSL 2.0":                  {[]byte{0x80, 0x2e, 1, 3, 1, 0, 0x15}, ProtocolVersion, "SSL 2.0"},
		"noise with the high bit":  {[]byte{0xff, 0xfe, 0xfd}, NoAlert, "does not speak TLS"},
		"an alert":                 {[]byte{21, 3, 1, 0, 2, 1, 0}, NoAlert, "does not speak TLS"},
		"version 5":                {[]byte{22, 5, 0, 0, 2, 1, 0}, NoAlert, "version 5"},
		"later version 5":          {append(records(build(0x0303, suites), 10)[:15], 22, 5, 0, 0, 2), ProtocolVersion, "version 5"},
		"an empty record":          {[]byte{22, 3, 1, 0, 0}, UnexpectedMessage, "empty"},
		"a later empty record":     {append(records(build(0x0303, suites), 10)[:15], 22, 3, 1, 0, 0), UnexpectedMessage, "empty"},
		"an interruption":          {append(records(build(0x0303, suites), 10)[:15], 20, 3, 1, 0, 1, 1), UnexpectedMessage, "type 20"},
		"a record too long":        {[]byte{22, 3, 1, 0x40, 1}, RecordOverflow, "16385"},
		"another message":          {whole([]byte{2, 0, 0, 1, 0}), UnexpectedMessage, "type 2"},
		"too long":                 {whole([]byte{1, 0, 0x40, 1, 0}), DecodeError, "16385"},
		"too many records":         {records(build(0x0303, suites, ext{21, make([]byte, 100)}), 1), DecodeError, "records"},
		"something behind":         {whole(append(build(0x0303, suites), 1)), UnexpectedMessage, "follows"},
		"nothing in it":            {whole([]byte{1, 0, 0, 0}), DecodeError, "too early"},
		"SSL 1.0":                  {whole(build(0x0200, suites)), ProtocolVersion, "0x0200"},
		"no suites":                {whole(build(0x0303, nil)), DecodeError, "cipher suite"},
		"half a suite":             {whole(append([]byte{1}, vec(3, append(make([]byte, 35), 0, 1, 0x13, 1, 0))...)), DecodeError, "too early"},
		"twice the same":           {hello(sni("a"), sni("a")), IllegalParameter, "twice"},
		"two names":                {hello(ext{0, vec(2, append(append([]byte{0}, vec(2, []byte("a"))...), append([]byte{0}, vec(2, []byte("b"))...)...))}), IllegalParameter, "two servers"},
		"a name with a dot behind": {hello(sni("a.example.")), IllegalParameter, "not the name of a host"},
		"a name with NUL":          {hello(sni("a\x00b")), IllegalParameter, "not the name of a host"},
		"a name with a line":       {hello(sni("a\nb")), IllegalParameter, "not the name of a host"},
		"a name too long":          {hello(sni(strings.Repeat("a", 254))), IllegalParameter, "not the name of a host"},
		"an empty name":            {hello(sni("")), DecodeError, "extension 0 "},
		"no names":                 {hello(ext{0, list(0, 0)}), DecodeError, "extension 0 "},
		"no protocols":             {hello(ext{16, list(0, 0)}), DecodeError, "extension 16 "},
		"an empty protocol":        {hello(alpn("")), DecodeError, "extension 16 "},
		"no versions":              {hello(versions()), DecodeError, "extension 43 "},
		"half a version":           {hello(ext{43, list(3, 3, 4, 3)}), DecodeError, "extension 43 "},
		"no groups":                {hello(ext{10, list(0, 0)}), DecodeError, "extension 10 "},
		"no schemes":               {hello(ext{13, list(0, 0)}), DecodeError, "extension 13 "},
		"no schemes for chains":    {hello(ext{50, list(0, 0)}), DecodeError, "extension 50 "},
		"no point formats":         {hello(ext{11, list(0)}), DecodeError, "extension 11 "},
		"an empty cookie":          {hello(ext{44, list(0, 0)}), DecodeError, "extension 44 "},
		"an empty share":           {hello(ext{51, list(0, 4, 0, 29, 0, 0)}), DecodeError, "extension 51 "},
		"a key that is not last":   {hello(ext{41, nil}, sni("a")), IllegalParameter, "last"},
		"no identities":            {hello(ext{41, list(0, 0, 0, 0)}), DecodeError, "extension 41 "},
		"an inner hello":           {hello(ext{0xfe0d, list(1)}), DecodeError, "extension 65037 "},
		"something in an empty":    {hello(ext{23, list(0)}), DecodeError, "extension 23 "},
		"an extension cut off":     {whole(build(0x0303, suites, ext{0x5a5a, nil})[:52]), DecodeError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, len(c.raw)} {
				p, err := parse(c.raw, size)
				if name == "an extension cut off" { // then more is to come
					if err != nil || p.Hello() != nil {
						t.Errorf("%v", err)
					}
					continue
				}
				var mistake *Error
				if !errors.As(err, &mistake) || mistake.Alert != c.alert || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("in pieces of %d: %v, want alert %d that says %q", size, err, c.alert, c.says)
				}
				if p.Hello() != nil {
					t.Error("there is a hello all the same")
				}
				if _, again := p.Parse([]byte("more")); !errors.Is(again, err) {
					t.Errorf("then %v", again)
				}
			}
		})
	}
}

// TestEndless sends hellos that never end: the parser must stop by itself.
func TestEndless(t *testing.T) {
	for _, record := range []int{1, 100, maxRecordPayload} {
		p := &Parser{}
		message := append([]byte{1, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)
		var err error
		for piece := range slices.Chunk(records(message, record), 100) {
			if _, err = p.Parse(piece); err != nil {
				break
			}
		}
		if err == nil || len(p.Received()) > 200 {
			t.Errorf("records of %d bytes: %d were kept, %v", record, len(p.Received()), err)
		}
	}
}

// TestJA4 has the fingerprints that were published together with what they were made of.
func TestJA4(t *testing.T) {
	for want, c := range map[string]struct{ suites, extensions, schemes, protocol string }{
		"t13d1516h2_8daaf6152771_e5627efa2ab1": {
			"002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9",
			"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01", "0403,0804,0401,0503,0805,0501,0806,0601", "h2",
		},
		"t13d1516h2_8daaf6152771_d8a2da3f94cd": {
			"1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
			"002d,0033,fe0d,0017,44cd,000b,000a,002b,ff01,0023,0012,0005,000d,001b", "0403,0804,0401,0503,0805,0501,0806,0601", "h2",
		},
		"t13d1011h2_61a7ad8aa9b6_3fcd1a44f3e3": {
			"00ff,1301,1302,1303,c02b,c02c,c02f,c030,cca8,cca9",
			"0005,000a,000b,000d,0017,0023,002b,002d,0033", "0503,0403,0807,0806,0805,0804,0601,0501,0401", "h2",
		},
	} {
		h := Hello{
			Version: 0x0303, ALPN: []string{c.protocol}, Versions: []uint16{0x1a1a, 0x0304, 0x0303}, hasVersions: true,
			CipherSuites: append([]uint16{0x0a0a}, numbers(t, c.suites)...), SignatureSchemes: append(numbers(t, c.schemes), 0xfafa),
			Extensions: append([]uint16{0xdada, extServerName, extALPN}, numbers(t, c.extensions)...),
		}
		if got := h.JA4(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestJA4Corners(t *testing.T) {
	for want, h := range map[string]Hello{
		"t00i000000_000000000000_000000000000": {},
		"t12i0000h1_000000000000_000000000000": {Version: 0x0303, ALPN: []string{"http/1.1"}},
		"ts3i0000xx_000000000000_000000000000": {Version: 0x0300, ALPN: []string{"x"}},
		"t11i0000ab_000000000000_000000000000": {Version: 0x0302, ALPN: []string{"\xab"}},
		"t10i000031_000000000000_000000000000": {Version: 0x0301, ALPN: []string{"0\xa1"}},
	} {
		if got := h.JA4(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	many := Hello{Version: 0x0303, CipherSuites: make([]uint16, 120)}
	if got := many.JA4(); !strings.HasPrefix(got, "t12i990000_") {
		t.Error(got)
	}
}

// FuzzParser checks that a hello is understood as crypto/tls does, or refused, and that
// it does not matter where it was cut.
func FuzzParser(f *testing.F) {
	f.Add(goHello(&tls.Config{ServerName: "www.example.org", NextProtos: []string{"h2"}}), 7)
	f.Add(goHello(&tls.Config{ServerName: "a.example", MaxVersion: tls.VersionTLS12}), 1) //nolint:gosec // an old client
	f.Add(records(build(0x0303, suites, sni("a"), alpn("h2", "x"), versions(0x0304), schemes(0x0403), ext{0x1a1a, []byte{0}}), 5), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n"), 2)
	f.Fuzz(func(t *testing.T, raw []byte, size int) {
		if len(raw) == 0 {
			return
		}
		whole, err := parse(raw, len(raw))
		cut, cutErr := parse(raw, 1+(size&0x7fff)%len(raw))
		if (err == nil) != (cutErr == nil) || err != nil && err.Error() != cutErr.Error() || !reflect.DeepEqual(whole.Hello(), cut.Hello()) {
			t.Fatalf("in one piece %+v, %v; in several %+v, %v", whole.Hello(), err, cut.Hello(), cutErr)
		}
		if h := whole.Hello(); h != nil {
			agree(t, raw, h)
			if len(h.JA4()) != 36 {
				t.Error(h.JA4())
			}
		}
	})
}
