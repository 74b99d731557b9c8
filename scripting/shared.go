package scripting

import (
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
	"fwx/framework/store"
)

var sharedFunctions = []binding{
	{"get", sharedGet, "(key: bytes) -> value: string|number|boolean|nil or fail", "The value of a key, `nil` if it has none. Waits."},
	{
		"set", sharedSet, "(key: bytes, value: bytes|number|boolean, ttl?: number) -> true or fail",
		"Waits. Gives a key a value, for `ttl` seconds, or for ever without one.",
	},
	{
		"add", sharedAdd, "(key: bytes, value: bytes|number|boolean, ttl?: number) -> added: boolean or fail",
		"Waits. Gives a key a value unless it has one: `false`. Of several at the same time one gets `true`.",
	},
	{
		"incr", sharedIncr, "(key: bytes, by?: number, ttl?: number) -> sum: number or fail",
		"Waits. Adds to the number of a key, 1 if `by` is missing. A key without a value counts from 0 and expires " +
			"`ttl` seconds from then; later calls do not put that off. `\"EINVAL\"`: the value is no number. `fwx.shared.incr(\"n:\" .. conn.client, 1, 10)`",
	},
	{
		"cas", sharedCAS, "(key: bytes, old: bytes|number|boolean|nil, new: bytes|number|boolean|nil) -> done: boolean or fail",
		"Waits. Compare and set: replaces the value `old` by `new`; `false` if the key has another value. As `old`, `nil` is " +
			"no value; as `new` it removes the key. When the value expires does not change.",
	},
	{
		"expire", sharedExpire, "(key: bytes, ttl?: number) -> found: boolean or fail",
		"Waits. Makes the value of a key expire `ttl` seconds from now, or never without one. `false`: it has no value.",
	},
	{"delete", sharedDelete, "(key: bytes) -> found: boolean or fail", "Waits. Removes a key. `false`: it had no value."},
}

func sharedGet(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.Get, Key: argString(L, 1)})
}

func sharedSet(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.Set, Key: argString(L, 1), Value: argValue(L, 2), TTL: optTTL(L, 3)})
}

func sharedAdd(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.Add, Key: argString(L, 1), Value: argValue(L, 2), TTL: optTTL(L, 3)})
}

func sharedIncr(s *state, L *lua.LState) int {
	by := 1.0
	if L.Get(2) != lua.LNil {
		by = argNumber(L, 2)
	}
	return s.ask(L, store.Request{Op: store.Incr, Key: argString(L, 1), Value: store.NumberValue(by), TTL: optTTL(L, 3)})
}

func sharedCAS(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.CompareAndSet, Key: argString(L, 1), Old: optValue(L, 2), Value: optValue(L, 3)})
}

func sharedExpire(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.Expire, Key: argString(L, 1), TTL: optTTL(L, 2)})
}

func sharedDelete(s *state, L *lua.LState) int {
	return s.ask(L, store.Request{Op: store.Delete, Key: argString(L, 1)})
}

// argValue returns an argument that a store can hold.
func argValue(L *lua.LState, n int) store.Value {
	switch v := L.Get(n).(type) {
	case lua.LString:
		return store.TextValue(string(v))
	case lua.LNumber:
		return store.NumberValue(float64(v))
	case lua.LBool:
		return store.BoolValue(bool(v))
	}
	if _, ok := userValue(L.Get(n)).(*chunk); !ok {
		L.ArgError(n, "a string, number or boolean expected, got "+describe(L.Get(n)))
	}
	return store.TextValue(argString(L, n))
}

// optValue is argValue for an argument that may be nil.
func optValue(L *lua.LState, n int) store.Value {
	if L.Get(n) == lua.LNil {
		return store.Value{}
	}
	return argValue(L, n)
}

// optTTL returns an argument that is how long a value lasts; 0, for ever, if it is missing.
func optTTL(L *lua.LState, n int) time.Duration {
	if L.Get(n) == lua.LNil {
		return 0
	}
	ttl := argSeconds(L, n)
	if ttl == 0 {
		L.ArgError(n, "a time to live of more than 0 seconds expected")
	}
	return ttl
}

// askCost is the instructions that a request to the store counts as.
const askCost = 64

// ask gives a request to the store and its result to the script. It waits if the
// store does not answer at once.
func (s *state) ask(L *lua.LState, r store.Request) int {
	s.meter.charge(askCost)
	s.meter.chargeBytes(len(r.Key) + len(r.Value.Text) + len(r.Old.Text))
	f := s.fiberOf(L)
	if f.inquiry == nil || f.inquiry.asked {
		f.inquiry = &inquiry{worker: s.worker}
	}
	a := f.inquiry
	result, ok := s.filter.store.Do(r, a)
	if ok {
		return s.giveResult(L, r.Op, result)
	}
	a.asked, a.waiting = true, f
	return f.pause(L, func(f *fiber, L *lua.LState) int {
		a.waiting = nil
		if err := f.interrupted(); err != nil {
			return s.giveFailure(L, err)
		}
		return s.giveResult(L, r.Op, a.result)
	})
}

func (s *state) giveResult(L *lua.LState, op store.Op, r store.Result) int {
	switch {
	case r.Err != nil:
		return giveError(L, r.Err)
	case op == store.Get || op == store.Incr:
		s.meter.chargeBytes(len(r.Value.Text))
		return give(L, valueOf(r.Value))
	}
	return give(L, lua.LBool(r.OK))
}

// valueOf returns a value of a store as one of Lua.
func valueOf(v store.Value) lua.LValue {
	switch v.Type {
	case store.Text:
		return lua.LString(v.Text)
	case store.Number:
		return lua.LNumber(v.Number)
	case store.Bool:
		return lua.LBool(v.Bool)
	case store.None:
	}
	return lua.LNil
}

// inquiry is what a fiber waits for when the store answers later.
type inquiry struct {
	worker  *completion.Worker
	asked   bool   // the store has it: it is not used for another request
	waiting *fiber // nil: the fiber went on without it
	result  store.Result
}

// Answer takes the result to the worker.
func (a *inquiry) Answer(r store.Result) {
	a.result = r
	_ = a.worker.PostTaskCompletion(a, nil) // the port is closed: nobody waits
}

// CompleteTask resumes the fiber.
func (a *inquiry) CompleteTask(any) {
	a.asked = false
	if a.waiting != nil {
		a.waiting.wake()
	}
}
