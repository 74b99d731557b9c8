package scripting

import "testing"

// TestNests sees that calls within calls have a bound on every way that leads from one to
// the next, and that an error which leaves them all takes no longer than it counts for.
func TestNests(t *testing.T) {
	t.Parallel()
	const (
		overflow = "stack overflow"
		resumed  = "stack overflow: coroutines that resume each other"
		spent    = "!the instruction budget is spent"
	)
	b := newBench(t, anyBackend, func(s *Settings) { s.Budget = 2_000_000 })
	for _, row := range []snippet{
		{"coroutine.wrap", `local function f() coroutine.wrap(f)() end f()`, "!" + resumed},
		{"coroutine.resume", `local deepest local function f() local ok, e = coroutine.resume(coroutine.create(f)) deepest = deepest or e error(e, 0) end pcall(f) return deepest`, "test.lua:1: " + resumed},
		{"again and again", `local function f() coroutine.wrap(f)() end while true do pcall(f) end`, spent},
		{"coroutines that go on", `local n = 0 local function f() n = n + 1 pcall(coroutine.wrap(f)) error("x") end pcall(f) return tostring(n > 50 and n < 512)`, "true"},
		{"coroutines and recursion", `local function g(n) if n > 0 then return 1 + g(n - 1) end coroutine.wrap(function() return 1 + g(150) end)() end return select(2, pcall(g, 150)):match("stack overflow.*")`, resumed},
		{"as deep as is usual", `local function f(n) if n > 0 then return 1 + coroutine.wrap(f)(n - 1) end return 0 end return f(40)`, "40"},
		{"deep, then a coroutine", `local function g(n) if n > 0 then return 1 + g(n - 1) end return coroutine.wrap(function() return 7 end)() end return g(400)`, "407"},
		{"pcall", `local deepest local function f() local ok, e = pcall(f) deepest = deepest or e error("x") end pcall(f) return deepest:match("stack overflow")`, overflow},
		{"xpcall whose handler fails", `local function f() xpcall(f, function() error("again") end) error("x") end f()`, spent},
		{"xpcall while a budget is spent", `local function f(n) if n > 0 then xpcall(f, function(e) return f(n - 1) end, n - 1) end while true do end end f(400)`, spent},
		{"metamethods", `local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]`, "!" + overflow},
		{"gsub", `local function f() return (("x"):gsub(".", f)) end f()`, "!" + overflow},
		{"sort", `local function f() table.sort({1, 2, 3}, f) end f()`, "!" + overflow},
		{"tostring", `local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return tostring(t) end return ("%s"):format(t)`, "!" + overflow},
		{"fwx.timeout", `local function f() local ok, e = fwx.timeout(60, f) error("x") end f()`, "!"},
		{"varargs that grow", `local function f(...) return f(1, ...) end f()`, "!registry overflow"},
		{"and after all of that", `return "well"`, "well"},
	} {
		b.wants(row)
	}
}
