package scripting

import (
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// TestSealed has handlers try to change what all of them share, and use it.
func TestSealed(t *testing.T) {
	const what = " cannot be set by a handler, because all connections share it"
	tries := []struct{ source, want string }{
		{`string.find = 1`, "string.find" + what},
		{`string.new = 1`, "string.new" + what},
		{`string.trim = nil`, "string.trim" + what},
		{`table.insert = nil`, "table.insert" + what},
		{`math.pi = 3`, "math.pi" + what},
		{`os.time = nil`, "os.time" + what},
		{`coroutine.wrap = nil`, "coroutine.wrap" + what},
		{`fwx.log.info = print`, "fwx.log.info" + what},
		{`fwx.json.null = 1`, "fwx.json.null" + what},
		{`fwx.sleep = nil`, "fwx.sleep" + what},
		{`fwx.log = {}`, "fwx.log" + what},
		{`rawset(string, "find", 1)`, "string.find" + what},
		{`rawset(_G, "word", 1)`, `the global "word"` + what},
		{`rawset(_G, "fresh", 1)`, `the global "fresh"` + what},
		{`table.insert(string, 1)`, "string.1" + what},
		{`table.insert(_G, 1, 1)`, `the global "1"` + what},
		{`getmetatable("").__index.find = 1`, "attempt to index"},
		{`setmetatable(string, {})`, "cannot change a protected metatable"},
		{`setmetatable(fwx, nil)`, "cannot change a protected metatable"},
		{`setmetatable(_G, nil)`, "cannot change a protected metatable"},
		{`getmetatable(fwx.json.array()).__index = 1`, "attempt to index"},
		{`for k, v in pairs(string) do string[k] = v end`, "string."},
	}
	var source strings.Builder
	source.WriteString(`
		word = "of the script"
		function string.trim(s) return (s:gsub("^%s+", "")) end
		function fwx.log.twice(m) fwx.log.info(m .. m) end
		function M.on_init() math.two = 2 end
		function M.on_connect(conn)
			local tries = {`)
	for _, try := range tries {
		source.WriteString("function() " + try.source + " end,\n")
	}
	source.WriteString(`}
			for i, f in ipairs(tries) do
				local ok, err = pcall(f)
				fwx.log.info("try " .. i .. ": " .. (ok and "it could be set" or tostring(err)) .. ".")
			end
			local n = 0
			for k, v in pairs(string) do n = n + (v == string[k] and 1 or 0) end
			local globals = 0
			for k in pairs(_G) do globals = globals + 1 end
			fwx.log.info("well: " .. word .. (" x"):trim() .. math.two .. type(string.find) .. ("abc"):find("c") .. n .. tostring(globals > 20)
				.. tostring(rawget(_G, "word")) .. type(rawget(string, "rep")) .. getmetatable(string))
			fwx.log.twice("ab")
		end`)
	g := newGateway(t, anyBackend, source.String()).start()
	if _, err := g.exchange("abc"); err != nil {
		t.Fatal(err)
	}
	g.logged("well: of the scriptx2function314trueof the scriptfunctionstring")
	g.logged("abab")
	for i, try := range tries {
		at := strings.Index(g.log.String(), "try "+lua.LNumber(i+1).String()+": ")
		line, _, _ := strings.Cut(g.log.String()[max(at, 0):], "\n")
		if at < 0 || !strings.Contains(line, try.want) {
			t.Errorf("%s: got %q, want %q", try.source, line, try.want)
		}
	}
}
