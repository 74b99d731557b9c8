package scripting

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

const (
	tooBig    = "64 MiB"
	unbounded = "!test.lua:1: the instruction budget is spent"
	// spentEvent is what ends a handler that waits again and again.
	spentEvent = "!the instruction budget of the event is spent (event_budget = 4000000)"
)

// hostile are scripts that want too much, each in a line of its own. What they want is
// bounded by 2 million instructions.
var hostile = []snippet{
	{"endless loop", `while true do end`, "!test.lua:1: the instruction budget is spent"},
	{"swallowed", `while true do pcall(function() while true do end end) end`, "!the instruction budget is spent"},
	{"swallowed by xpcall", `while true do xpcall(function() while true do end end, function() while true do end end) end`, "!the instruction budget is spent"},
	{"in a coroutine", `coroutine.wrap(function() while true do end end)()`, "!the instruction budget is spent"},
	{"in new coroutines", `while true do coroutine.resume(coroutine.create(function() while true do end end)) end`, "!the instruction budget is spent"},
	{"in a metamethod", `return setmetatable({}, {__index = function() while true do end end}).x`, "!the instruction budget is spent"},
	{"in a sort", `local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() while true do end end)`, "!the instruction budget is spent"},
	{"goto", `::again:: goto again`, "!the instruction budget is spent"},
	{"recursion", `local function f() return 1 + f() end f()`, "!stack overflow"},
	{"recursion in pcall", `local function f() local ok = pcall(f) return ok end local n = 0 while n < 10 do f() n = n + 1 end return "ok"`, "ok"},
	{"recursion in a metamethod", `local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. "x"] end return t.a`, "!stack overflow"},
	{"many values", `local t = {} for i = 1, 1e5 do t[i] = i end return unpack(t)`, "!registry overflow"},
	{"tables of holes", `for i = 1, 1000 do local t = {} t[60000000] = 1 end return "cheap"`, "cheap"},
	{"rep", `return ("x"):rep(1e9)`, "!" + tooBig},
	{"rep of nothing", `return ("" ):rep(1e18)`, ""},
	{"rep of rep", `local s = ("x"):rep(2^20) return s:rep(100)`, "!" + tooBig},
	{"doubling", `local s = ("x"):rep(2^25) s = s .. s .. s`, "!" + tooBig},
	{"doubling for ever", `local s = "x" while true do s = s .. s end`, "!"},
	{"doubling in a function", `local function double(s) return double(s .. s) end double("x")`, "!"},
	{"doubling by concat", `local s = "x" while true do s = table.concat({s, s}) end`, unbounded},
	{"doubling by gsub", `local s = "x" while true do s = s:gsub(".", "%0%0") end`, "!"},
	{"doubling by format", `local s = ("x"):rep(2^25) s = ("%s%s%s"):format(s, s, s)`, "!" + tooBig},
	{"format width", `return ("%1000000000d"):format(1)`, "!width or precision too long"},
	{"format precision", `return ("%.1000000000f"):format(1)`, "!width or precision too long"},
	{"format star", `return ("%*d"):format(1000000000, 1)`, "!invalid option"},
	{"format of Go", `return ("%[1]v"):format(1)`, "!invalid option"},
	{"large strings kept", `local t = {} while true do t[#t + 1] = ("x"):rep(2^20) end`, "!test.lua:1: the"},
	{"pattern", `return (("a"):rep(30000)):find(".-.-.-.-b")`, "!the instruction budget is spent in matching a pattern"},
	{"pattern swallowed", `while true do pcall(string.find, ("a"):rep(30000), ".-.-.-.-b") end`, "!the instruction budget is spent"},
	{"pattern too deep", `return ("a"):rep(1000):find(("a?"):rep(1000))`, "!pattern too complex"},
	{"string is not its own metatable", `return tostring(string.__index) .. tostring(getmetatable(""))`, "nilstring"},
	{"metatables are hidden", `return tostring(getmetatable(fwx.file.open("var/x", "w")))`, "file"},
	{"concat cannot be reached", `return tostring(_G["(concat)"])`, "nil"},
	{"insert in front", `local t = {} while true do table.insert(t, 1, 1) end`, "!the instruction budget is spent"},
	{"json depth", `local t = {} for i = 1, 1000 do t = {t} end local s, err = fwx.json.encode(t) return err`, "json.encode: nested deeper than 100"},
	{"watches", `fwx.file.write("var/x", "x") while true do local w, err, code = fwx.file.watch("var/x", print) if not w then return code .. ": " .. err end end`, "full: watch var/x: the script has 1024 watches on this worker already"},
	{"posted tasks", `while true do local ok, err, code = fwx.firewall:post_task_completion(function() end) if not ok then return code .. ": " .. err end end`, "full: 100000 posted tasks wait already"},
	{"a long name", `local s, err, code = fwx.file.read("read/" .. ("x"):rep(100000)) return code`, "ENAMETOOLONG"},
	{"a name with a zero", `local s, err, code = fwx.file.read("read/a\0b") return code`, "EINVAL"},
	{"log lines", `for i = 1, 1e9 do fwx.log.debug("x") end`, unbounded},
	{"much JSON", `local t = {} for i = 1, 1e5 do t[i] = {i} end while true do fwx.json.encode(t) end`, unbounded},
	{"JSON without an end", `local t = {} t.t = t local s, err = fwx.json.encode(t) return err`, "json.encode: t: a table contains itself"},
	{"addresses", `while true do fwx.ip.parse("192.0.2.1") end`, unbounded},
	{"metatable of the globals", `setmetatable(_G, {__index = function(_, k) while true do end end}) return nothing`, unbounded},
	{"compare without an end", `local m = {} m.__eq = function(a, b) return a == b end local a, b = setmetatable({}, m), setmetatable({}, m) return a == b`, "!stack overflow"},
	{"call without an end", `local t = setmetatable({}, {}) getmetatable(t).__call = function(self) return self() end t()`, "!"},
	{"tostring without an end", `local t = setmetatable({}, {}) getmetatable(t).__tostring = function(self) return tostring(self) end return tostring(t)`, "!stack overflow"},
	{"a long table by insert", `local t = {} for i = 1, 1e9 do table.insert(t, i) end`, unbounded},
	{"remove in front", `local t = {} for i = 1, 1e5 do t[i] = i end while true do table.remove(t, 1) table.insert(t, 1) end`, unbounded},
	{"ipairs", `while true do for _ in ipairs({1, 2, 3}) do end end`, unbounded},
	{"upper", `local s = ("x"):rep(2^20) while true do s:upper() end`, unbounded},
	{"reverse", `local s = ("x"):rep(2^20) while true do s:reverse() end`, unbounded},
	{"byte", `local s = ("x"):rep(100) while true do s:byte(1, -1) end`, unbounded},
	{"error in error handlers", `while true do xpcall(error, function() error("again") end) end`, "!test.lua:1: the"}, // budget, or time: an error is expensive,
	{"unpack", `local t = {} for i = 1, 6e4 do t[i] = i end while true do local first = unpack(t) end`, unbounded},
	{"unpack to a function", `local t = {} for i = 1, 6e4 do t[i] = 65 end while true do math.max(unpack(t)) string.char(unpack(t)) end`, unbounded},
	{"unpack to a table", `local t = {} for i = 1, 6e4 do t[i] = i end while true do t = {unpack(t)} end`, unbounded},
	{"unpack of nothing", `while true do pcall(unpack, {}, 1, 1e9) end`, "!registry overflow"},
	{"unpack from far", `return unpack({}, -1e15, 1e15)`, "!registry overflow"},
	{"many bytes", `return ("x"):rep(1e6):byte(1, -1)`, "!registry overflow"},
	{"bytes again and again", `local s = ("x"):rep(6e4) while true do s:byte(1, -1) end`, unbounded},
	{"select of many", `local t = {} for i = 1, 2e4 do t[i] = i end local function f(...) for i = 1, 1e9 do local x = select(i % 2e4 + 1, ...) end end f(unpack(t))`, unbounded},
	{"many values for coroutines", `local t = {} for i = 1, 2e4 do t[i] = i end while true do coroutine.wrap(function(...) return coroutine.yield(...) end)(unpack(t)) end`, unbounded},
	{"recursion with many locals", `local function f(n) ` + manyLocals + ` if n > 0 then return 1 + f(n - 1) end return 0 end while true do coroutine.wrap(f)(400) end`, unbounded},
	{"a sort that is lied to", `local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, function() return true end) end`, unbounded},
	{"concat of many", `local t = {} for i = 1, 1e5 do t[i] = "x" end while true do table.concat(t) end`, unbounded},
	{"format of many", `local f, t = ("%d"):rep(5000), {} for i = 1, 5000 do t[i] = i end while true do f:format(unpack(t)) end`, unbounded},
	{"files to append to", `local kept = {} while true do local f, err, code = fwx.file.open("var/x", "a") if not f then return code end kept[#kept + 1] = f end`, "EMFILE"},
}

// manyLocals is the beginning of a function that takes much of the stack.
var manyLocals = "local " + strings.TrimSuffix(strings.Repeat("x, ", 120), ", ")

// lasting are scripts that let others run and do not end. Each is a handler of a
// connection, whose instructions are bounded in all.
var lasting = []snippet{
	{"sleeping", `while true do fwx.sleep(0) end`, spentEvent},
	{"waiting for files", `while true do fwx.file.read("none") end`, spentEvent},
	{"swallowing", `while true do pcall(fwx.sleep, 0) end`, spentEvent},
	{"swallowing all", `while true do pcall(function() while true do pcall(fwx.sleep, 0) end end) end`, spentEvent},
	{"working and sleeping", `while true do for i = 1, 1e5 do end fwx.sleep(0) end`, spentEvent},
	{"sleeping in coroutines", `while true do coroutine.wrap(function() fwx.sleep(0) end)() end`, spentEvent},
	{"sleeping in a metamethod", `local t = setmetatable({}, {__index = function() fwx.sleep(0) end}) while true do local x = t.x end`, spentEvent},
	{"sleeping with a limit", `while true do fwx.timeout(1, fwx.sleep, 0) end`, spentEvent},
	{"matching and sleeping", `local s = ("a"):rep(1000) while true do s:find(".-.-b") fwx.sleep(0) end`, spentEvent},
	{"waiting for the store", `while true do fwx.shared.incr("n") fwx.sleep(0) end`, spentEvent},
	{"notifying itself", `local ov, n = fwx.firewall:create_overlapped(), 0 ov:set_notification_interface(function() n = n + 1 end)
		local h = assert(fwx.firewall:hook_to_completion_port("var/x", "w"))
		while true do assert(h:write_file(ov:get_overlapped{}, "x")) ov:wait() end`, spentEvent},
}

// floods are scripts that may run long enough to have all there is of something.
var floods = []snippet{
	{"timers", `while true do fwx.after(1000, print) end`, "!test.lua:1: there are 100000 timers already"},
	{"repeated timers", `while true do fwx.every(1000, print) end`, "!test.lua:1: there are 100000 timers already"},
	{"files", `local kept = {} while true do local f, err, code = fwx.file.open("var/x", "w") if not f then return code .. ": " .. err end kept[#kept + 1] = f end`, "EMFILE: open var/x: the script has 4096 files open on this worker already"},
	{"handles", `local kept = {} while true do local f, err, code = fwx.firewall:hook_to_completion_port("var/x", "w") if not f then return code end kept[#kept + 1] = f end`, "EMFILE"},
}

func hostileBudget(s *Settings) { s.Budget, s.EventBudget, s.Breaker = 2_000_000, 4_000_000, -1 }

// sample returns some of the rows, where all would take too long.
func sample(rows []snippet) (some []snippet) {
	const each = 8
	for i := 0; i < len(rows); i += each {
		some = append(some, rows[i])
	}
	return some
}

// TestHostile sees that each script ends, by the error that says why.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, rows := range []struct {
		list   []snippet
		budget func(*Settings)
	}{{hostile, hostileBudget}, {floods, func(s *Settings) { s.Budget = 20_000_000 }}} {
		if len(rows.list) == len(floods) && fwxtest.RaceEnabled {
			t.Skip("under the race detector it takes minutes; the plain tests have it")
		}
		if fwxtest.RaceEnabled {
			rows.list = sample(rows.list)
		}
		b := newBench(t, anyBackend, rows.budget)
		for _, row := range append(rows.list, snippet{"after all of that", `return "well"`, "well"}) {
			b.wants(row)
		}
	}
}

// TestHostileNeighbours runs the scripts in handlers of connections, while others on
// the same worker and on another go on. What these wait for is bounded by how long a
// handler may hold its worker.
func TestHostileNeighbours(t *testing.T) {
	rows := append(slices.Clone(lasting), hostile...)
	if fwxtest.RaceEnabled || !fwxtest.Long() {
		rows = sample(rows)
	}
	var source strings.Builder
	source.WriteString("local rows = {\n")
	for _, row := range rows {
		fmt.Fprintf(&source, "function() %s end,\n", strings.ReplaceAll(row.source, "\n", " "))
	}
	source.WriteString(`}
		function M.on_data(_, chunk, dir)
			local row = dir == "upstream" and rows[tonumber(tostring(chunk))]
			if row then return tostring(row()) .. "." end
		end`)
	const workers = 2
	config := framework.Config{Service: framework.ServiceConfig{Backend: "auto", Workers: workers}}
	g := newGatewayFrom(t, echo(t), config, source.String(), hostileBudget)
	f := g.filter.(*filter)
	f.timeLimit = timeLimit
	f.failures.began, f.failures.logged = time.Now().Add(time.Hour), -len(rows) // all are logged
	g.start()
	var neighbours sync.WaitGroup
	stop := make(chan struct{})
	longest := make([]atomic.Int64, 2*workers) // so that each worker has one
	for i := range longest {
		c := g.dial()
		neighbours.Go(func() {
			for !isClosed(stop) {
				began := time.Now()
				if err := pingOver(c); err != nil {
					t.Error("a neighbour:", err)
					return
				}
				longest[i].Store(max(longest[i].Load(), int64(time.Since(began))))
			}
		})
	}
	for i, row := range rows {
		for n := range longest {
			longest[n].Store(0)
		}
		got, err := g.exchange(strconv.Itoa(i + 1))
		want, fails := strings.CutPrefix(row.want, "!")
		switch {
		case fails && got != "":
			t.Errorf("%s: got %q", row.name, got)
		case fails:
			g.logged(fmt.Sprintf("test.lua:%d: ", i+2))
			g.logged(strings.TrimPrefix(want, "test.lua:1: "))
		case err != nil || got != want+".":
			t.Errorf("%s: got %q, %v; want %q", row.name, got, err, want)
		}
		for n := range longest {
			// The machine may be busy besides.
			if d := time.Duration(longest[n].Load()); d > timeLimit+30*time.Second {
				t.Errorf("%s: neighbour %d has waited for %v", row.name, n, d)
			} else if testing.Verbose() {
				t.Logf("%s: neighbour %d has waited for %v", row.name, n, d)
			}
		}
	}
	close(stop)
	neighbours.Wait()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pingOver exchanges a message over a connection.
func pingOver(c net.Conn) error {
	_, err := io.WriteString(c, "ping")
	_, failed := io.ReadFull(c, make([]byte, 4))
	return errors.Join(err, failed)
}

// TestGlobalsFrozen lets handlers read globals and not set them.
func TestGlobalsFrozen(t *testing.T) {
	g := newGateway(t, anyBackend, `
		word = "set by the script"
		function M.on_init() other = "set by on_init" end
		function M.on_connect(conn)
			for _, f in ipairs{
				function() fresh = conn.id end,
				function() word = conn.id end,
				function() string = nil end,
				function() _G.fresh = conn.id end,
				function() setmetatable(_G, nil) end,
			} do
				local ok, err = pcall(f)
				fwx.log.info(ok and "it could be set" or err)
			end
			fwx.log.info(word .. ", " .. other .. ", " .. tostring(fresh) .. ", " .. type(string.rep))
		end`).start()
	if _, err := g.exchange("abc"); err != nil {
		t.Fatal(err)
	}
	g.logged(`the global "fresh" cannot be set by a handler`)
	g.logged(`the global "word" cannot be set by a handler`)
	g.logged(`the global "string" cannot be set by a handler`)
	g.logged("cannot change a protected metatable")
	g.logged("set by the script, set by on_init, nil, function")
	if strings.Contains(g.log.String(), "it could be set") {
		t.Error("a global could be set")
	}
}

// TestClosedFilesAreCounted sees that a file counts once less against the bound when
// it is closed, however often that is.
func TestClosedFilesAreCounted(t *testing.T) {
	b := newBench(t, anyBackend)
	if _, err := b.run(`local f = assert(fwx.file.open("var/x", "w")) f:close() f:close()
		local a = assert(fwx.file.open("var/x", "a")) a:close() a:close() return "ok"`); err != nil {
		t.Fatal(err)
	}
	var open int
	if err := b.port.Workers()[0].Call(func() { open = b.state.files }); err != nil || open != 0 {
		t.Errorf("%d files are open, %v", open, err)
	}
}

// TestOwnLoops lets the script itself, and what it begins, wait for longer than an event may.
func TestOwnLoops(t *testing.T) {
	g := newGateway(t, anyBackend, `
		local function work(name)
			for i = 1, 1000 do fwx.sleep(0) end
			fwx.log.info(name .. " goes on")
		end
		work("the script")
		fwx.after(0, function() work("a timer of the script") end)
		function M.on_init() work("on_init") end
		function M.on_connect()
			fwx.after(0, function() work("a timer") end)
			assert(fwx.firewall:post_task_completion(function() work("a task") end))
			work("on_connect")
		end
		function M.on_close() fwx.log.info("closed") end
		function M.on_shutdown() work("on_shutdown") end`, func(s *Settings) { s.EventBudget = 10_000 }).start()
	if got, err := g.exchange("abc"); got != "" || err == nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"the script", "a timer of the script", "on_init", "a timer", "a task"} {
		g.logged(name + " goes on")
	}
	g.logged("the instruction budget of the event is spent (event_budget = 10000)")
	g.logged("closed")
	g.stop()
	g.logged("on_shutdown goes on")
	if strings.Contains(g.log.String(), "on_connect goes on") {
		t.Error("on_connect has gone on")
	}
}
