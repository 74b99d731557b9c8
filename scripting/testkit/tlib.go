package testkit

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/completion/fake"
	"fwx/framework/metrics"
	"fwx/framework/store"
	"fwx/framework/strict"
)

var fileMethods = []binding{
	{"write", tWrite, "(path: string, content: string)", "Makes a file in memory, and the directories above it; before or after `t:start`."},
	{"read", tRead, "(path: string) -> string?", "What a file has; `nil`: there is none."},
	{"remove", tRemove, "(path: string)", "Removes a file."},
	{"files", tFiles, "() -> string[]", "The paths of all files, in order."},
}

func tWrite(t *test, L *lua.LState) int {
	t.machine.WriteFile(argString(L, 2), []byte(argString(L, 3)))
	t.settle(L)
	return 0
}

func tRead(t *test, L *lua.LState) int {
	t.settle(L)
	text, ok := t.readFile(argString(L, 2))
	if !ok {
		return give(L, lua.LNil)
	}
	return give(L, lua.LString(text))
}

func tRemove(t *test, L *lua.LState) int {
	if err := t.machine.Remove(argString(L, 2)); err != nil {
		t.raise(L, err)
	}
	t.settle(L)
	return 0
}

func tFiles(t *test, L *lua.LState) int {
	t.settle(L)
	list := L.NewTable()
	for _, name := range t.machine.Files() {
		list.Append(lua.LString(filepath.ToSlash(name)))
	}
	return give(L, list)
}

// errorCodes are the errors that a test may have something fail with.
var errorCodes = map[string]error{
	"EACCES": syscall.EACCES, "EBUSY": syscall.EBUSY, "EDQUOT": syscall.EDQUOT, "EEXIST": syscall.EEXIST, "EIO": syscall.EIO,
	"EISDIR": syscall.EISDIR, "EMFILE": syscall.EMFILE, "ENOENT": syscall.ENOENT, "ENOSPC": syscall.ENOSPC, "ENOTDIR": syscall.ENOTDIR,
	"EPERM": syscall.EPERM, "EROFS": syscall.EROFS,
	"ECONNREFUSED": syscall.ECONNREFUSED, "ECONNRESET": syscall.ECONNRESET, "EHOSTUNREACH": syscall.EHOSTUNREACH,
	"ENETUNREACH": syscall.ENETUNREACH, "ETIMEDOUT": syscall.ETIMEDOUT,
	"timeout": nil, // nobody answers a connect
}

func tFail(t *test, L *lua.LState) int {
	target, code, on := argString(L, 2), argString(L, 3), optString(L, 4)
	err, ok := errorCodes[code]
	if !ok {
		L.ArgError(3, fmt.Sprintf("there is no code %q%s", code, strict.Suggest(code, slices.Sorted(maps.Keys(errorCodes)))))
	}
	address, notAddress := netip.ParseAddrPort(target)
	switch ops := fake.FileOps(); {
	case notAddress == nil && on != "":
		L.ArgError(4, "connecting is all that can fail at an address")
	case notAddress == nil:
		t.machine.FailConnect(completion.Address{AddrPort: address}, err)
	case err == nil:
		L.ArgError(3, fmt.Sprintf(`"timeout" is for an address such as "10.0.0.5:80", not for %q`, target))
	case on != "" && !slices.Contains(ops, on):
		L.ArgError(4, fmt.Sprintf("there is no operation %q%s", on, strict.Suggest(on, ops)))
	default:
		t.machine.FailFile(target, on, err)
	}
	return 0
}

func tMend(t *test, L *lua.LState) int {
	target := argString(L, 2)
	if address, err := netip.ParseAddrPort(target); err == nil {
		t.machine.MendConnect(completion.Address{AddrPort: address})
	} else {
		t.machine.MendFile(target)
	}
	t.settle(L)
	return 0
}

var timeMethods = []binding{
	{"advance", tAdvance, "(seconds: number)", "Lets time pass, and all happen for which the time comes: `t:advance(0.5)`."},
	{
		"eventually", tEventually, "(fn: fun(): any, seconds?: number)",
		"Lets time pass until `fn()` is true, up to an hour, or as many seconds as are said. The test fails if it does not become so, " +
			"and at once if nothing is under way that could make it so.",
	},
	{"time", tTime, "() -> number", "The time of day of the gateway, in seconds since 1970. A test begins at the beginning of 2026, UTC."},
}

func tAdvance(t *test, L *lua.LState) int {
	t.advance(L, argSeconds(L, 2))
	return 0
}

func tEventually(t *test, L *lua.LState) int {
	f, limit := L.CheckFunction(2), time.Hour
	if L.Get(3) != lua.LNil {
		limit = argSeconds(L, 3)
	}
	t.eventually(L, f, limit)
	return 0
}

func tTime(t *test, L *lua.LState) int {
	return give(L, lua.LNumber(float64(t.machine.Time().UnixNano())/float64(time.Second)))
}

var lookMethods = []binding{
	{
		"logs", tLogs, "(pattern?: string) -> table[]",
		"The lines of the gateway's log since it was called before, or those of them in whose `text` a pattern of Lua is found: " +
			"the level, the message and the values, as they are, without quotes. Each has `level`, `message`, `text`, and the values by their names.",
	},
	{
		"metric", tMetric, "(name: string, labels?: table<string, string|number|boolean>) -> number?",
		"What a metric has come to, of a histogram how many values it has counted; `nil`: there is none. Of `labels` those that are given count.",
	},
	{"shared", tShared, "(key: string) -> string|number|boolean|nil", "What `fwx.shared` has under a key."},
	{"json", tJSON, "(text: string) -> any", "What a text of JSON stands for; `null` is `nil`."},
	{"log", tLog, "(...: any)", "Prints a line, which is shown if the test fails, and with `-v`. `print` does the same."},
}

func tLogs(t *test, L *lua.LState) int {
	g := t.running(L)
	t.settle(L)
	list := L.NewTable()
	for _, e := range g.log.unread() {
		if L.Get(2) == lua.LNil || matches(L, e.text(), argString(L, 2)) {
			list.Append(e.table(L))
		}
	}
	return give(L, list)
}

// table returns the line as tests see it.
func (e entry) table(L *lua.LState) *lua.LTable {
	table := L.NewTable()
	for _, a := range e.attrs {
		table.RawSetString(a.Key, fromGo(L, attrValue(a.Value)))
	}
	table.RawSetString("level", lua.LString(strings.ToLower(e.level.String())))
	table.RawSetString("message", lua.LString(e.message))
	table.RawSetString("text", lua.LString(e.text()))
	return table
}

func attrValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool:
		return v.Any()
	default:
		return v.String()
	}
}

// matches reports whether a text matches a pattern of Lua.
func matches(L *lua.LState, text, pattern string) bool {
	find := L.GetField(L.GetGlobal("string"), "find")
	L.Push(find)
	L.Push(lua.LString(text))
	L.Push(lua.LString(pattern))
	L.Call(2, 1)
	found := L.Get(-1)
	L.Pop(1)
	return found != lua.LNil
}

func tMetric(t *test, L *lua.LState) int {
	g, name := t.running(L), argString(L, 2)
	wanted := make(map[string]string)
	if L.Get(3) != lua.LNil {
		L.CheckTable(3).ForEach(func(key, value lua.LValue) { wanted[key.String()] = value.String() })
	}
	t.settle(L)
	total, found := 0.0, false
	for _, family := range g.fw.Metrics().Gather() {
		if family.Name != name {
			continue
		}
		for _, sample := range family.Samples {
			if hasLabels(sample.Labels, wanted) {
				found = true
				total += valueOf(sample)
			}
		}
	}
	if !found {
		return give(L, lua.LNil)
	}
	return give(L, lua.LNumber(total))
}

func hasLabels(labels []metrics.Label, wanted map[string]string) bool {
	for name, value := range wanted {
		if !slices.Contains(labels, metrics.Label{Name: name, Value: value}) {
			return false
		}
	}
	return true
}

func valueOf(s metrics.Sample) float64 {
	if s.Distribution != nil {
		return float64(s.Distribution.Count)
	}
	return s.Value
}

func tShared(t *test, L *lua.LState) int {
	g := t.running(L)
	t.settle(L)
	result, _ := g.store.Do(store.Request{Op: store.Get, Key: argString(L, 2)}, nil)
	if result.Err != nil {
		t.raise(L, result.Err)
	}
	switch v := result.Value; v.Type {
	case store.Text:
		return give(L, lua.LString(v.Text))
	case store.Number:
		return give(L, lua.LNumber(v.Number))
	case store.Bool:
		return give(L, lua.LBool(v.Bool))
	default:
		return give(L, lua.LNil)
	}
}

func tJSON(t *test, L *lua.LState) int {
	v, err := decodeJSON(L, argString(L, 2))
	if err != nil {
		t.fail(L, "%v: %s", err, quote(argString(L, 2)))
	}
	return give(L, v)
}

func tLog(t *test, L *lua.LState) int {
	t.print(joined(L, 2))
	return 0
}

var assertions = []binding{
	{
		"equal", tEqual, "(got: any, want: any, about?: string)",
		"Fails unless both are the same, of tables what is in them. `about` is said with the difference: `t:equal(conn.verdict, \"deny\")`.",
	},
	{"match", tMatch, "(text: string?, pattern: string, about?: string)", "Fails unless a pattern of Lua is found in the text."},
	{"truthy", tTruthy, "(value: any, about?: string)", "Fails if the value is `nil` or `false`."},
	{
		"error", tError, "(fn: fun(), pattern?: string, about?: string)",
		"Fails unless calling `fn` raises an error, in whose message the pattern is found: `t:error(function() t:start{ config = {} } end, \"is missing\")`.",
	},
}

// about returns what a failure begins with.
func about(L *lua.LState, n int, otherwise string) string {
	if text := optString(L, n); text != "" {
		return text
	}
	return otherwise
}

func tEqual(t *test, L *lua.LState) int {
	got, want := L.Get(2), L.Get(3)
	if L.GetTop() < 3 {
		L.ArgError(3, "the wanted value is missing")
	}
	if !same(got, want, 0) {
		t.fail(L, "%s\n%s", about(L, 4, "not equal"), diff(got, want))
	}
	return 0
}

func tMatch(t *test, L *lua.LState) int {
	pattern := argString(L, 3)
	text, ok := L.Get(2).(lua.LString)
	if !ok || !matches(L, string(text), pattern) {
		t.fail(L, "%s\ngot:     %s\npattern: %s", about(L, 4, "the pattern is not found"), show(L.Get(2), ""), quote(pattern))
	}
	return 0
}

func tTruthy(t *test, L *lua.LState) int {
	if lua.LVIsFalse(L.Get(2)) {
		t.fail(L, "%s", about(L, 3, "it is "+show(L.Get(2), "")))
	}
	return 0
}

// placeOf is what stands before a message.
var placeOf = regexp.MustCompile(`^\S+:\d+: `)

func tError(t *test, L *lua.LState) int {
	f, pattern := L.CheckFunction(2), optString(L, 3)
	err := L.CallByParam(lua.P{Fn: f, Protect: true})
	if err == nil {
		t.fail(L, "%s", about(L, 4, "it has raised no error"))
	}
	if message := messageOf(err); pattern != "" && !matches(L, message, pattern) {
		t.fail(L, "%s\nmessage: %s\npattern: %s", about(L, 4, "it has raised another error"), quote(placeOf.ReplaceAllString(message, "")), quote(pattern))
	}
	return 0
}
