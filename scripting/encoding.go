package scripting

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var base64Functions = []binding{
	{
		"encode", base64Encode, "(data: bytes, url_safe?: boolean) -> string",
		"With padding; `url_safe` has `-` and `_` for `+` and `/`, and no padding.",
	},
	{
		"decode", base64Decode, "(text: bytes) -> string or fail",
		"Either alphabet, with padding or without; line breaks are left out. `\"EINVAL\"`: it is none.",
	},
}

var hexFunctions = []binding{
	{"encode", hexEncode, "(data: bytes) -> string", "Two digits for each byte, in lower case."},
	{"decode", hexDecode, "(text: bytes) -> string or fail", "`\"EINVAL\"`: it is none."},
}

// argPaid is argBytes for a function that makes a string of all of it, several
// times as long perhaps. The work counts.
func (s *state) argPaid(L *lua.LState, n, times int) []byte {
	data := argBytes(L, n)
	if times*len(data) > maxStringSize {
		s.checkSize(L, times*len(data))
	}
	s.meter.charge(times * len(data) / processedPerInstruction)
	return data
}

func base64Encode(s *state, L *lua.LState) int {
	data := s.argPaid(L, 1, 2)
	if L.ToBool(2) {
		return give(L, lua.LString(base64.RawURLEncoding.EncodeToString(data)))
	}
	return give(L, lua.LString(base64.StdEncoding.EncodeToString(data)))
}

// standardAlphabet replaces what the URL-safe one has instead.
var standardAlphabet = strings.NewReplacer("-", "+", "_", "/", "\r", "", "\n", "")

func base64Decode(s *state, L *lua.LState) int {
	text := strings.TrimRight(standardAlphabet.Replace(string(s.argPaid(L, 1, 2))), "=")
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return giveError(L, invalid("fwx.base64.decode: the text is not base64"))
	}
	return s.giveBytes(L, data)
}

func hexEncode(s *state, L *lua.LState) int {
	return give(L, lua.LString(hex.EncodeToString(s.argPaid(L, 1, 2))))
}

func hexDecode(s *state, L *lua.LState) int {
	data, err := hex.DecodeString(string(s.argPaid(L, 1, 1)))
	if err != nil {
		return giveError(L, invalid("fwx.hex.decode: the text is not hexadecimal"))
	}
	return s.giveBytes(L, data)
}

// invalid is the error of text that is not what it must be.
func invalid(message string) error { return &codedError{message, "EINVAL"} }

// intReader is a function that reads an integer of some bytes.
type intReader struct {
	name string
	size int
	read func([]byte) uint32
	doc  string
}

var intReaders = []intReader{
	{"u8", 1, func(b []byte) uint32 { return uint32(b[0]) }, "The byte at a position."},
	{"u16", 2, func(b []byte) uint32 { return uint32(binary.BigEndian.Uint16(b)) }, "Two bytes, the high one first."},
	{"u32", 4, binary.BigEndian.Uint32, "Four bytes, the highest first."},
	{"u16le", 2, func(b []byte) uint32 { return uint32(binary.LittleEndian.Uint16(b)) }, "Two bytes, the low one first."},
	{"u32le", 4, binary.LittleEndian.Uint32, "Four bytes, the lowest first."},
}

// intBindings returns the readers as bindings with a signature.
func intBindings(sig string) (all []binding) {
	for _, r := range intReaders {
		all = append(all, binding{r.name, r.call, sig, r.doc + " `nil` if they are not all there."})
	}
	return all
}

func (r intReader) call(_ *state, L *lua.LState) int {
	data, at := argBytes(L, 1), argInteger(L, 2, 1, maxExact)-1
	if at > int64(len(data)-r.size) {
		return give(L, lua.LNil)
	}
	return give(L, lua.LNumber(r.read(data[at:])))
}

var bytesFunctions = intBindings("(data: bytes, at: integer) -> integer?")
