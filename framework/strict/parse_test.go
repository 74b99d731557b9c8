package strict_test

import (
	"errors"
	"testing"

	"fwx/framework/strict"
)

func TestParseSyntaxErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"no value", "a = 1\nb =\n", "c.toml:2:4: expected value but found '\\n' instead"},
		{"no key", "a = 1\n = 2", "c.toml:2:2: unexpected '=': key name appears blank"},
		{"open string", "a = 'x\nb = 1", "c.toml:1:7: strings cannot contain newlines"},
		{"open string at the end", "a = 'x", "c.toml:1:6: unexpected EOF; expected \"'\""},
		{"open array at the end", "\na = [1,\n", "c.toml:2:8: unexpected EOF; expected value"},
		{"duplicate key", "a = 1\n  a = 2", "c.toml:2:3: key 'a' has already been defined"},
		{"duplicate table", "[a]\n[b]\n[a]", "c.toml:3:2: key 'a' has already been defined"},
		{"bad number", "a = 1\nb = 01", "c.toml:2:5: invalid integer \"01\": cannot have leading zeroes"},
		{"bad date", "a = 2024-13-45", "c.toml:1:5: invalid datetime: \"2024-13-45\""},
		{"bare word", "a = yes", "c.toml:1:5: expected value but found \"yes\" instead"},
		{"rest of line", "é = 1\n", "c.toml:1:1: expected '.' or '=', but got 'é' instead"},
		{"characters, not bytes", "\"é\" = yes", "c.toml:1:7: expected value but found \"yes\" instead"},
		{"control character", "a = 'x'\nb = 'y\x01'", "c.toml:2:7: TOML files cannot contain control characters: '0x01'"},
		{"control character first", "a = 'x'\n\x01", "c.toml:2:1: TOML files cannot contain control characters: '0x01'"},
		{"bad UTF-8", "a = '''\nx\xffy'''", "c.toml:2:2: invalid UTF-8 byte: 0xff"},
		{"bad escape", "a = \"\"\"\n\\q\"\"\"", "c.toml:2:1: invalid escape in string '\\q'"},
		{"bad hexadecimal escape", "a = \"\"\"\n\n \\x4g\"\"\"", "c.toml:3:2: expected two hexadecimal digits after '\\x', but got \"\\n\\n \\\\x4g\" instead"},
		{"addition to an array", "a = [1]\nb = 2\na . c = 3", "c.toml:3:1: key 'a' has already been defined on line 1"},
		{"addition to an inline table", "a.b = {}\n[c]\n[a.b.d]", "c.toml:3:4: key 'b' has already been defined on line 1"},
		{"array in place of a table", "a = { b.c = 1,\n'b' = [] }", "c.toml:2:1: key 'b' has already been defined on line 1"},
		{
			"what the parser loses", "[[a]]\nb = [1]\n[[a]]\nb.c = 1\nb.d.e = 2\n",
			"c.toml:4:3: a.b.c: cannot be read here; write its table with a header or in braces",
		},
		{"bom", "\ufeffa = yes", "c.toml:1:5: expected value but found \"yes\" instead"},
		{"UTF-16", "a\x00=\x001\x00", "c.toml:1:2: files cannot contain NULL bytes; probably using UTF-16; TOML files must be UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, err := strict.Parse("c.toml", []byte(test.text))
			if err == nil || !root.IsZero() {
				t.Fatalf("table %v, error %v", root, err)
			}
			if err.Error() != test.want {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
			var all strict.Errors
			if !errors.As(err, &all) || len(all) != 1 {
				t.Errorf("%#v is not an Errors of one", err)
			}
		})
	}
}
