package strict_test

import (
	"math"
	"testing"

	"fwx/framework/strict"
)

func TestSize(t *testing.T) {
	for _, test := range []struct {
		text  string
		bytes strict.Size
		exact string // how String writes it
	}{
		{"0", 0, "0"},
		{"512", 512, "512"},
		{"512B", 512, "512"},
		{"64KiB", 64 << 10, "64KiB"},
		{"64 kib", 64 << 10, "64KiB"},
		{"10MB", 10e6, "10MB"},
		{"1kB", 1000, "1kB"},
		{"1KB", 1000, "1kB"},
		{"1024KiB", 1 << 20, "1MiB"},
		{"1024kB", 1024000, "1000KiB"},
		{"3GiB", 3 << 30, "3GiB"},
		{"2GB", 2e9, "2GB"},
		{"1TB", 1e12, "1TB"},
		{"7TiB", 7 << 40, "7TiB"},
		{"0MiB", 0, "0"},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"},
	} {
		var got strict.Size
		if err := got.UnmarshalText([]byte(test.text)); err != nil || got != test.bytes {
			t.Errorf("%q is %d (%v), not %d", test.text, got, err, test.bytes)
		}
		if got.String() != test.exact {
			t.Errorf("%d is written %q, not %q", got, got, test.exact)
		}
	}
	if got := strict.Size(-2048).String(); got != "-2KiB" {
		t.Errorf("-2048 is written %q", got)
	}
}

func TestSizeMistakes(t *testing.T) {
	const form = ` is not a size; write "64KiB", "10MB" or a number of bytes`
	for text, want := range map[string]string{
		"":                    `""` + form,
		"KiB":                 `"KiB"` + form,
		"64K":                 `"64K"` + form,
		"-1":                  `"-1"` + form,
		"1.5MiB":              `"1.5MiB"` + form,
		"64  KiB":             `"64  KiB"` + form,
		"64 ":                 `"64 "` + form,
		"64KiB ":              `"64KiB "` + form,
		"9223372036854775808": `"9223372036854775808" is too large`,
		"8388608TiB":          `"8388608TiB" is too large`,
	} {
		size := strict.Size(7)
		if err := size.UnmarshalText([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, not %s", text, err, want)
		}
		if size != 7 {
			t.Errorf("%q: has set the size to %d", text, size)
		}
	}
}
