package testkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion/fake"
)

// test is a test that runs: a machine in memory, the gateway on it, and the clients
// and servers that the test plays.
type test struct {
	suite   *suite
	ctx     context.Context //nolint:containedctx // that of the test; functions of Lua have no other way to it
	L       *lua.LState
	output  strings.Builder
	classes map[string]*lua.LTable
	machine *fake.Machine
	gateway *gateway // nil: not started
	servers []*server
	peers   []*peer
	problem error // of a function of the test that was called for a server
	serving bool  // such a function runs
}

func newTest(s *suite) *test {
	return &test{suite: s, machine: fake.New()}
}

func (t *test) print(text string) { t.output.WriteString(text + "\n") }

// maxRounds bounds how often the gateway and the peers answer each other at one time.
const maxRounds = 10_000

// noTime is what a sleep of no time takes by the machine's clock: its timers never fire in
// the turn that sets them.
const noTime = time.Nanosecond

// settle lets everything happen that happens without time passing, on all sides.
func (t *test) settle(L *lua.LState) {
	if t.serving {
		t.fail(L, "the function of a server can only use its peer: what else there is to do, the test does")
	}
	for range maxRounds {
		if err := t.machine.Settle(t.ctx); err != nil {
			t.raise(L, err)
		}
		if next, ok := t.machine.Next(); ok && next <= noTime {
			if _, err := t.machine.Step(t.ctx, noTime); err != nil {
				t.raise(L, err)
			}
			continue
		}
		if !t.exchange() {
			if err := t.problem; err != nil {
				t.problem = nil
				t.raise(L, err)
			}
			return
		}
	}
	t.fail(L, "the gateway and the servers of the test do not stop answering each other")
}

// settleUnlessServing is settle for what functions for servers may do too: after them
// everything else goes on anyway.
func (t *test) settleUnlessServing(L *lua.LState) {
	if !t.serving {
		t.settle(L)
	}
}

// exchange has the servers and peers of the test do what there is to do; it reports
// whether that was anything.
func (t *test) exchange() (moved bool) {
	for _, s := range t.servers {
		moved = s.admit() || moved
	}
	for i := 0; i < len(t.peers); i++ { // more may come meanwhile
		moved = t.peers[i].exchange() || moved
	}
	return moved
}

// call calls a function of the test on behalf of one of its servers.
func (t *test) call(f *lua.LFunction, args ...lua.LValue) lua.LValue {
	t.serving = true
	err := t.L.CallByParam(lua.P{Fn: f, NRet: 1, Protect: true}, args...)
	t.serving = false
	if err != nil {
		t.note(errors.New(messageOf(err)))
		return lua.LNil
	}
	v := t.L.Get(-1)
	t.L.Pop(1)
	return v
}

// advance lets time pass.
func (t *test) advance(L *lua.LState, d time.Duration) {
	end := t.machine.Elapsed() + d
	for more := true; more; {
		t.settle(L)
		var err error
		if more, err = t.machine.Step(t.ctx, end-t.machine.Elapsed()); err != nil {
			t.raise(L, err)
		}
	}
	t.settle(L)
}

// eventually lets time pass until a function of the test returns something true.
func (t *test) eventually(L *lua.LState, f *lua.LFunction, limit time.Duration) {
	end := t.machine.Elapsed() + limit
	for {
		t.settle(L)
		L.Push(f)
		L.Call(0, 1)
		done := lua.LVAsBool(L.Get(-1))
		L.Pop(1)
		if done {
			return
		}
		t.settle(L) // to look at a connection is work of its worker
		next, ok := t.machine.Next()
		left := end - t.machine.Elapsed()
		switch {
		case !ok:
			t.fail(L, "it will never come: nothing is under way that time would bring about%s", t.waits())
		case next > left:
			t.fail(L, "it has not come within %v%s", limit, t.waits())
		}
		if _, err := t.machine.Step(t.ctx, left); err != nil {
			t.raise(L, err)
		}
	}
}

// raise raises an error of the kit.
func (t *test) raise(L *lua.LState, err error) {
	if t.ctx.Err() != nil {
		L.RaiseError("the test has taken too long")
	}
	t.fail(L, "%s", err.Error())
}

// failure is what an assertion raises.
type failure struct {
	at      []string // the lines of the test that led there, the innermost first
	message string
}

func (f *failure) String() string {
	if len(f.at) == 0 {
		return f.message
	}
	first := f.at[0] + ": " + f.message
	return strings.Join(append([]string{first}, f.at[1:]...), "\ncalled from ")
}

// fail ends the test, or what has called it by pcall.
func (t *test) fail(L *lua.LState, format string, args ...any) {
	f := &failure{at: places(L), message: fmt.Sprintf(format, args...)}
	ud := &lua.LUserData{Value: f, Metatable: t.classes[failureClass], Env: L.Env}
	L.Error(ud, 0)
}

// failureClass is the name of the metatable of a failure.
const failureClass = "failure"

// maxPlaces bounds the lines that a failure names.
const maxPlaces = 5

// places returns the lines of Lua that are being run, the innermost first.
func places(L *lua.LState) (at []string) {
	for level := 1; len(at) < maxPlaces; level++ {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("Sl", frame, lua.LNil); err == nil && frame.CurrentLine > 0 {
			at = append(at, fmt.Sprintf("%s:%d", frame.Source, frame.CurrentLine))
		}
	}
	return slices.Compact(at)
}
