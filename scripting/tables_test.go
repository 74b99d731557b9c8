package scripting

import (
	"runtime"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// TestRemovedKeys sees that the census gets rid of keys that were removed, and that a table
// can be gone through meanwhile, with keys that are removed on the way.
func TestRemovedKeys(t *testing.T) {
	b := newBench(t, anyBackend, func(s *Settings) { s.Budget = 1 << 40 })
	onWorker(b, func() {
		g := b.state.L.G.Global
		b.state.install(
			g,
			binding{name: "census", call: func(s *state, _ *lua.LState) int { s.count(); return 0 }},
			binding{name: "keys_of", call: func(_ *state, L *lua.LState) int {
				return give(L, lua.LNumber(len(*parts.table(L.CheckTable(1)).keys)))
			}},
		)
	})
	const fill = `local t = {} local function fill(n) for i = 1, n do t["k" .. i] = i end end
		local function clear() for k in pairs(t) do t[k] = nil end end `
	for _, row := range []snippet{
		{"removed", fill + `fill(1000) clear() local function left() census() return keys_of(t) end return left()`, "0"},
		{"one at a time", fill + `for i = 1, 1000 do t["k" .. i] = 1 t["k" .. i] = nil end census() return keys_of(t)`, "0"},
		{"some stay", fill + `for i = 1, 1000 do t[i + 0.5] = i t["k" .. i] = 1 if i % 10 > 0 then t[i + 0.5] = nil t["k" .. i] = nil end end census()
			local n, order, last = 0, true, 0 for k, v in pairs(t) do n = n + 1 local i = type(k) == "number" and v or tonumber(k:sub(2)) order = order and i >= last last = i end
			return n .. tostring(order) .. keys_of(t)`, "200true200"},
		{"in a loop that removes", fill + `fill(1000) local n = 0 for k in pairs(t) do t[k] = nil n = n + 1 if n % 100 == 0 then census() end end return n`, "1000"},
		{"in a loop with next", fill + `fill(1000) local n = 0 for k in next, t do t[k] = nil n = n + 1 if n % 100 == 0 then census() end end return n`, "1000"},
		{"in a loop by hand", fill + `fill(1000) local n, k = 0, next(t) while k do n = n + 1 local after = next(t, k) t[k] = nil if n == 900 then census() end k = after end return n`, "1000"},
		{"in a coroutine", fill + `fill(1000) local n = 0 local co = coroutine.wrap(function() for k in pairs(t) do t[k] = nil coroutine.yield(k) end end)
			while co() do n = n + 1 if n % 100 == 0 then census() end end return n`, "1000"},
		{"and set again", fill + `for i = 1, 1000 do t["k" .. i] = 1 t["k" .. i] = nil end census() fill(10) local n = 0 for k, v in pairs(t) do n = n + v end return n`, "55"},
		{"a key that there is not", `return next({}, "x")`, "!invalid key to 'next'"},
		{"arrays", `local t = {1, nil, 3, x = 4} local out = {} for k, v in pairs(t) do out[#out + 1] = tostring(k) .. v end return table.concat(out, " ")`, "11 33 x4"},
		{"an array that becomes shorter", `local t = {1, 2, 3, x = 4} local n = 0 for k in pairs(t) do n = n + 1 t[k] = nil if k == 2 then table.remove(t) end end return n`, "3"},
		{"the end", `local k = next({a = 1}) return tostring(next({a = 1}, k)) .. tostring(next({}))`, "nilnil"},
		{"pairs is next", `local f = pairs({}) return tostring(f == next)`, "true"},
	} {
		b.wants(row)
	}
}

// TestRemovedKeysCount sees what next goes past, in instructions.
func TestRemovedKeysCount(t *testing.T) {
	b := newBench(t, anyBackend, func(s *Settings) { s.Budget = 3_000_000 })
	b.wants(snippet{"next", `local t = {} for i = 1, 1e5 do t["k" .. i] = 1 end for i = 1, 1e5 do t["k" .. i] = nil end for i = 1, 1000 do next(t) end`, unbounded})
}

// TestMemoryInFact has scripts keep little on ways that pin much more, and looks at what
// the whole program has in the end.
func TestMemoryInFact(t *testing.T) {
	const little = 64 << 20
	for _, row := range []snippet{
		{"keys that were removed", `kept = {} local function put(k) kept[k] = 1 kept[k] = nil end for i = 1, 1e6 do put("k" .. i) end return "ok"`, "ok"},
		{"parts by sub", `kept = {} for i = 1, 4000 do kept[i] = (("x"):rep(65000) .. i):sub(-5) end return "ok"`, "ok"},
		{"parts by match", `kept = {} for i = 1, 4000 do kept[i] = (("x"):rep(65000) .. i):match("%d+$", -9) end return "ok"`, "ok"},
		{"captures", `kept = {} for i = 1, 4000 do kept[i] = select(3, (("x"):rep(65000) .. i):find("x(%d+)$", -9)) end return "ok"`, "ok"},
		{"parts by gmatch", `kept = {} for i = 1, 4000 do for w in (i .. "," .. ("x"):rep(65000)):gmatch("%d+") do kept[i] = w break end end return "ok"`, "ok"},
		{"parts by an expression", `kept = {} local r = fwx.re.compile("^[0-9]+") for i = 1, 4000 do kept[i] = r:match(i .. ("x"):rep(65000)) end return "ok"`, "ok"},
		{"parts by split", `kept = {} local r = fwx.re.compile(",") for i = 1, 4000 do kept[i] = r:split(i .. "," .. ("x"):rep(65000))[1] end return "ok"`, "ok"},
		{"keys by sub", `kept = {} for i = 1, 4000 do kept[(("x"):rep(65000) .. i):sub(-8)] = i end return "ok"`, "ok"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, anyBackend, func(s *Settings) { s.Memory, s.Budget = 8<<20, 1<<40 })
			heap := func() uint64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			b.wants(row)
			if after := heap(); after > before+little {
				t.Errorf("%d MiB are kept", (after-before)>>20)
			}
			runtime.KeepAlive(b)
		})
	}
}
