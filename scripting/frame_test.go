package scripting

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// everySplit is Lua that cuts a stream in every way there is, and wants the same of
// all of them: make returns a framer and what is to be appended to the result.
const everySplit = `
	local conn = newConn()
	local function feed(make, pieces)
		conn = newConn()
		local framer, seen = make()
		local out = ""
		for _, piece in ipairs(pieces) do
			local sent = framer(conn, piece, "upstream")
			if sent ~= fwx.drop then out = out .. sent end
		end
		return out .. finish(conn, "upstream") .. (seen and "|" .. table.concat(seen, ",") or "")
	end
	local function splits(make, stream)
		local want = feed(make, {stream})
		for mask = 0, 2 ^ (#stream - 1) - 1 do
			local pieces, from, bits = {}, 1, mask
			for i = 1, #stream - 1 do
				if bits % 2 == 1 then
					pieces[#pieces + 1] = stream:sub(from, i)
					from = i + 1
				end
				bits = math.floor(bits / 2)
			end
			pieces[#pieces + 1] = stream:sub(from)
			local got = feed(make, pieces)
			if got ~= want then error(table.concat(pieces, "/") .. " gives " .. got .. ", in one piece " .. want) end
		end
		return want
	end
	local function noting(kind, options, answer)
		return function()
			local seen = {}
			return fwx.frame[kind](options, function(c, record, direction, complete)
				assert(c == conn and direction == "upstream")
				seen[#seen + 1] = record .. (complete and "" or "~")
				return answer and answer(record, complete)
			end), seen
		end
	end
`

func TestFrames(t *testing.T) {
	prepare := func(b *bench) {
		err := b.port.Workers()[0].Call(func() {
			s := b.state
			s.install(s.L.G.Global, binding{name: "newConn", call: func(s *state, L *lua.LState) int {
				return give(L, s.connOf(&framework.Connection{}).object)
			}})
			s.L.G.Global.RawSetString("finish", s.streamEnded)
		})
		if err != nil {
			b.tb.Fatal(err)
		}
	}
	rows := []snippet{
		{"lines", `return splits(noting("lines"), "ab\nc\r\n\r\n\nde")`, "ab\nc\r\n\r\n\nde|ab,c,,,de~"},
		{"no rest", `return splits(noting("lines"), "ab\ncd\n")`, "ab\ncd\n|ab,cd"},
		{"replaced", `return splits(noting("lines", nil, function(r) if r == "c" then return "CC" end end), "ab\nc\r\n\nc")`, "ab\nCC\r\n\nCC|ab,c,,c~"},
		{"all replaced", `return splits(noting("lines", nil, function(r) return r:upper() end), "ab\nc\r\n\nde")`, "AB\nC\r\n\nDE|ab,c,,de~"},
		{"dropped", `return splits(noting("lines", nil, function(r) if r ~= "c" then return fwx.drop end end), "ab\nc\r\n\nde")`, "c\r\n|ab,c,,de~"},
		{"all dropped", `return splits(noting("lines", nil, function() return fwx.drop end), "ab\nc\n")`, "|ab,c"},
		{"longest", `return splits(noting("lines", {max = 3}), "abc\r\nabc\nabc")`, "abc\r\nabc\nabc|abc,abc,abc~"},
		{"longer", `return splits(noting("lines", {max = 3, beyond = "pass"}, function() return "x" end), "a\nabcd\r\nb\nabcd")`, "x\nabcd\r\nx\nabcd|a,b"},
		{"too long", `local f = fwx.frame.lines({max = 3}, print) f(conn, "abcd", "upstream") return f(conn, "e", "upstream")`, "!a line of more than 3 bytes"},
		{"length 1", `return splits(noting("length", {size = 1}), "\2ab\0\1c\3d")`, "\x02ab\x00\x01c\x03d|ab,,c,\x03d~"},
		{"length 2", `return splits(noting("length", {size = 2}, string.upper), "\0\2ab\0\0\0\1c\0")`, "\x00\x02AB\x00\x00\x00\x01C\x00|ab,,c,\x00~"},
		{"length 4 little", `return splits(noting("length", {size = 4, endian = "little"}, function() return "xyz" end), "\2\0\0\0ab\0\0\0\0")`, "\x03\x00\x00\x00xyz\x03\x00\x00\x00xyz|ab,"},
		{"length 8 itself", `return splits(noting("length", {size = 8, itself = true}, function() return "" end), "\0\0\0\0\0\0\0\10ab")`, "\x00\x00\x00\x00\x00\x00\x00\x08|ab"},
		{"length longer", `return splits(noting("length", {size = 1, max = 2, beyond = "pass"}, function() return "" end), "\2ab\3cde\1f")`, "\x00\x03cde\x00|ab,f"},
		{"length too long", `fwx.frame.length({max = 5}, print)(conn, "\0\0\0\6", "upstream")`, "!a record of 6 bytes, more than 5"},
		{"huge", `return splits(noting("length", {size = 8, beyond = "pass"}), "\255\255\255\255\255\255\255\255ab")`, "\xff\xff\xff\xff\xff\xff\xff\xffab|"},
		{"less than itself", `fwx.frame.length({itself = true}, print)(conn, "\0\0\0\3", "upstream")`, "!a length of 3, which is less than its own size"},
		{"does not fit", `fwx.frame.length({size = 1}, function() return ("x"):rep(256) end)(conn, "\0", "upstream")`, "!256 bytes do not fit a length of 1"},
		{"denied", `return tostring(fwx.frame.lines({}, function(_, r) if r == "b" then return fwx.deny("no b") end end)(conn, "a\nb\nc\n", "upstream"))`, "deny: no b"},
		{"denied at the end", `fwx.frame.lines({}, function() return fwx.deny("rest") end)(conn, "a", "upstream") return tostring(finish(conn, "upstream"))`, "deny: rest"},
		{"waiting", `local f = fwx.frame.lines({}, function(_, r) fwx.sleep(0.001) return r .. "!" end) return f(conn, "a\nb\n", "upstream")`, "a!\nb!\n"},
		{"at once", `local f f = fwx.frame.lines({}, function() f(conn, "x", "upstream") end) f(conn, "a\n", "upstream")`, "!is being cut already"},
		{"again after an error", `local n = 0
			local f = fwx.frame.lines({}, function(_, r) n = n + 1 if n == 1 then error("first") end return r:upper() end)
			pcall(f, conn, "a\n", "upstream") return f(conn, "b\n", "upstream")`, "!is being cut already, or has failed"},
		{"directions", `local f = fwx.frame.lines({}, function(_, r, d) return r .. d end)
			f(conn, "a", "upstream") f(conn, "b", "downstream")
			return f(conn, "\n", "upstream") .. f(conn, "\n", "downstream")`, "aupstream\nbdownstream\n"},
		{"wrong result", `fwx.frame.lines({}, function() return 1 end)(conn, "a\n", "upstream")`, "!the function for records returned a number"},
		{"unknown option", `fwx.frame.lines({maxx = 1}, print)`, `!there is no option "maxx"; did you mean "max"?`},
		{"wrong option", `fwx.frame.length({size = 3}, print)`, "!option size wants 1, 2, 4 or 8, got a number"},
		{"wrong choice", `fwx.frame.length({endian = "middle"}, print)`, `!option endian wants one of ["big" "little"], got "middle"`},
		{"no function", `fwx.frame.lines({})`, "!function expected"},
	}
	for i := range rows {
		rows[i].source = everySplit + rows[i].source
	}
	runSnippets(t, prepare, rows, func(s *Settings) { s.Budget = 20 * DefaultBudget })
	runSnippets(t, prepare, []snippet{
		{
			"budget", `local conn, f = newConn(), fwx.frame.lines({}, function() end) while true do f(conn, ("\n"):rep(60000), "upstream") end`,
			"!the instruction budget is spent",
		},
	}, smallBudget)
}

// TestFramesOnErrorPass has errors that let pass: nothing is lost or comes twice.
func TestFramesOnErrorPass(t *testing.T) {
	const sent = "a\nb\nc\nd"
	rows := []struct{ name, source string }{
		{"in a record", `local f = fwx.frame.lines({}, function(_, r) if r == "b" then error("no") end return r:upper() end)`},
		{"behind a record", `local cut = fwx.frame.lines({}, function(_, r) return r:upper() end)
			local function f(...) local r = cut(...) if r ~= fwx.drop and r:find("B") then error("no") end return r end`},
		{"before any", `local n, cut = 0, fwx.frame.lines({}, function(_, r) return r:upper() end)
			local function f(...) n = n + 1 if n == 2 or n == 1 and #select(2, ...) == 7 then error("no") end return cut(...) end`},
		{"budget", `local f = fwx.frame.lines({}, function(_, r) if r == "b" then while true do end end return r:upper() end)`},
		{"too long", `local f = fwx.frame.lines({max = 1}, function(_, r) return r:upper() end)
			local once function M.on_end(conn, d) if d == "upstream" and not once then once = true error("no") end end`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			source := row.source + ` function M.on_data(conn, chunk, direction) if direction == "upstream" then return f(conn, chunk, direction) end end`
			g := newGateway(t, anyBackend, source, func(s *Settings) { s.OnError = OnErrorPass }).start()
			if got, err := g.trickle(sent); !strings.EqualFold(got, sent) || err != nil {
				t.Errorf("got %q, %v of %q", got, err, sent)
			}
			g.logged("script error")
		})
	}
}

// trickle sends a text a byte at a time and returns all that comes back.
func (g *gateway) trickle(text string) (string, error) {
	g.tb.Helper()
	c, ok := g.dial().(*net.TCPConn)
	if !ok {
		return "", errors.New("no TCP connection")
	}
	for i := range len(text) {
		if _, err := c.Write([]byte(text[i : i+1])); err != nil {
			return "", err
		}
	}
	if err := c.CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// TestEndOfStream has handlers for the end of a stream.
func TestEndOfStream(t *testing.T) {
	upper := `M.on_data = fwx.frame.lines({}, function(_, line, direction) if direction == "upstream" then return line:upper() end end) `
	rows := []struct{ name, source, sent, got, log string }{
		{"rest of a line", upper, "a\nbc", "A\nBC", ""},
		{"large", upper, strings.Repeat("abcdefg\n", 50_000) + "h", strings.Repeat("ABCDEFG\n", 50_000) + "H", ""},
		{"on_end", `function M.on_end(conn, direction) return direction:sub(1, 1) end`, "abc", "abcud", ""},
		{"on_end and a rest", upper + `function M.on_end(conn, direction) return direction:sub(1, 1) end`, "a\nb", "A\nBud", ""},
		{"of what was kept", `local kept = {}
			function M.on_data(_, chunk, d) kept[d] = (kept[d] or "") .. chunk return fwx.drop end
			function M.on_end(_, d) fwx.sleep(0.001) return kept[d] end`, "abc", "abc", ""},
		{"deny", `function M.on_end() return fwx.deny("at the end") end`, "abc", "!", `reason="at the end"`},
		{"drop", upper + `function M.on_end() return fwx.drop end`, "a\nb", "A\n", ""},
		{"error", `function M.on_end() error("oops") end`, "abc", "!", "handler=on_end"},
		{"wrong result", `function M.on_end() return 1 end`, "abc", "!", "on_end returned a number; wants nil, a string"},
		{"chunk is gone", `local kept function M.on_data(_, c) kept = c end function M.on_end() return kept end`, "abc", "!", "on_end returned an object"},
	}
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				g := newGateway(t, backend, row.source).start()
				got, err := g.exchange(row.sent)
				if row.got == "!" && err == nil || row.got != "!" && (err != nil || got != row.got) {
					t.Errorf("got %.100q, %v; want %.100q\n%s", got, err, row.got, g.log)
				}
				g.logged(row.log)
			})
		}
	})
}
