package scripting

import (
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// TestMemory has scripts that hold more and more, in every way there is.
func TestMemory(t *testing.T) {
	if fwxtest.RaceEnabled {
		t.Skip("under the race detector it takes minutes; the plain tests have it")
	}
	if !parts.known {
		t.Fatal("this version of the interpreter is built differently: what tables and stacks hold is not counted")
	}
	const over = "!the script holds more than its memory"
	rows := []snippet{
		{"a table of numbers", `local t = {} for i = 1, 1e9 do t[i] = i end`, over},
		{"a table of keys", `local t = {} for i = 1, 1e9 do t["k" .. i] = true end`, over},
		{"a table of other keys", `local t = {} for i = 1, 1e9 do t[i + 0.5] = true end`, over},
		{"tables in tables", `local t = {} while true do t = {t} end`, over},
		{"tables as keys", `local t = {} while true do t[{}] = true end`, over},
		{"metatables", `local t while true do t = setmetatable({}, t or {}) t = setmetatable({}, {__index = t}) end`, over},
		{"strings", `local t = {} while true do t[#t + 1] = ("x"):rep(2^16) end`, over},
		{"small strings", `local t = {} while true do t[#t + 1] = tostring(#t) .. "abcdefgh" end`, over},
		{"strings as keys", `local t = {} while true do t[("x"):rep(1000) .. math.random()] = true end`, over},
		{"closures", `local t = {} while true do local a, b, c = {}, {}, {} t[#t + 1] = function() return a, b, c end end`, over},
		{"a chain of closures", `local f = function() end while true do local g = f f = function() return g end end`, over},
		{"coroutines", `local t = {} while true do local c = coroutine.create(function() coroutine.yield() end) coroutine.resume(c) t[#t + 1] = c end`, over},
		{"values in coroutines", `local t = {} while true do local c = coroutine.wrap(function() local big = ("x"):rep(2^18) coroutine.yield() return big end) c() t[#t + 1] = c end`, over},
		{"holes", `local t = {} while true do local h = {} h[1e6] = 1 t[#t + 1] = h end`, over},
		{"varargs", `local t = {} local function keep(...) t[#t + 1] = {...} end while true do keep(unpack({}, 1, 200)) end`, over},
		{"sets", `local t = {} while true do local keys = {} for i = 1, 1000 do keys[i] = i end t[#t + 1] = keys end`, over},
		{"JSON", `local t = {} while true do t[#t + 1] = fwx.json.decode("[[[],[],[]],[[],[],[]],[[],[],[]],{\"a\":{},\"b\":{}}]") end`, over},
		{"split strings", `local t, s = {}, ("word "):rep(1000) while true do for w in s:gmatch("%a+") do t[#t + 1] = w .. #t end end`, over},
		{"sorted", `local t = {} while true do t[#t + 1] = {math.random()} if #t % 4096 == 0 then table.sort(t, function(a, b) return a[1] < b[1] end) end end`, over},
		{"caught", `local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end`, over},
		{"caught by xpcall", `local t = {} while true do xpcall(function() while true do t[#t + 1] = {} end end, function(m) t[#t + 1] = {m} return m end) end`, over},
		{"caught, and waiting", `local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) fwx.sleep(0) end`, over},
		{"in a metamethod", `local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, {v}) end}) for i = 1, 1e9 do t[i] = {} end`, over},
		{"in a coroutine", `local t = {} coroutine.wrap(function() while true do t[#t + 1] = {} end end)()`, over},
		{"nothing is held", `for i = 1, 2e6 do local t = {i, {}, "x" .. i} end return "ok"`, "ok"},
		{"one string often", `local s, t = ("x"):rep(2^20), {} for i = 1, 1e5 do t[i] = s end return #t`, "100000"},
		{"and after all of that", `return "well"`, "well"},
	}
	b := newMemoryBench(t)
	for _, row := range rows {
		runtime.GC() // what the row before held
		b.wants(row)
	}
}

// TestMemoryOfObjects has scripts that hold more and more by objects of the host, and
// each a state of its own, since some of it lasts.
func TestMemoryOfObjects(t *testing.T) {
	t.Parallel()
	if fwxtest.RaceEnabled {
		t.Skip("under the race detector it takes minutes; the plain tests have it")
	}
	const over = "!the script holds more than its memory"
	server := serve(t, "tcp", "127.0.0.1:0", commands)
	head := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nX: " + strings.Repeat("x", 60_000) + "\r\n\r\n"
	web := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, head)
	})
	for _, row := range []snippet{
		{"reads in flight", `local h = assert(fwx.firewall:hook_to_completion_port("var/fifo", "r+")) while true do
			local ov = fwx.firewall:create_overlapped() ov:set_notification_interface(function() end)
			assert(h:read_file(ov:get_overlapped{}, 2^20)) end`, over},
		{"reads that wait", `local f = assert(fwx.file.open("var/fifo", "r+")) while true do fwx.after(0, function() f:read(0, 2^20) end) fwx.sleep(0) end`, over},
		{"data of overlappeds", `local h, t = assert(fwx.firewall:hook_to_completion_port("var/large")), {} while true do
			local ov = fwx.firewall:create_overlapped() ov:set_notification_interface(function() end)
			assert(h:read_file(ov:get_overlapped{}, 2^16)) ov:wait() t[#t + 1] = ov end`, over},
		{"short reads keep no room", `local f, t = assert(fwx.file.open("var/small")), {} for i = 1, 500 do t[i] = f:read(0, 2^20) end return t[500]`, "small"},
		{"posted tasks", `while true do assert(fwx.firewall:post_task_completion(function() end, ("x"):rep(2^16))) end`, over},
		{"timers", `while true do local s = ("x"):rep(2^16) fwx.after(1000, function() return s end) end`, over},
		{"posted tasks that wait", `while true do fwx.firewall:post_task_completion(function() fwx.sleep(3600) end) fwx.sleep(0) end`, over},
		{"stopped timers", `local t = {} while true do local s = ("x"):rep(2^16) t[#t + 1] = fwx.after(1000, function() return s end) t[#t]:stop() end`, over},
		{"sets of addresses", `local list, t = {}, {} for i = 1, 1000 do list[i] = "10.0." .. math.floor(i / 200) .. "." .. i % 200 end
			while true do t[#t + 1] = fwx.ip.set(list) end`, over},
		{"denials", `local t = {} while true do t[#t + 1] = fwx.deny(("x"):rep(2^16)) end`, over},
		{"what sockets have received", `local t = {} while true do local s = assert(fwx.connect("tcp://` + server + `")) t[#t + 1] = s
			s:send("big\n") s:receive(2^20 + 1, 0.5) end`, over},
		{"headers", `local t = {} while true do t[#t + 1] = assert(fwx.http.get("http://` + web + `/")).headers end`, over},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newMemoryBench(t, toLoopback)
			b.write("var/large", strings.Repeat("x", 1<<16))
			b.write("var/small", "small")
			makeFIFO(t, filepath.Join(b.dir, "var", "fifo"))
			b.wants(row)
		})
	}
}

// newMemoryBench returns a bench for scripts with little memory and all the time they want.
func newMemoryBench(t *testing.T, change ...func(*Settings)) *bench {
	t.Helper()
	b := newBench(t, anyBackend, append(change, func(s *Settings) { s.Memory, s.Budget = 8<<20, 1<<40 })...)
	b.holdFor(time.Hour)
	return b
}

// TestMemoryKept fails every handler of a script that holds too much in a global, until
// on_close, which is let run, has given it back.
func TestMemoryKept(t *testing.T) {
	b := newMemoryBench(t)
	for _, source := range []string{`kept = {} while true do kept["g" .. math.random()] = ("x"):rep(1000) end`, `return "not me"`, `return "nor me"`} {
		if got, err := b.run(source); err == nil || !strings.Contains(err.Error(), "more than its memory") {
			t.Fatalf("%s: got %q, %v", source, got, err)
		}
	}
	if got, err := b.runAs(handlerClose, `kept = nil return "gone"`); got != "gone" {
		t.Fatalf("on_close: got %q, %v", got, err)
	}
	if got, err := b.run(`return "me"`); got != "me" {
		t.Fatalf("got %q, %v", got, err)
	}
}
