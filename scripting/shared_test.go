package scripting

import (
	"strconv"
	"sync"
	"testing"

	"fwx/framework"
	"fwx/framework/store"
)

// sharedSnippets are run with the store in memory and with one that answers later.
var sharedSnippets = []snippet{
	{"nothing", `return tostring(fwx.shared.get("none"))`, "nil"},
	{"values", `local s = fwx.shared
		assert(s.set("a", "x")) assert(s.set("b", 1.5)) assert(s.set("c", false))
		return s.get("a") .. s.get("b") .. tostring(s.get("c"))`, "x1.5false"},
	{"add", `local s = fwx.shared return tostring(s.add("add", 1)) .. tostring(s.add("add", 2)) .. s.get("add")`, "truefalse1"},
	{"incr", `local s = fwx.shared return s.incr("n") .. s.incr("n", 5) .. s.incr("n", -0.5) .. s.get("n")`, "165.55.5"},
	{
		"cas", `local s = fwx.shared
		return table.concat({tostring(s.cas("cas", nil, "x")), tostring(s.cas("cas", nil, "y")), tostring(s.cas("cas", "x", 7)),
			s.get("cas"), tostring(s.cas("cas", "7", nil)), tostring(s.cas("cas", 7, nil)), tostring(s.get("cas"))}, " ")`,
		"true false true 7 false true nil",
	},
	{"delete", `local s = fwx.shared s.set("d", 1) return tostring(s.delete("d")) .. tostring(s.delete("d"))`, "truefalse"},
	{"expire", `local s = fwx.shared
		s.set("e", 1)
		assert(s.expire("e", 0.001)) assert(s.set("f", 1, 0.001)) assert(s.add("g", 1, 0.001)) assert(s.incr("h", 1, 0.001))
		while s.get("e") or s.get("f") or s.get("g") or s.get("h") do fwx.sleep(0.001) end
		return tostring(s.expire("e", 1))`, "false"},
	{"no number", `fwx.shared.set("t", "text") local n, err, code = fwx.shared.incr("t") return tostring(n) .. code`, "nilEINVAL"},
	{"too large", `local ok, err, code = fwx.shared.set("l", ("x"):rep(2^20 + 1)) return code`, "EMSGSIZE"},
	{"long key", `return (select(3, fwx.shared.get(("x"):rep(1025))))`, "EMSGSIZE"},
	{"empty key", `return (select(2, fwx.shared.get("")))`, "the key is empty"},
	{"infinite", `return (select(3, fwx.shared.set("i", 1/0)))`, "error"},
	{"a table", `fwx.shared.set("t", {})`, "!a string, number or boolean expected, got a table"},
	{"nil", `fwx.shared.set("t", nil)`, "!a string, number or boolean expected, got nothing"},
	{"a number as key", `fwx.shared.get(1)`, "!string expected, got number"},
	{"no time", `fwx.shared.set("t", 1, 0)`, "!a time to live of more than 0 seconds"},
	{"in pcall", `return select(2, pcall(function() return fwx.shared.incr("p") end))`, "1"},
	{"in a coroutine", `return coroutine.wrap(function() return fwx.shared.incr("co") end)()`, "1"},
	{"flood", `for i = 1, 1e9 do fwx.shared.set("flood" .. i, i) end`, "!the instruction budget is spent"},
}

func TestShared(t *testing.T) {
	runSnippets(t, nil, sharedSnippets)
}

// later is a store that answers on another goroutine, or not at all.
type later struct {
	store.Store
	silent  chan struct{} // until it is closed
	answers sync.WaitGroup
}

func (l *later) Do(r store.Request, a store.Answerer) (store.Result, bool) {
	l.answers.Go(func() {
		if l.silent != nil {
			<-l.silent
		}
		result, _ := l.Store.Do(r, nil)
		a.Answer(result)
	})
	return store.Result{}, false
}

func newLater(tb testing.TB) *later {
	tb.Helper()
	m, err := store.NewMemory(store.MemorySettings{})
	if err != nil {
		tb.Fatal(err)
	}
	return &later{Store: m}
}

func TestSharedLater(t *testing.T) {
	rows := sharedSnippets[:len(sharedSnippets)-1] // which never waits long enough to spend its budget
	runSnippets(t, func(b *bench) {
		l := newLater(t)
		b.state.filter.store = l
		t.Cleanup(l.answers.Wait)
	}, rows)
}

// TestSharedIsOne counts connections of several workers, and of two filters.
func TestSharedIsOne(t *testing.T) {
	const connections = 40
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		g := newGatewayOf(t, 2, backend, `function M.on_connect() fwx.log.info("counted " .. assert(fwx.shared.incr("n"))) end`).start()
		for range connections {
			if got, err := g.exchange("x"); got != "x" || err != nil {
				t.Fatal(got, err)
			}
		}
		for i := range connections {
			g.logged(`msg="counted ` + strconv.Itoa(i+1) + `"`)
		}
	})
}

// TestSharedOfTheDead ends connections whose handlers wait for a store that does
// not answer; the late answers are nobody's.
func TestSharedOfTheDead(t *testing.T) {
	onBackends(t, func(t *testing.T, backend string) {
		t.Helper()
		l := newLater(t)
		l.silent = make(chan struct{})
		config := framework.Config{
			Service: framework.ServiceConfig{Backend: backend, Workers: 1},
			Store:   framework.StoreConfig{Store: l},
		}
		g := newGatewayFrom(t, echo(t), config, `
			function M.on_connect()
				fwx.log.info("asks")
				local ok, err = pcall(fwx.shared.incr, "n")
				fwx.log.info("got " .. err)
			end`).start()
		g.dial()
		g.logged("msg=asks")
		g.stop()
		g.logged("connection ended")
		close(l.silent)
		l.answers.Wait()
	})
}
