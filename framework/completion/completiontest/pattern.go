package completiontest

import "bytes"

// patternPeriod is after how many bytes the pattern begins again.
const patternPeriod = 4096

// patternText is one period of the pattern that the suite sends and writes, so that a byte in
// the wrong place is seen.
var patternText = func() []byte {
	text := make([]byte, patternPeriod)
	for i := range text {
		text[i] = byte(i * 31 >> 4)
	}
	return text
}()

// fillPattern writes the pattern into buf, from its byte number at on.
func fillPattern(buf []byte, at int) {
	for len(buf) > 0 {
		n := copy(buf, patternText[at%patternPeriod:])
		buf, at = buf[n:], at+n
	}
}

// wrongByte returns the index of the first byte of data that is not that of the pattern, from
// its byte number at on; -1 if all are right.
func wrongByte(data []byte, at int) int {
	for begin := 0; begin < len(data); {
		want := patternText[(at+begin)%patternPeriod:]
		want = want[:min(len(want), len(data)-begin)]
		if i := difference(data[begin:begin+len(want)], want); i >= 0 {
			return begin + i
		}
		begin += len(want)
	}
	return -1
}

// difference returns the index of the first byte of data that is not that of want, which is
// as long; -1 if they are equal. It looks for the byte only if there is one: a soak compares
// gigabytes, most of all of its time if it were done byte by byte.
func difference(data, want []byte) int {
	if bytes.Equal(data, want) {
		return -1
	}
	i := 0
	for data[i] == want[i] {
		i++
	}
	return i
}
