package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const testLimit = 70_000

// frame makes a frame of its first byte and a payload; a client's is masked.
func frame(masked bool, first byte, payload string) string {
	f := Frame{Opcode: Opcode(first & 0x0f), Final: first&bitFin != 0, Compressed: first&bitCompressed != 0, Masked: masked, Key: [4]byte{1, 2, 3, 4}}
	b := f.Append(nil, []byte(payload))
	b[0] |= first & bitsReserved
	return string(b)
}

func server(first byte, payload string) string { return frame(false, first, payload) }

// deflated compresses texts as the messages of one sender, each of which refers to those
// before it.
func deflated(tb testing.TB, texts ...string) (messages []string) {
	tb.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	for _, text := range texts {
		out.Reset()
		if _, err := w.Write([]byte(text)); err != nil {
			tb.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
		messages = append(messages, strings.TrimSuffix(out.String(), string(tail[:4])))
	}
	return messages
}

// read reads a stream in pieces, and returns its messages and the error at the end.
func read(masked bool, compressed bool, pieces ...[]byte) string {
	var inflater *Inflater
	if compressed {
		inflater = new(Inflater)
	}
	r := NewReader(masked, testLimit, inflater, true)
	var b strings.Builder
	for _, piece := range pieces {
		for {
			n, m, done, err := r.Next(piece)
			piece = piece[n:]
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					panic(err)
				}
				fmt.Fprintf(&b, "%d %s", e.Code, e.Reason)
				return b.String()
			}
			if !done {
				if len(piece) > 0 {
					panic("something is left")
				}
				break
			}
			data := string(m.Data)
			if len(data) > 100 {
				data = fmt.Sprintf("%d of %.3s", len(data), data)
			}
			fmt.Fprintf(&b, "%x:%s ", m.Opcode, data)
		}
	}
	return b.String()
}

func TestReader(t *testing.T) {
	long := strings.Repeat("abc", 20_000)
	zipped := deflated(t, "hello hello hello", "hello again, hello", strings.Repeat("x", testLimit), strings.Repeat("y", testLimit+1))
	for _, test := range []struct {
		name, stream, want string
		client, compressed bool
	}{
		{name: "a text", stream: server(0x81, "Hello"), want: "1:Hello "},
		{name: "a masked one", client: true, stream: frame(true, 0x81, "Hello"), want: "1:Hello "},
		{name: "an empty one", stream: server(0x82, ""), want: "2: "},
		{name: "several", stream: server(0x81, "a") + server(0x82, "b"), want: "1:a 2:b "},
		{name: "125", stream: server(0x82, long[:125]), want: "2:125 of abc "},
		{name: "126", stream: server(0x82, long[:126]), want: "2:126 of abc "},
		{name: "65535", stream: server(0x82, long+long[:5535]), want: "2:65535 of abc "},
		{name: "65536", stream: server(0x82, long+long[:5536]), want: "2:65536 of abc "},
		{name: "masked and long", client: true, stream: frame(true, 0x82, long), want: "2:60000 of abc "},
		{name: "fragments", stream: server(0x01, "a") + server(0x00, "") + server(0x80, "b"), want: "1:ab "},
		{name: "masked fragments", client: true, stream: frame(true, 0x01, "abc") + frame(true, 0x80, "def"), want: "1:abcdef "},
		{name: "many empty fragments", stream: server(0x01, "a") + strings.Repeat(server(0x00, ""), 1000) + server(0x80, "b"), want: "1:ab "},
		{name: "a ping between fragments", stream: server(0x02, "a") + server(0x89, "p") + server(0x80, "b"), want: "9:p 2:ab "},
		{name: "a character cut in two", stream: server(0x01, "\xc3") + server(0x80, "\xa4"), want: "1:ä "},
		{name: "a pong", stream: server(0x8a, ""), want: "a: "},
		{name: "a close", stream: server(0x88, "\x03\xe8bye"), want: "8:\x03\xe8bye "},
		{name: "a close without a code", stream: server(0x88, ""), want: "8: "},
		{name: "binary is any bytes", stream: server(0x82, "\xff"), want: "2:\xff "},

		{name: "RSV1", stream: server(0xc1, "a"), want: "1002 a reserved bit is set"},
		{name: "RSV2", stream: server(0xa1, "a"), want: "1002 a reserved bit is set"},
		{name: "RSV3", stream: server(0x91, "a"), want: "1002 a reserved bit is set"},
		{name: "RSV2 with compression", compressed: true, stream: server(0xe1, "a"), want: "1002 a reserved bit is set"},
		{name: "RSV1 of a continuation", compressed: true, stream: server(0x01, "a") + server(0xc0, "a"), want: "1002 a reserved bit is set"},
		{name: "RSV1 of a ping", compressed: true, stream: server(0xc9, "a"), want: "1002 a reserved bit is set"},
		{name: "opcode 3", stream: server(0x83, "a"), want: "1002 a reserved opcode"},
		{name: "opcode 11", stream: server(0x8b, "a"), want: "1002 a reserved opcode"},
		{name: "a client without a mask", client: true, stream: server(0x81, "a"), want: "1002 a frame of the client is not masked"},
		{name: "a server with a mask", stream: frame(true, 0x81, "a"), want: "1002 a frame of the server is masked"},
		{name: "16 bits for a short length", stream: "\x82\x7e\x00\x7d", want: "1002 a length is not written in its shortest form"},
		{name: "64 bits for a short length", stream: "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", want: "1002 a length is not written in its shortest form"},
		{name: "64 bits", stream: "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", want: "1002 a length has more than 63 bits"},
		{name: "63 bits", stream: "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", want: "1009 a message is too long"},
		{name: "a long ping", stream: server(0x89, long[:126]), want: "1002 a control frame is longer than 125 bytes"},
		{name: "a ping in parts", stream: server(0x09, "a"), want: "1002 a control frame is fragmented"},
		{name: "a continuation of nothing", stream: server(0x80, "a"), want: "1002 a continuation of nothing"},
		{name: "a continuation behind the end", stream: server(0x81, "a") + server(0x80, "a"), want: "1:a 1002 a continuation of nothing"},
		{name: "a text in a message", stream: server(0x01, "a") + server(0x81, "a"), want: "1002 a message begins inside another"},
		{name: "no UTF-8", stream: server(0x81, "\xff"), want: "1007 a text is not UTF-8"},
		{name: "a surrogate", stream: server(0x81, "\xed\xa0\x80"), want: "1007 a text is not UTF-8"},
		{name: "half a character", stream: server(0x81, "\xc3"), want: "1007 a text is not UTF-8"},
		{name: "half a code", stream: server(0x88, "\x03"), want: "1002 a close has half a code"},
		{name: "code 1005", stream: server(0x88, "\x03\xed"), want: "1002 a close code that must not be sent"},
		{name: "code 999", stream: server(0x88, "\x03\xe7"), want: "1002 a close code that must not be sent"},
		{name: "code 5000", stream: server(0x88, "\x13\x88"), want: "1002 a close code that must not be sent"},
		{name: "a close reason that is no UTF-8", stream: server(0x88, "\x03\xe8\xff"), want: "1007 the reason of a close is not UTF-8"},
		{name: "as long as may be", stream: server(0x82, long+long[:10_000]), want: "2:70000 of abc "},
		{name: "too long", stream: server(0x82, long+long[:10_001]), want: "1009 a message is too long"},
		{name: "too long in fragments", stream: server(0x02, long) + server(0x80, long[:10_001]), want: "1009 a message is too long"},

		{name: "compressed", compressed: true, stream: server(0xc1, zipped[0]) + server(0xc1, zipped[1]), want: "1:hello hello hello 1:hello again, hello "},
		{name: "compressed in fragments", compressed: true, stream: server(0x41, zipped[0][:3]) + server(0x89, "") + server(0x80, zipped[0][3:]), want: "9: 1:hello hello hello "},
		{name: "not every one is", compressed: true, stream: server(0xc1, zipped[0]) + server(0x81, "plain") + server(0xc1, zipped[1]), want: "1:hello hello hello 1:plain 1:hello again, hello "},
		{name: "compressed, as long as may be", compressed: true, stream: server(0xc1, zipped[0]) + server(0xc1, zipped[1]) + server(0xc1, zipped[2]), want: "1:hello hello hello 1:hello again, hello 1:70000 of xxx "},
		{name: "a bomb", compressed: true, stream: server(0xc2, deflated(t, strings.Repeat("y", 100*testLimit))[0]), want: "1009 a message is too long"},
		{name: "one byte too long", compressed: true, stream: server(0xc2, deflated(t, strings.Repeat("y", testLimit+1))[0]), want: "1009 a message is too long"},
		{name: "an empty one, compressed", compressed: true, stream: server(0xc1, "\x00"), want: "1: "},
		{name: "damaged", compressed: true, stream: server(0xc1, "\xff\xff\xff"), want: "1007 a compressed message is damaged"},
		{name: "incomplete", compressed: true, stream: server(0xc1, zipped[0][:4]), want: "1007 a compressed message is damaged"},
		{name: "before anything that it refers to", compressed: true, stream: server(0xc1, zipped[1]), want: "1007 a compressed message is damaged"},
		{name: "compressed and no UTF-8", compressed: true, stream: server(0xc1, deflated(t, "\xff")[0]), want: "1007 a text is not UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := []byte(test.stream)
			if got := read(test.client, test.compressed, stream); got != test.want {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			step := 1 + len(stream)/200
			for cut := 0; cut < len(stream); cut += step {
				if got := read(test.client, test.compressed, stream[:cut], stream[cut:]); got != test.want {
					t.Fatalf("cut at %d: got %q, want %q", cut, got, test.want)
				}
			}
			var pieces [][]byte
			for i := range stream {
				pieces = append(pieces, stream[i:i+1])
			}
			if got := read(test.client, test.compressed, pieces...); got != test.want {
				t.Fatalf("byte by byte: got %q, want %q", got, test.want)
			}
		})
	}
}

// Messages refer to those before over the whole window.
func TestReaderWindow(t *testing.T) {
	texts := make([]string, 0, 200)
	for i := range cap(texts) {
		texts = append(texts, strings.Repeat(fmt.Sprintf("%d and ", i%40), 100))
	}
	r := NewReader(false, testLimit, new(Inflater), true)
	for i, zipped := range deflated(t, texts...) {
		_, m, done, err := r.Next([]byte(server(0xc1, zipped)))
		if err != nil || !done || string(m.Data) != texts[i] {
			t.Fatalf("message %d: %v %v", i, done, err)
		}
	}
}

// What a Deflater makes can be read by whoever has agreed on the window.
func TestDeflate(t *testing.T) {
	var d Deflater
	for _, test := range []struct {
		text string
		bits int
		want bool
	}{
		{strings.Repeat("ab", 100), 15, true},
		{strings.Repeat("ab", 100), 8, true},
		{strings.Repeat("ab", 129), 8, false},
		{strings.Repeat("ab", 50_000), 15, true},
		{"a", 15, false},
		{"", 15, false},
	} {
		zipped := d.Deflate([]byte(test.text), test.bits)
		if (zipped != nil) != test.want {
			t.Fatalf("%.10q for a window of %d bits: %d bytes", test.text, test.bits, len(zipped))
		}
		if zipped == nil {
			continue
		}
		_, m, done, err := NewReader(false, 200_000, new(Inflater), false).Next([]byte(server(0xc1, string(zipped))))
		if err != nil || !done || string(m.Data) != test.text {
			t.Errorf("%.10q: %v %v", test.text, done, err)
		}
	}
}

func TestReaderAllocations(t *testing.T) {
	r := NewReader(true, testLimit, nil, false)
	stream := []byte(frame(true, 0x81, strings.Repeat("hello", 20)))
	if n := testing.AllocsPerRun(100, func() {
		if _, _, done, err := r.Next(stream); !done || err != nil {
			t.Fatal(done, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestOffer(t *testing.T) {
	for _, test := range []struct{ offer, want string }{
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"},
		{"x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"},
		{"permessage-deflate; server_max_window_bits=10; client_no_context_takeover , permessage-deflate", "permessage-deflate; server_max_window_bits=10; client_no_context_takeover, permessage-deflate"},
		{"permessage-deflate; server_max_window_bits", ""},
		{"permessage-deflate; server_max_window_bits=7", ""},
		{"permessage-deflate; server_max_window_bits=08", ""},
		{"permessage-deflate; client_no_context_takeover=1", ""},
		{"permessage-deflate; x=1", ""},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits=9", ""},
		{"", ""},
	} {
		if got := Offer([]byte(test.offer)); got != test.want {
			t.Errorf("%q: %q, want %q", test.offer, got, test.want)
		}
	}
}

func TestAgreed(t *testing.T) {
	const offer = "permessage-deflate; client_max_window_bits"
	for _, test := range []struct {
		offer, choice string
		want          Compression
		fails         bool
	}{
		{offer, "", Compression{}, false},
		{"", "", Compression{}, false},
		{offer, "Permessage-Deflate", Compression{true, true, true, 15, 15}, false},
		{offer, `permessage-deflate; server_no_context_takeover; client_max_window_bits="9"`, Compression{true, true, false, 9, 15}, false},
		{offer, "permessage-deflate; client_no_context_takeover; server_max_window_bits=8", Compression{true, false, true, 15, 8}, false},
		{"", "permessage-deflate", Compression{}, true},
		{offer, "permessage-deflate, permessage-deflate", Compression{}, true},
		{offer, "permessage-bzip2", Compression{}, true},
		{offer, "permessage-deflate; client_max_window_bits", Compression{}, true},
	} {
		got, err := Agreed(test.offer, []byte(test.choice))
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("%q of %q: %+v %v", test.choice, test.offer, got, err)
		}
	}
}

func TestClose(t *testing.T) {
	p := AppendClose(nil, CodePolicy, strings.Repeat("ä", 100))
	code, reason, err := ParseClose(p)
	if code != CodePolicy || string(reason) != strings.Repeat("ä", 61) || err != nil {
		t.Errorf("%d %q %v", code, reason, err)
	}
	if p := AppendClose(nil, CodeNoStatus, "x"); p != nil {
		t.Errorf("%q", p)
	}
}

// FuzzReader checks that reading a stream never panics, and does not depend on where the
// bytes are cut; and that what has been read, written anew, is read as the same.
func FuzzReader(f *testing.F) {
	for _, stream := range []string{
		server(0x81, "Hello"), frame(true, 0x81, "Hello"), server(0x01, "a") + server(0x89, "p") + server(0x80, "b"), server(0x88, "\x03\xe8bye"),
		server(0xc1, deflated(f, "hello hello hello")[0]), "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(stream), uint16(len(stream)/2), uint8(0))
		f.Add([]byte(stream), uint16(1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16, how uint8) {
		masked, compressed := how&1 != 0, how&2 != 0
		want := read(masked, compressed, stream)
		at := int(cut) % (len(stream) + 1)
		if got := read(masked, compressed, stream[:at], stream[at:]); got != want {
			t.Fatalf("cut at %d: %q, want %q", at, got, want)
		}
		var inflater *Inflater
		if compressed {
			inflater = new(Inflater)
		}
		r := NewReader(masked, testLimit, inflater, true)
		for {
			n, m, done, err := r.Next(stream)
			stream = stream[n:]
			if !done || err != nil {
				return
			}
			out := Frame{Opcode: m.Opcode, Final: true, Masked: true, Key: [4]byte{9, 8, 7, 6}}
			_, again, done, err := NewReader(true, testLimit, nil, false).Next(out.Append(nil, m.Data))
			if !done || err != nil || again.Opcode != m.Opcode || !bytes.Equal(again.Data, m.Data) {
				t.Fatalf("written anew: %+v %v %v, want %+v", again, done, err, m)
			}
		}
	})
}
