package scripting

import (
	"testing"

	"fwx/framework"
)

// TestWaitAnywhere waits in all the places where a yield of Lua could not.
func TestWaitAnywhere(t *testing.T) {
	runSnippets(t, func(b *bench) { b.write("read/a", "hello") }, []snippet{
		{"plainly", `fwx.sleep(0.001) return fwx.file.read("read/a")`, "hello"},
		{"tail call", `return fwx.file.read("read/a")`, "hello"},
		{"pcall", `local ok, s = pcall(function() fwx.sleep(0.001) return fwx.file.read("read/a") end) return tostring(ok) .. s`, "truehello"},
		{"pcall of the function itself", `local ok, s = pcall(fwx.file.read, "read/a") return tostring(ok) .. s`, "truehello"},
		{"error after", `local ok, err = pcall(function() fwx.sleep(0.001) error("oops", 0) end) return tostring(ok) .. err`, "falseoops"},
		{"nested pcall", `local function f(n) if n == 0 then return fwx.file.read("read/a") end return select(2, pcall(f, n - 1)) end return f(20)`, "hello"},
		{"xpcall", `local ok, s = xpcall(function() return fwx.file.read("read/a") end, print) return tostring(ok) .. s`, "truehello"},
		{"xpcall handler", `local ok, s = xpcall(function() error("x") end, function() return fwx.file.read("read/a") end) return tostring(ok) .. s`, "falsehello"},
		{"__index", `return setmetatable({}, {__index = function(t, k) return fwx.file.read("read/" .. k) end}).a`, "hello"},
		{"__newindex", `local s local t = setmetatable({}, {__newindex = function(t, k, v) s = fwx.file.read(v) end}) t.x = "read/a" return s`, "hello"},
		{"__call", `return setmetatable({}, {__call = function(t, p) return fwx.file.read(p) end})("read/a")`, "hello"},
		{"__add", `return setmetatable({}, {__add = function() return fwx.file.read("read/a") end}) + 1`, "hello"},
		{"__concat", `return setmetatable({}, {__concat = function(a, b) return fwx.file.read("read/a") .. b end}) .. "!"`, "hello!"},
		{"__eq", `local mt = {__eq = function() fwx.sleep(0.001) return true end} return tostring(setmetatable({}, mt) == setmetatable({}, mt))`, "true"},
		{"__lt", `local mt = {__lt = function() fwx.sleep(0.001) return true end} return tostring(setmetatable({}, mt) < setmetatable({}, mt))`, "true"},
		{"__tostring", `return tostring(setmetatable({}, {__tostring = function() return fwx.file.read("read/a") end}))`, "hello"},
		{"iterator", `local out = "" for s in function(_, last) if not last then return fwx.file.read("read/a") end end do out = out .. s end return out`, "hello"},
		{"sort", `local t = {3, 1, 2} table.sort(t, function(a, b) fwx.sleep(0.001) return a < b end) return table.concat(t)`, "123"},
		{"gsub", `return (("a-a"):gsub("a", function(p) return fwx.file.read("read/" .. p) end))`, "hello-hello"},
		{"coroutine", `local co = coroutine.wrap(function(p) local s = fwx.file.read(p) local more = coroutine.yield(s) fwx.sleep(0.001) return more end) return co("read/a") .. co("!")`, "hello!"},
		{"coroutine in a coroutine", `return coroutine.wrap(function() return coroutine.wrap(function() return fwx.file.read("read/a") end)() end)()`, "hello"},
		{"resume", `local co = coroutine.create(function() fwx.sleep(0.001) coroutine.yield(1) error("x", 0) end)
			local a, b = coroutine.resume(co) local c, d = coroutine.resume(co) return tostring(a) .. b .. tostring(c) .. d .. coroutine.status(co)`, "true1falsexdead"},
		{"yield as the tail call", `local co = coroutine.wrap(function() return coroutine.yield(1) end) return co() .. co(2)`, "12"},
		{"yield of nils", `local co = coroutine.wrap(function(...) return select("#", coroutine.yield(nil, nil)) end) co() return co(nil, nil, nil)`, "3"},
		{"generator", `local out = "" for v in coroutine.wrap(function() for i = 1, 3 do fwx.sleep(0.001) coroutine.yield(i) end end) do out = out .. v end return out`, "123"},
		{"yield across pcall", `local co = coroutine.create(function() return pcall(coroutine.yield, 1) end) local _, ok, err = coroutine.resume(co) return tostring(ok) .. " " .. err`, "false test.lua:1: attempt to yield across a pcall, metamethod, iterator or callback"},
		{"yield across a metamethod", `return select(2, coroutine.resume(coroutine.create(function() return setmetatable({}, {__index = function() coroutine.yield() return 1 end}).x end)))`, "test.lua:1: attempt to yield across a pcall, metamethod, iterator or callback"},
		{"yield outside", `coroutine.yield()`, "!attempt to yield outside of a coroutine"},
		{"resume itself", `local co co = coroutine.create(function() return coroutine.resume(co) end) return select(3, coroutine.resume(co))`, "cannot resume non-suspended coroutine"},
		{"running", `return tostring(coroutine.running()) .. type(coroutine.wrap(function() return coroutine.running() end)())`, "nilthread"},
		{"resume of one that waits", `local co = coroutine.wrap(function() fwx.sleep(0.05) return "first" end) local other
			fwx.after(0.01, function() other = select(2, pcall(co)) end) return co() .. ": " .. other`, "first: test.lua:2: cannot resume non-suspended coroutine"},
		{"budget starts anew", `for i = 1, 20 do for j = 1, 100000 do end fwx.sleep(0) end return "ok"`, "ok"},
	}, func(s *Settings) { s.Budget = 1_000_000 })
}

// TestFibersAreReused sees that the next handler runs on the fiber of the last.
func TestFibersAreReused(t *testing.T) {
	b := newBench(t, anyBackend)
	for range 10 {
		if _, err := b.run(`fwx.sleep(0.001)`); err != nil {
			t.Fatal(err)
		}
	}
	var idle int
	if err := b.state.worker.Call(func() { idle = len(b.state.idle) }); err != nil || idle != 1 {
		t.Errorf("%d fibers, %v", idle, err)
	}
}

// TestNoAllocation sees that a handler that does nothing allocates nothing.
func TestNoAllocation(t *testing.T) {
	b, c := benchConn(t, `function M.on_connect() end function M.on_data(conn, chunk, direction) if chunk:starts_with("GET ") then return end end`)
	onWorker(b, func() {
		data := []byte("GET / HTTP/1.1")
		if n := testing.AllocsPerRun(1000, func() { (*dataFilter)(c).Data(nil, framework.Upstream, data) }); n > 0 {
			t.Errorf("on_data: %v allocations", n)
		}
		if n := testing.AllocsPerRun(1000, func() { c.event.call(c, nil, handlerConnect, b.state.handlers.connect, c.object) }); n > 0 {
			t.Errorf("on_connect: %v allocations", n)
		}
	})
}

// TestShutdownWhileWaiting ends a state in which fibers wait, some of which do not
// want to end.
func TestShutdownWhileWaiting(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend)
		_, err := b.run(`
			for i = 1, 10 do
				fwx.after(0, function() fwx.sleep(3600) end)
				fwx.after(0, function() while true do pcall(fwx.sleep, 3600) end end)
				fwx.after(0, function() coroutine.wrap(function() fwx.sleep(3600) end)() end)
			end
			fwx.every(0.001, function() end)
			fwx.sleep(0.02)`)
		if err != nil {
			t.Fatal(err)
		}
		b.close() // fails for one that has to be ended by force
	})
}

// TestCaughtErrors sees that locals are still what closures see behind an error that was
// caught.
func TestCaughtErrors(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"before and behind", `local n = 0 local function inc() n = n + 1 end inc() pcall(error, "x") inc() return n`, "2"},
		{"in the call", `local n = 0 local function try() n = n + 1 if n < 3 then error("again") end end while not pcall(try) do end return n`, "3"},
		{"what has ended", `local kept pcall(function() local x = 1 kept = function() x = x + 1 return x end error("x") end) kept() local a, b, c = 7, 8, 9 return kept() .. a .. b .. c`, "3789"},
		{"stack overflow", `local n = 0 local function f() n = n + 1 return 1 + f() end local ok, err = pcall(f) return tostring(n > 100) .. err`, "truetest.lua:1: stack overflow"},
		{"stack overflow in pcall", `local function f() return pcall(f) end local n = 0 for i = 1, 3 do f() n = n + 1 end return n`, "3"},
		{"stack overflow in pcall, at every depth", `local function f() local ok = pcall(f) return ok end
			local function try(depth) if depth > 0 then local n = try(depth - 1) return n end local n = 0 for i = 1, 3 do f() n = n + 1 end return n end
			local sum = 0 for depth = 0, 20 do sum = sum + try(depth) end return sum`, "63"},
		{"in a coroutine", `local n = 0 local function inc() n = n + 1 end coroutine.resume(coroutine.create(function() inc() error("x") end)) inc() return n`, "2"},
		{"no function", `return select(2, pcall(nil)) .. select(2, pcall({}))`, "attempt to call a nil valueattempt to call a table value"},
		{"an error in the handler", `local n = 0 local function inc() n = n + 1 end local ok, err = xpcall(function() inc() error("x") end, function() inc() error("y", 0) end) inc() return tostring(ok) .. err .. n`, "falsey3"},
		{"a handler that catches", `local function fail() error("x", 0) end return select(2, xpcall(fail, function(err) local ok, other = pcall(error, "y", 0) return err .. other end))`, "xy"},
		{"xpcall", `local n = 0 local function inc() n = n + 1 end inc() xpcall(function() inc() error("x") end, function() inc() end) inc() return n`, "4"},
		{"timeout", `local n = 0 local function inc() n = n + 1 end pcall(fwx.timeout, 60, function() inc() error("x") end) inc() return n`, "2"},
	})
}
