package http1

// class is a set of the kinds that a byte belongs to.
type class uint8

const (
	token  class = 1 << iota // tchar of RFC 9110, 5.6.2
	value                    // may be in a field value
	target                   // may be in a request target
	host                     // may be in a registered name or an IPv4 address
	hex                      // HEXDIG, of either case
	under                    // "_", which some servers do not tell from "-"
)

var classes = func() (t [256]class) {
	for c := range t {
		b := byte(c)
		digit, letter := isDigit(b), b|0x20 >= 'a' && b|0x20 <= 'z'
		if digit || letter {
			t[c] |= token | host
		}
		if digit || b|0x20 >= 'a' && b|0x20 <= 'f' {
			t[c] |= hex
		}
		if b > ' ' && b < 0x7f && b != '#' {
			t[c] |= target
		}
		if b >= ' ' && b != 0x7f || b == '\t' {
			t[c] |= value
		}
	}
	for _, b := range []byte("!#$%&'*+-.^_`|~") {
		t[b] |= token
	}
	for _, b := range []byte("-._~") {
		t[b] |= host
	}
	t['_'] |= under
	return t
}()

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// all reports whether every byte is of a class.
func (k class) all(text []byte) bool {
	for _, b := range text {
		if classes[b]&k == 0 {
			return false
		}
	}
	return true
}

// EqualFold reports whether a text is a word, which is in lower case, in any case of
// its ASCII letters.
func EqualFold(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, b := range text {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// trim removes the optional white space at both ends.
func trim(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// nextMember returns the first member of a list of tokens, and what follows it.
func nextMember(list []byte) (member, rest []byte) {
	for i, b := range list {
		if b == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

// hexValue returns the value of a hexadecimal digit.
func hexValue(b byte) int64 {
	if isDigit(b) {
		return int64(b - '0')
	}
	return int64(b|0x20-'a') + 10
}
