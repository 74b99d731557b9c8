package scripting

import (
	"strings"
	"testing"

	"fwx/framework/store"
)

func TestEvaluate(t *testing.T) {
	g := newGateway(t, anyBackend, `function M.on_connect() fwx.sleep(3600) end`).start()
	g.dial()
	eventually(t, "the handler waits", func() string {
		out, err := Evaluate(t.Context(), g.fw, `#conns() == 1 and #conns()[1].holds == 1`)
		if err != nil || out != "true\n" {
			return out
		}
		return ""
	})
	g.fw.Store().Do(store.Request{Op: store.Set, Key: "k", Value: store.TextValue("v")}, nil)
	rows := []struct{ source, want string }{
		{`1 + 1`, "2\n"},
		{`return 1, "two", nil, true`, "1\ntwo\nnil\ntrue\n"},
		{``, ""},
		{`print("a", 1) print({x = {1, 2}}) return "end"`, "a\t1\n{\"x\":[1,2]}\nend\n"},
		{`local n = 0 for _, c in ipairs(conns()) do n = n + 1 end return n`, "1\n"},
		{`conns()[1].listener`, "web\n"},
		{`conn(1).holds[1].filter`, "test\n"},
		{`conn(1).holds[1].what`, "connect\n"},
		{`conn(1).holds[1].waits[1].handler`, "on_connect\n"},
		{`conn(1).holds[1].waits[1].call`, "sleep\n"},
		{`conn(1).holds[1].waits[1].at`, "test.lua:1\n"},
		{`conn(1).holds[1].waits[1].seconds >= 0`, "true\n"},
		{`conn(1).state`, "events\n"},
		{`select(2, conn(99))`, "there is no such connection\nerror\n"},
		{`filters()[1].name`, "test\n"},
		{`filters()[1].measurements.fwx_lua_waiting`, "1\n"},
		{`shared.get("k")`, "v\n"},
		{`shared.get("none")`, "nil\n"},
		{`shared.set`, "nil\n"},
		{`tostring(require) .. tostring(fwx) .. tostring(io)`, "nilnilnil\n"},
		{`while true do end`, "!console:1: the "}, // budget, or time on a busy machine
		{`while true do conns() end`, "!console:1: the "},
		{`("x"):rep(2^30)`, "!64 MiB"},
		{`while true do print(("x"):rep(2^16)) end`, "!bytes of output"},
		{`error("oops")`, "!console:1: oops"},
		{`x =`, "!console: syntax error at the end"},
		{`conn("1")`, "!number expected"},
		{`conn(0)`, "!a whole number from 1"},
		{`coroutine.wrap(function() return #conns() end)()`, "1\n"},
	}
	for _, row := range rows {
		got, err := Evaluate(t.Context(), g.fw, row.source)
		want, fails := strings.CutPrefix(row.want, "!")
		if fails && (err == nil || !strings.Contains(err.Error(), want)) || !fails && (err != nil || got != want) {
			t.Errorf("%s: got %.200q, %v; want %q", row.source, got, err, row.want)
		}
	}
}
