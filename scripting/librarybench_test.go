package scripting

import "testing"

// operations are what the functions of Lua's own library cost. Each row is done a hundred times in a call of a handler.
var operations = []price{
	{"nothing", ``},
	{`format "%s=%d"`, `local s = string.format("%s=%d", name, i)`},
	{`format "%5.2f"`, `local s = string.format("%5.2f", 3.14159)`},
	{`format "%q"`, `local s = string.format("%q", line)`},
	{`format "%04x"`, `local s = string.format("%04x", i)`},
	{`a .. b`, `local s = name .. line`},
	{`a .. n`, `local s = name .. i`},
	{`a .. b .. c .. d`, `local s = name .. ":" .. line .. ";"`},
	{"tostring(n)", `local s = tostring(i)`},
	{"tostring(1.5)", `local s = tostring(1.5)`},
	{"tonumber", `local n = tonumber("4711")`},
	{"sub", `local s = line:sub(2, 20)`},
	{"sub of 1", `local s = line:sub(5, 5)`},
	{"byte", `local b = line:byte(5)`},
	{"upper", `local s = line:upper()`},
	{"lower of lower", `local s = name:lower()`},
	{"rep", `local s = name:rep(10)`},
	{"find plain", `local a = line:find("jumps", 1, true)`},
	{"find word", `local a = line:find("jumps")`},
	{"find pattern", `local a = line:find("j%w+")`},
	{"find set", `local a = line:find("[^ \n\r\t]", 5)`},
	{"match captures", `local a, b = line:match("^(%w+) (%w+)")`},
	{"match prefix, not there", `local a = line:match("^/tenant%d/(%w+)")`},
	{"match inside, not there", `local a = line:match("[Ss]canner%-%d+")`},
	{"gmatch", `for w in line:gmatch("%a+") do end`},
	{"gsub word, 64 KiB", `if i % 100 == 1 then local s = big:gsub("fox", "cat") end`},
	{"gsub word", `local s = line:gsub("fox", "cat")`},
	{"gsub pattern", `local s = line:gsub("%w+", "<%0>")`},
	{"gsub function", `local s = line:gsub("%s", function() return "-" end)`},
	{"concat 10", `local s = table.concat(words, ", ")`},
	{"insert and remove", `table.insert(words, "x") table.remove(words)`},
	{"insert in front", `table.insert(words, 1, "x") table.remove(words, 1)`},
	{"t[#t+1]", `words[#words + 1] = "x" words[#words] = nil`},
	{"sort 10", `table.sort(words)`},
	{"sort 10 by function", `table.sort(words, function(a, b) return a > b end)`},
	{"floor", `local n = math.floor(i / 3)`},
	{"ipairs 10", `for _, w in ipairs(words) do end`},
	{"pairs 10", `for _, w in pairs(words) do end`},
	{"select", `local n = select("#", i, i)`},
	{"unpack", `local a, b = unpack(words)`},
	{"type", `local t = type(i)`},
}

// BenchmarkOperation divides by a hundred what Go calls an operation.
func BenchmarkOperation(b *testing.B) {
	const values = `local name, line = "session", "The quick brown fox jumps over the lazy dog. It did so again."
		local big, words = ("The quick brown fox jumps over the lazy dog. It did so again.  "):rep(1024), {}
		for w in (line):gmatch("%a+") do if #words < 10 then words[#words + 1] = w end end
		function M.on_data() for i = 1, 100 do `
	for _, o := range operations {
		b.Run(o.name, func(b *testing.B) { benchmarkData(b, values+o.source+" end end") })
	}
}
