package scripting

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestRegexp(t *testing.T) {
	const re = `local function re(p) return assert(fwx.re.compile(p)) end `
	rows := []snippet{
		{"match", `return re"a(b+)(c)?":match("xabbd")`, "bb"},
		{"groups", `local a, b = re"a(b+)(c)?":match("xabbd") return a .. tostring(b)`, "bbnil"},
		{"whole", `return re"b+":match("abbc")`, "bb"},
		{"no match", `return tostring(re"x":match("abc")) .. select("#", re"x":match("abc"))`, "nil1"},
		{"from", `return re"b":find("abab", 3) .. tostring(re"^a":find("aa", 2)) .. tostring(re"\\bb":find("ab", 2)) .. (re"a":find("aa", -1)) .. tostring(re"$":find("ab", 3)) .. re"":find("ab", 9)`, "4nilnil233"},
		{"find", `return table.concat({re"(b)(c)":find("abcd")}, ",")`, "2,3,b,c"},
		{"find_all", `return table.concat(re"\\d+":find_all("1 22 333"), ",") .. #re"\\d+":find_all("1 22 333", 2)`, "1,22,3332"},
		{"find_all groups", `local all = re"(?P<k>\\w)=(\\d)?":find_all("a=1,b=") return all[1].k .. all[1][1] .. all[1][2] .. all[2].k .. tostring(all[2][2])`, "aa1bfalse"},
		{"replace", `return table.concat({re"(\\w+)@(\\w+)":replace("a@b c@d", "$2 at ${1}$$")}, "|")`, "b at a$ d at c$|2"},
		{"replace by a function", `return re"(\\d)(x)?":replace("1 2x", function(d, x) if x then return "<" .. d .. x .. ">" end end)`, "1 <2x>"},
		{"replace some", `return re"a":replace("aaa", "b", 2)`, "bba"},
		{"replace that waits", `return re"a":replace("aa", function() fwx.sleep(0.001) return "b" end)`, "bb"},
		{"replace by what is none", `re"a":replace("a", function() return 1 end)`, "!the function returned a number; wants a string or nil"},
		{"split", `return table.concat(re",\\s*":split("a, b,,c"), "|")`, "a|b||c"},
		{"split some", `return table.concat(re",":split("a,b,c", 2), "|") .. #re",":split("a,b,c", 1)`, "a|b,c1"},
		{"split letters", `return table.concat(re"":split("abc"), "|") .. table.concat(re"":split("abc", 2), "|")`, "a|b|ca|bc"},
		{"split nothing", `return #re",":split("")`, "1"},
		{"same object", `return tostring(re"same" == re"same") .. tostring(re"same")`, "truesame"},
		{"bytes", `return re"\\xff(.)":replace("a", "") .. #re"(?s)^.$":match("\255")`, "a1"},
		{"cache is bounded", `for i = 1, 1000 do re("x" .. i) end return "kept"`, "kept"},
		{"wrong pattern", `local _, err, code = fwx.re.compile("a(") return code .. ": " .. err`, "EINVAL: fwx.re.compile: missing closing ): `a(`"},
		{"long pattern", `return select(2, fwx.re.compile(("a"):rep(4097)))`, "fwx.re.compile: more than 4096 bytes"},
		{"large pattern", `return (select(2, fwx.re.compile("(a{100}){10}b{999}")):gsub("%d+", "N"))`, "fwx.re.compile: it would be compiled to N instructions, more than N"},
		{"huge pattern", `return (select(2, fwx.re.compile(("[a-z]{900}"):rep(5))):gsub("%d+", "N"))`, "fwx.re.compile: it would be compiled to N instructions, more than N"},
		{"slow pattern", `local p = re"(a?){300}(a*)*b" return tostring(p:match(("a"):rep(1000)))`, "nil"},
		{"budget", `local p, s = re"(a?){300}a*b", ("a"):rep(100000) while true do p:match(s) end`, "!the instruction budget is spent"},
		{"budget of find_all", `local p, s = re"a.*b|a", ("a"):rep(100000) p:find_all(s)`, "!the instruction budget is spent"},
		{"budget of compile", `local i = 0 while true do i = i + 1 re("[a-z]{500}" .. i) end`, "!the instruction budget is spent"},
		{"not a text", `re"a":match(1)`, "!string expected"},
	}
	for i := range rows {
		rows[i].source = re + rows[i].source
	}
	runSnippets(t, nil, rows, smallBudget)
	runSnippets(t, nil, []snippet{
		{"large result", `fwx.re.compile("x"):replace(("x"):rep(100), ("y"):rep(1000000))`, "!a string of more than 64 MiB"},
	})
}

// TestRegexpAll compares find_all with what Go finds.
func TestRegexpAll(t *testing.T) {
	b := newBench(t, anyBackend)
	patterns := []string{
		`a`, `a*`, ``, `\b`, `^`, `(?m)^`, `(?m)$`, `\B`, `\bb`, `(?m)^b*`, `a|^b`, `\Aa`, `[^a]`, `.`, `é?`, `b+?`, `(?m)^\b`, `\b\w*\b`, `$`,
	}
	texts := []string{"", "a", "b", "ab", "aab baa", "a\nb\n\nab", "éaéb", "\xff\xfea\xff", "b\xc3", "bbb", strings.Repeat("ab b\né", 20)}
	for _, pattern := range patterns {
		goRegexp := regexp.MustCompile(pattern)
		for _, text := range texts {
			got, err := b.run(fmt.Sprintf(`local out = {} for _, m in ipairs(assert(fwx.re.compile(%s)):find_all(%s)) do out[#out + 1] = fwx.hex.encode(m) end return table.concat(out, ",")`,
				luaQuote(pattern), luaQuote(text)))
			var want []string
			for _, m := range goRegexp.FindAllString(text, -1) {
				want = append(want, fmt.Sprintf("%x", m))
			}
			if err != nil || got != strings.Join(want, ",") {
				t.Errorf("%q in %q: got %s, %v; want %s", pattern, text, got, err, strings.Join(want, ","))
			}
			replaced, err := b.run(fmt.Sprintf(`return fwx.hex.encode((fwx.re.compile(%s):replace(%s, "<$0>")))`, luaQuote(pattern), luaQuote(text)))
			if want := fmt.Sprintf("%x", goRegexp.ReplaceAllString(text, "<$0>")); err != nil || replaced != want {
				t.Errorf("%q in %q: replaced %s, %v; want %s", pattern, text, replaced, err, want)
			}
			split, err := b.run(fmt.Sprintf(`return fwx.hex.encode(table.concat(fwx.re.compile(%s):split(%s), "|"))`, luaQuote(pattern), luaQuote(text)))
			if want := fmt.Sprintf("%x", strings.Join(goRegexp.Split(text, -1), "|")); err != nil || split != want {
				t.Errorf("%q in %q: split %s, %v; want %s", pattern, text, split, err, want)
			}
		}
	}
}

// luaQuote returns a text as Lua reads it.
func luaQuote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		b.WriteString(`\` + fmt.Sprintf("%03d", text[i]))
	}
	return b.String() + `"`
}
