package scripting

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

// smallBudget is for what shall spend it, on a slow machine too.
func smallBudget(s *Settings) { s.Budget = 1_000_000 }

func TestBit(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"all", `local b = fwx.bit return table.concat({b.band(0xff0f, 0x3c3c, 0xfffe), b.bor(1, 2, 4), b.bxor(5, 1), b.bnot(0), b.bnot(-1)}, " ")`, "15372 7 4 4294967295 0"},
		{"shifts", `local b = fwx.bit return table.concat({b.lshift(1, 31), b.lshift(1, 32), b.rshift(-1, 31), b.rshift(1, 63), b.rol(0x80000001, 1)}, " ")`, "2147483648 0 1 0 3"},
		{"wraps", `return fwx.bit.band(2^32 + 5)`, "5"},
		{"fraction", `fwx.bit.bor(1.5)`, "!a whole number"},
		{"negative shift", `fwx.bit.lshift(1, -1)`, "!a whole number from 0 to 63 expected"},
	})
}

func TestEncodings(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"base64", `return fwx.base64.encode("\251\255?a") .. " " .. fwx.base64.encode("\251\255?a", true) .. fwx.base64.encode("")`, "+/8/YQ== -_8_YQ"},
		{"base64 back", `local d = fwx.base64.decode return tostring(d("+/8/YQ==") == "\251\255?a" and d("-_8_YQ") == "\251\255?a" and d("YW\r\nI=") == "ab" and d("") == "")`, "true"},
		{"no base64", `local _, err, code = fwx.base64.decode("a*b") return code .. ": " .. err`, "EINVAL: fwx.base64.decode: the text is not base64"},
		{"cut base64", `return select(3, fwx.base64.decode("YWJjZ"))`, "EINVAL"},
		{"hex", `return fwx.hex.encode("\0\255a") .. fwx.hex.decode("6162ff"):byte(3)`, "00ff61255"},
		{"no hex", `return select(3, fwx.hex.decode("6")) .. select(3, fwx.hex.decode("6g"))`, "EINVALEINVAL"},
		{"too large", `fwx.hex.encode(("x"):rep(40000000))`, "!a string of more than 64 MiB"},
		{"budget", `local s = ("x"):rep(10000000) while true do fwx.base64.encode(s) end`, "!the instruction budget is spent"},
		{"a number", `fwx.hex.encode(1)`, "!string expected"},
		{"readers", `local b, d = fwx.bytes, "\1\2\3\4\255" return table.concat({b.u8(d, 5), b.u16(d, 1), b.u16le(d, 1), b.u32(d, 2), b.u32le(d, 2), tostring(b.u16(d, 5)), tostring(b.u8("", 1)), tostring(b.u32("abc", 1))}, " ")`, "255 258 513 33752319 4278452994 nil nil nil"},
		{"position 0", `fwx.bytes.u8("a", 0)`, "!a whole number from 1"},
	}, smallBudget)
}

func TestChunkIntegers(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGateway(t, backend, `function M.on_data(_, c, dir) if dir == "upstream" then
			return table.concat({c:u8(1), c:u16(1), c:u16le(1), c:u32(1), c:u32le(1), fwx.bytes.u16(c, 3), tostring(c:u16(4))}, " ") end end`).start()
		if got, err := g.exchange("\x01\x02\x03\x04"); got != "1 258 513 16909060 67305985 772 nil" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestHash(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"md5", `return fwx.hash.md5("abc")`, "900150983cd24fb0d6963f7d28e17f72"},
		{"sha1", `return fwx.hash.sha1("abc")`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"sha256", `return fwx.hash.sha256("abc")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"sha512", `return fwx.hash.sha512("abc"):sub(1, 16) .. #fwx.hash.sha512("abc")`, "ddaf35a193617aba128"},
		{"crc32", `return fwx.hash.crc32("123456789")`, "3421780262"},
		{"hmac", `return fwx.hmac.sha256("Jefe", "what do ya want for nothing?")`, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"hmac md5", `return fwx.hmac.md5("Jefe", "what do ya want for nothing?")`, "750c783e6ab0b503eaa86e310a5db738"},
		{"equal", `local e = fwx.hmac.equal return tostring(e("ab", "ab")) .. tostring(e("ab", "ac")) .. tostring(e("ab", "a")) .. tostring(e("", ""))`, "truefalsefalsetrue"},
		{"budget", `local s = ("x"):rep(1000000) while true do fwx.hash.sha512(s) end`, "!the instruction budget is spent"},
		{"budget of hmac", `local s = ("x"):rep(1000000) while true do fwx.hmac.sha1("k", s) end`, "!the instruction budget is spent"},
		{"nothing", `fwx.hash.md5()`, "!string expected"},
	}, smallBudget)
}

func TestURL(t *testing.T) {
	const show = `local function show(t) local out = {} for _, k in ipairs{"scheme", "user", "password", "host", "port", "path", "query", "fragment"} do out[#out + 1] = t[k] and k .. "=" .. t[k] end return table.concat(out, " ") end `
	runSnippets(t, nil, []snippet{
		{"parse", show + `return show(fwx.url.parse("https://a:b%40c@[2001:db8::1]:8443/x%2Fy?q=1&q=2#top"))`, "scheme=https user=a password=b@c host=2001:db8::1 port=8443 path=/x%2Fy query=q=1&q=2 fragment=top"},
		{"relative", show + `return show(fwx.url.parse("/a/b?c"))`, "path=/a/b query=c"},
		{"opaque", show + `return show(fwx.url.parse("mailto:a@example.com"))`, "scheme=mailto path=a@example.com"},
		{"no URL", `local _, err, code = fwx.url.parse("http://a b/") return code .. ": " .. err`, `EINVAL: fwx.url.parse: invalid character " " in host name`},
		{"no port", `return select(2, fwx.url.parse("http://a:99999/"))`, "fwx.url.parse: the port 99999 is none"},
		{"build", `return fwx.url.build{scheme = "https", user = "a", password = "b@c", host = "::1", port = 443, path = "/x y", query = "q", fragment = "f"} or "nil"`, "nil"},
		{"build what is escaped", `return fwx.url.build{scheme = "https", user = "a", password = "b@c", host = "::1", port = 443, path = "/x%20y", query = "q", fragment = "f"}`, "https://a:b%40c@[::1]:443/x%20y?q#f"},
		{"there and back", `for _, u in ipairs{"http://a/", "/p?q#f", "http://u@h:1", "mailto:x", "//h/p", "?q", ""} do assert(fwx.url.build(fwx.url.parse(u)) == u, u) end return "same"`, "same"},
		{"injection", `return select(3, fwx.url.build{scheme = "http", host = "a/b", path = "/c"}) .. select(3, fwx.url.build{path = "/a?b"}) .. select(3, fwx.url.build{scheme = "http", host = "h", path = "x"}) .. select(3, fwx.url.build{path = "//h"})`, "EINVALEINVALEINVALEINVAL"},
		{"unknown part", `fwx.url.build{hots = "a"}`, `!there is no option "hots"; did you mean "host"?`},
		{"escape", `return fwx.url.escape("a b/\255~é")`, "a%20b%2F%FF~%C3%A9"},
		{"unescape", `return fwx.url.unescape("a%20b+%2f") .. select(3, fwx.url.unescape("%2"))`, "a b+/EINVAL"},
		{"query", `local q = fwx.url.parse_query("a=1&b=x+y&a=%32&c") return q.a[1] .. q.a[2] .. q.b[1] .. #q.c .. q.c[1]`, "12x y1"},
		{"wrong query", `return select(3, fwx.url.parse_query("a=%")) .. select(3, fwx.url.parse_query("a;b"))`, "EINVALEINVAL"},
		{"many values", `return select(2, fwx.url.parse_query(("a&"):rep(1001)))`, "fwx.url.parse_query: more than 1000 values"},
		{"encode", `return fwx.url.encode_query{b = "x y", a = {"1", 2, true}, ["&"] = "=", d = {}}`, "%26=%3D&a=1&a=2&a=true&b=x%20y"},
		{"encode what is none", `fwx.url.encode_query{a = print}`, "!a: a string, a number, a boolean or a list of them expected, got a function"},
		{"budget", `local t = {} for i = 1, 1000 do t[i] = "x" end while true do fwx.url.encode_query{a = t} end`, "!the instruction budget is spent"},
		{"budget of parse", `local u = "/" .. ("x"):rep(1000000) while true do fwx.url.parse(u) end`, "!the instruction budget is spent"},
	}, smallBudget)
}

func TestIPQuestions(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"version", `return fwx.ip.version("10.0.0.1") .. fwx.ip.version("::1") .. fwx.ip.version("::ffff:1.2.3.4") .. select(3, fwx.ip.version("10.0.0.0/8"))`, "464EINVAL"},
		{"contains", `local c = fwx.ip.contains return tostring(c("10.0.0.0/8", "10.1.2.3")) .. tostring(c("10.0.0.0/8", "11.1.2.3")) .. tostring(c("::/0", "10.1.2.3")) .. tostring(c("10.0.0.1", "::ffff:10.0.0.1"))`, "truefalsefalsetrue"},
		{"no network", `local _, err = fwx.ip.contains("x", "10.0.0.1") return err`, `"x" is not an IP address or prefix`},
		{"no address", `local _, err = fwx.ip.contains("10.0.0.0/8", "10.0.0.0/8") return err`, `"10.0.0.0/8" is not an IP address`},
		{"private", `local p = fwx.ip.is_private return tostring(p("192.168.1.1")) .. tostring(p("8.8.8.8")) .. tostring(p("fd00::1")) .. select(3, p("?"))`, "truefalsetrueEINVAL"},
		{"loopback", `local p = fwx.ip.is_loopback return tostring(p("127.9.9.9")) .. tostring(p("::1")) .. tostring(p("10.0.0.1"))`, "truetruefalse"},
	})
}

func TestRandom(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"bytes", `local a, b = fwx.random.bytes(16), fwx.random.bytes(16) return #a .. tostring(a ~= b) .. #fwx.random.bytes(0)`, "16true0"},
		{"too many", `fwx.random.bytes(2^20 + 1)`, "!a whole number from 0 to 1048576"},
		{"integer", `local seen, n = {}, 0
			for _ = 1, 2000 do local v = fwx.random.integer(-2, 3) if not seen[v] then seen[v] = true n = n + 1 end assert(v >= -2 and v <= 3 and v % 1 == 0) end
			return n .. fwx.random.integer(7, 7)`, "67"},
		{"widest", `local v = fwx.random.integer(-2^53, 2^53) return tostring(v >= -2^53 and v <= 2^53 and v % 1 == 0)`, "true"},
		{"wrong way round", `fwx.random.integer(2, 1)`, "!a whole number from 2"},
		{"number", `for _ = 1, 1000 do local v = fwx.random.number() assert(v >= 0 and v < 1) end return "in range"`, "in range"},
		{"budget", `while true do fwx.random.bytes(2^20) end`, "!the instruction budget is spent"},
	}, smallBudget)
}

func TestTime(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"format", `local f = fwx.time.format return f(0) .. " " .. f(1772366400.25) .. " " .. f(1772366400, "http")`, "1970-01-01T00:00:00Z 2026-03-01T12:00:00.25Z Sun, 01 Mar 2026 12:00:00 GMT"},
		{"parse", `local p = fwx.time.parse return table.concat({p("2026-03-01T12:00:00Z"), tostring(p("2026-03-01T13:00:00.5+01:00") == 1772366400.5), p("Sun, 01 Mar 2026 12:00:00 GMT"), p("Sunday, 01-Mar-26 12:00:00 GMT")}, " ")`, "1772366400 true 1772366400 1772366400"},
		{"now", `return tostring(math.abs(fwx.time.parse(fwx.time.format()) - fwx.now()) < 60)`, "true"},
		{"no time", `local _, err, code = fwx.time.parse("yesterday") return code .. ": " .. err`, "EINVAL: fwx.time.parse: neither RFC 3339 nor a date of HTTP"},
		{"too late", `fwx.time.format(1e12)`, "!up to the year 9999"},
		{"not a number", `fwx.time.format(0/0)`, "!up to the year 9999"},
		{"unknown form", `fwx.time.format(0, "iso")`, `!"rfc3339" or "http" expected, got "iso"`},
	})
}

func TestEnv(t *testing.T) {
	t.Setenv("FWX_TEST_KEY", "secret")
	t.Setenv("FWX_TEST_OTHER", "hidden")
	runSnippets(t, nil, []snippet{
		{"allowed", `return fwx.env("FWX_TEST_KEY")`, "secret"},
		{"not set", `return select("#", fwx.env("FWX_TEST_NONE")) .. tostring(fwx.env("FWX_TEST_NONE"))`, "1nil"},
		{"denied", `local v, err, code = fwx.env("FWX_TEST_OTHER") return tostring(v) .. code .. ": " .. err`, `nildenied: filter "test" is not allowed to see the variable FWX_TEST_OTHER: add it to env in [filter.allow]`},
	}, func(s *Settings) { s.Allow.Env = []string{"FWX_TEST_KEY", "FWX_TEST_NONE"} })
	if _, err := New(Settings{Script: "x.lua", Source: "return {}", Allow: Allow{Env: []string{"A", "B=C"}}}); err == nil ||
		!strings.Contains(err.Error(), `allow.env[1]: "B=C" is not the name of a variable`) {
		t.Errorf("got %v", err)
	}
}

func TestLists(t *testing.T) {
	const ask = `local function ask(l, ...) local out = "" for _, v in ipairs{...} do out = out .. (l:contains(v) and 1 or 0) end return #l .. ":" .. out end `
	runSnippets(t, func(b *bench) {
		b.write("read/cidr", "# networks\n10.0.0.0/8  # ours\n\n10.1.0.0/16\n::1\nnonsense\n192.0.2.7\r\n")
		b.write("read/host", "Example.com.\n.a.example\n*.b.example # beneath\nbad name\n*c.example\n.\nxn--bcher-kva.example\nb\u00fc.example\n")
		b.write("read/exact", "one\n  two words  \n#three\nfour#5\none\n")
		b.write("read/prefix", "/admin\n/admin/x\n/ab\n/b\n")
		b.write("read/empty", "")
		b.write("read/folder/x", "")
	}, []snippet{
		{"cidr", ask + `return ask(fwx.list.open{path = "read/cidr"}, "10.1.2.3", "10.255.0.1", "11.0.0.1", "::1", "192.0.2.7", "::ffff:10.0.0.1", "what", "")`, "3:11011100"},
		{"host", ask + `return ask(fwx.list.open{path = "read/host", kind = "host"}, "example.com", "EXAMPLE.COM.", "www.example.com", "a.example", "x.y.a.example", "b.example", "x.b.example", "xn--bcher-kva.example", "", ".")`, "4:1101101100"},
		{"exact", ask + `return ask(fwx.list.open{path = "read/exact", kind = "exact"}, "one", "two words", "#three", "four#5", "four", "on")`, "3:110100"},
		{"prefix", ask + `return ask(fwx.list.open{path = "read/prefix", kind = "prefix"}, "/admin", "/admin/xyz", "/administrator", "/adm", "/abc", "/ac", "/b", "/c", "", "/aa")`, "3:1110101000"},
		{"empty", ask + `return ask(assert(fwx.list.open{path = "read/empty", kind = "prefix"}), "", "x")`, "0:00"},
		{"nil", `return tostring(fwx.list.open{path = "read/cidr"}:contains(nil))`, "false"},
		{"missing", `return select(3, fwx.list.open{path = "read/none"})`, "ENOENT"},
		{"denied", `return select(3, fwx.list.open{path = "secret"})`, "denied"},
		{"a folder", `return tostring(fwx.list.open{path = "read/folder"})`, "nil"},
		{"no path", `fwx.list.open{}`, "!path is missing"},
		{"unknown kind", `fwx.list.open{path = "read/cidr", kind = "ip"}`, `!option kind wants one of ["cidr" "host" "exact" "prefix"], got "ip"`},
		{"close", `local l = fwx.list.open{path = "read/cidr"} l:close() l:close() return tostring(l:contains("::1"))`, "true"},
	})
}

func TestListOfFIFO(t *testing.T) {
	runSnippets(t, func(b *bench) { makeFIFO(b.tb, b.dir+"/read/fifo") }, []snippet{
		{"it is empty", `return #assert(fwx.list.open{path = "read/fifo", kind = "exact"})`, "0"},
	})
}

// TestListChanges has a list that is read again, and one that cannot be.
func TestListChanges(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend)
		b.write("read/list", "one\n")
		contains := func(word string) bool {
			got, err := b.run(`return tostring(l:contains("` + word + `"))`)
			if err != nil {
				t.Fatal(err)
			}
			return got == "true"
		}
		if _, err := b.run(`l = assert(fwx.list.open{path = "read/list", kind = "exact"})`); err != nil {
			t.Fatal(err)
		}
		if !contains("one") || contains("two") {
			t.Error("the list is wrong at first")
		}
		b.write("read/list", "two\n")
		fwxtest.Eventually(t, patience, "the list is read again", func() bool { return contains("two") && !contains("one") })
		// In one step, or a part that is not too much could be read.
		b.write("new", strings.Repeat("x", maxStringSize+1))
		if err := os.Rename(filepath.Join(b.dir, "new"), filepath.Join(b.dir, "read", "list")); err != nil {
			t.Fatal(err)
		}
		fwxtest.Eventually(t, patience, "the log tells", func() bool {
			return strings.Contains(b.log.String(), "the list stays as it is: read read/list: it has more than 64 MiB")
		})
		if !contains("two") {
			t.Error("the list was lost")
		}
		b.write("read/list", "three\n")
		fwxtest.Eventually(t, patience, "the list is read once more", func() bool { return contains("three") })
	})
}

func TestBadLines(t *testing.T) {
	b := newBench(t, anyBackend)
	b.write("read/list", "::1\n"+strings.Repeat("what\n", 15))
	if _, err := b.run(`assert(fwx.list.open{path = "read/list"})`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`line=2 error="\"what\" is not an IP address or prefix"`, "line=11", "count=5", "entries=1"} {
		if want = strings.ReplaceAll(want, `\"`, `"`); !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
	if strings.Contains(b.log.String(), "line=12") {
		t.Error("too many lines are named")
	}
}
