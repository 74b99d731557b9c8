package scripting

import (
	"strings"
	"syscall"
	"testing"

	"fwx/framework/fwxtest"
)

func TestJSON(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"scalars", `return fwx.json.encode({1, 1.5, "a", true, fwx.json.null, -0.25, 1e300})`, `[1,1.5,"a",true,null,-0.25,1e+300]`},
		{"order", `return fwx.json.encode({b = 1, a = {c = {}, B = "x"}})`, `{"a":{"B":"x","c":{}},"b":1}`},
		{"text", `return fwx.json.encode("a\"\\\n\1\127é\255")`, `"a\"\\\n\u0001\u007fé` + "\uFFFD" + `"`},
		{"nil", `return fwx.json.encode(nil)`, `null`},
		{"function", `return select(2, fwx.json.encode({a = print}))`, `json.encode: a: a function has no form in JSON`},
		{"cycle", `local t = {} t.t = t return select(2, fwx.json.encode(t))`, `json.encode: t: a table contains itself`},
		{"shared is no cycle", `local t = {1} return fwx.json.encode({t, t})`, `[[1],[1]]`},
		{"mixed", `return select(2, fwx.json.encode({1, a = 2}))`, `json.encode: a table has both a list and the key "a"`},
		{"hole", `return select(2, fwx.json.encode({[1] = 1, [9] = 2}))`, `json.encode: a list has holes`},
		{"number keys", `return select(2, fwx.json.encode({[1e9] = 1}))`, `json.encode: the key 1000000000 of a table is not one of a list`},
		{"not a number", `return select(2, fwx.json.encode(0/0))`, `json.encode: the number NaN has no form in JSON`},
		{"there and back", `local text = '{"a":[1,2,{"b":null}],"c":"x","d":false,"e":-1.5e3}' return fwx.json.encode(fwx.json.decode(text))`, `{"a":[1,2,{"b":null}],"c":"x","d":false,"e":-1500}`},
		{"null", `return tostring(fwx.json.decode("null") == fwx.json.null)`, "true"},
		{"rest", `return select(2, fwx.json.decode("1 2"))`, "json.decode: something follows the value"},
		{"cut", `return select(2, fwx.json.decode('{"a":'))`, "json.decode: the text ends within the value"},
		{"empty", `return select(2, fwx.json.decode(""))`, "json.decode: the text ends within the value"},
		{"bad", `return tostring(fwx.json.decode("{a}"))`, "nil"},
		{"deep", `return select(2, fwx.json.decode(("["):rep(1000)))`, "json.decode: nested deeper than 100"},
	})
}

func TestIP(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"parse", `return table.concat({fwx.ip.parse("10.0.0.1"), fwx.ip.parse("::ffff:10.0.0.1"), fwx.ip.parse("2001:DB8::0"), fwx.ip.parse("10.1.2.3/8")}, " ")`, "10.0.0.1 10.0.0.1 2001:db8:: 10.0.0.0/8"},
		{"bad", `local a, err, code = fwx.ip.parse("10.0.0") return code .. ": " .. err`, `EINVAL: "10.0.0" is not an IP address or prefix`},
		{"set", `local s = fwx.ip.set{"10.0.0.0/8", "10.1.0.0/16", "192.168.1.1", "2001:db8::/32", "0.0.0.0/32"}
			local out = {#s}
			for _, a in ipairs{"10.255.255.255", "11.0.0.0", "9.255.255.255", "192.168.1.1", "192.168.1.2", "2001:db8:ffff::", "2001:db9::", "::ffff:10.0.0.1", "0.0.0.0", "what"} do
				out[#out + 1] = s:contains(a) and 1 or 0
			end
			return table.concat(out)`, "41001010110"},
		{"empty", `return tostring(fwx.ip.set{}:contains("10.0.0.1")) .. tostring(fwx.ip.set{"10.0.0.1"}:contains(nil))`, "falsefalse"},
		{"bad entry", `return select(2, fwx.ip.set{"10.0.0.1", "x"})`, `entry 2: "x" is not an IP address or prefix`},
	})
}

func TestTimers(t *testing.T) {
	runSnippets(t, nil, []snippet{
		{"after", `local n = 0 fwx.after(0.005, function() n = n + 1 end) while n == 0 do fwx.sleep(0.001) end fwx.sleep(0.01) return n`, "1"},
		{"every", `local n = 0 local t t = fwx.every(0.002, function() n = n + 1 if n == 3 then t:stop() end end) while n < 3 do fwx.sleep(0.001) end fwx.sleep(0.01) return n`, "3"},
		{"stop", `local n = 0 local t = fwx.after(0.005, function() n = 1 end) local was = t:stop() fwx.sleep(0.02) return n .. tostring(was) .. tostring(t:stop())`, "0truefalse"},
		{"every that waits", `local n = 0 local t = fwx.every(0.001, function() n = n + 1 fwx.sleep(3600) end) while n == 0 do fwx.sleep(0.001) end fwx.sleep(0.02) t:stop() return n`, "1"},
		{"negative", `fwx.sleep(-1)`, "!seconds from 0 to a year expected"},
		{"clocks", `local c = fwx.clock() fwx.sleep(0.01) local d = fwx.clock() - c return tostring(d >= 0.009 and d < 600) .. tostring(math.abs(fwx.now() - os.time()) < 600)`, "truetrue"},
	})
}

func TestBackgroundErrors(t *testing.T) {
	b := newBench(t, anyBackend)
	_, err := b.run(`
		fwx.after(0, function() error("in a timer") end)
		fwx.firewall:post_task_completion(function() error("in a task") end)`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"test.lua:2: in a timer", "test.lua:3: in a task", "handler=timer", `handler="posted task"`, "line=2", "traceback="} {
		fwxtest.Eventually(t, patience, "the log has "+want, func() bool { return strings.Contains(b.log.String(), want) })
	}
}

func TestLog(t *testing.T) {
	b := newBench(t, anyBackend)
	_, err := b.run(`
		fwx.log.warn("careful", {n = 1, f = 1.5, s = "text", b = true, t = setmetatable({}, {__tostring = function() return "made" end})})
		print("a", 1, nil, "b")`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=WARN msg=careful b=true f=1.5 n=1 s=text t=made", `msg="a\t1\tnil\tb"`} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
	if _, err := b.run(`fwx.log.info(1)`); err == nil {
		t.Error("a message that is a number was logged")
	}
}

func TestSDK(t *testing.T) {
	runSnippets(t, func(b *bench) { b.write("read/a", "hello") }, []snippet{
		{"write and read", `
			local h = assert(fwx.firewall:hook_to_completion_port("var/x", "w+"))
			local out, ov = {}, fwx.firewall:create_overlapped()
			assert(ov:set_notification_interface(function(success, bytes, err, overlapped, user)
				out[#out + 1] = tostring(success) .. bytes .. tostring(err) .. tostring(overlapped == ov) .. user.id
				assert(ov:set_notification_interface(function(success, bytes, err, overlapped)
					fwx.sleep(0.001)
					out[#out + 1] = overlapped:data()
				end))
				assert(h:read_file(ov:get_overlapped{offset = 1}, 3))
			end, {id = 7}))
			assert(h:write_file(ov:get_overlapped{offset = 0}, "hello"))
			out[1] = "not inline"
			while #out < 3 do fwx.sleep(0.001) end
			h:close()
			return table.concat(out, " ")`, "not inline true5niltrue7 ell"},
		{"end of file", `
			local h, got = assert(fwx.firewall:hook_to_completion_port("read/a"))
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function(success, bytes, err) got = tostring(success) .. bytes .. err end)
			h:read_file(ov:get_overlapped{offset = 100}, 3)
			while not got do fwx.sleep(0.001) end
			return got`, "false0end of file"},
		{"busy", `
			local h, done = assert(fwx.firewall:hook_to_completion_port("read/a"))
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function() done = true end)
			local o = ov:get_overlapped{offset = 0}
			assert(h:read_file(o, 3))
			local ok, err, code = h:read_file(o, 3)
			while not done do fwx.sleep(0.001) end
			return code .. ": " .. err`, "busy: overlapped is in flight"},
		{"no notification", `fwx.firewall:create_overlapped():get_overlapped{}`, "!overlapped has no notification interface"},
		{"closed", `
			local h = assert(fwx.firewall:hook_to_completion_port("read/a")) h:close()
			local ov = fwx.firewall:create_overlapped() ov:set_notification_interface(print)
			return select(3, h:read_file(ov:get_overlapped{}, 1))`, "closed"},
		{"wait", `
			local h = assert(fwx.firewall:hook_to_completion_port("var/x", "w"))
			local ov, order = fwx.firewall:create_overlapped(), ""
			ov:set_notification_interface(function(success, bytes) order = order .. bytes end)
			h:write_file(ov:get_overlapped{offset = 0}, "abc")
			local n = ov:wait() .. ov:wait()
			h:close()
			return order .. n`, "333"},
		{"wait for a failure", `
			local h = assert(fwx.firewall:hook_to_completion_port("read/a"))
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function() end)
			h:write_file(ov:get_overlapped{offset = 0}, "abc")
			return select(3, ov:wait())`, "EBADF"},
		{"task", `local got fwx.firewall:post_task_completion(function(user) got = user end, "x") local inline = got while not got do fwx.sleep(0.001) end return tostring(inline) .. got`, "nilx"},
		{"misuse", `fwx.firewall.create_overlapped()`, "!fwx.firewall expected"},
	})
}

// TestCancel cancels a read that would last for ever.
func TestCancel(t *testing.T) {
	runSnippets(t, func(b *bench) {
		b.write("var/x", "")
		makeFIFO(b.tb, b.dir+"/var/fifo")
	}, []snippet{
		{"cancel", `
			local h, got = assert(fwx.firewall:hook_to_completion_port("var/fifo", "r+"))
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function(success, bytes, err) got = err end)
			assert(h:read_file(ov:get_overlapped{}, 1))
			local was = got
			fwx.sleep(0.01)
			assert(ov:cancel())
			while not got do fwx.sleep(0.001) end
			return tostring(was) .. got .. select(3, ov:cancel())`, "niloperation abortederror"},
		{"close under a read", `
			local f, got = assert(fwx.file.open("var/fifo", "r+"))
			fwx.after(0.01, function() f:close() end)
			return select(3, f:read(0, 1))`, "aborted"},
		{"left in flight", `
			local h = assert(fwx.firewall:hook_to_completion_port("var/fifo", "r+"))
			local ov = fwx.firewall:create_overlapped()
			ov:set_notification_interface(function() fwx.log.info("notified") end)
			return tostring(h:read_file(ov:get_overlapped{}, 1))`, "true"},
	})
}

func TestRequire(t *testing.T) {
	runSnippets(t, func(b *bench) {
		b.write("lib/a.lua", `local name = ... ; runs = (runs or 0) + 1 return {name = name, b = require "lib.b"}`)
		b.write("lib/b.lua", `return "b"`)
		b.write("lib/nothing.lua", ``)
		b.write("bad.lua", "\nlocal = 1")
		b.write("fails.lua", "error('no', 0)")
		b.write("loop.lua", "return require 'loop'")
		b.write("slow.lua", "slow = (slow or 0) + 1 require('fwx').sleep(0.005) return slow")
		b.write("waits.lua", "require('fwx').sleep(0.001) return 'waited'")
	}, []snippet{
		{"module", `local a = require "lib.a" return a.name .. a.b .. tostring(require "lib.a" == a) .. runs`, "lib.abtrue1"},
		{"nothing", `return tostring(require "lib.nothing")`, "true"},
		{"fwx", `return tostring(require "fwx" == fwx)`, "true"},
		{"missing", `require "none"`, `!module "none": open none.lua: ` + syscall.ENOENT.Error()},
		{"syntax", `require "bad"`, `!bad.lua:2:`},
		{"error", `require "fails"`, `!no`},
		{"loop", `require "loop"`, `!module "loop" requires itself`},
		{"waits", `return require "waits"`, "waited"},
		{"again after an error", `pcall(require, "fails") return select(2, pcall(require, "fails"))`, "no"},
		{"by several at once", `local n = 0
			for _ = 1, 3 do fwx.after(0, function() assert(require "slow" == 1) n = n + 1 end) end
			while n < 3 do fwx.sleep(0.001) end return "loaded " .. slow`, "loaded 1"},
		{"above", `require "..secret"`, "!wants a name such as"},
		{"absolute", `require "/etc/x"`, "!wants a name such as"},
		{"in pcall", `return tostring(pcall(require, "lib.b"))`, "true"},
	})
}

func TestWatch(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		b := newBench(t, backend)
		b.write("read/list", "one")
		if _, err := b.run(`w = assert(fwx.file.watch("read/list", function(path) fwx.log.info("changed", {to = fwx.file.read(path)}) end))`); err != nil {
			t.Fatal(err)
		}
		b.write("read/list", "two")
		fwxtest.Eventually(t, patience, "the change is seen", func() bool { return strings.Contains(b.log.String(), "to=two") })
		if _, err := b.run(`w:close() w:close()
			assert(fwx.file.watch("read/list", function(path) fwx.log.info("another watch") end))`); err != nil {
			t.Fatal(err)
		}
		b.write("read/list", "three")
		fwxtest.Eventually(t, patience, "another watch sees the change", func() bool { return strings.Contains(b.log.String(), "another watch") })
		if strings.Contains(b.log.String(), "to=three") {
			t.Error("a closed watch was called")
		}
	})
}
