package scripting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
	"fwx/framework/store"
)

// consoleName is what errors call a piece of Lua of the console.
const consoleName = "console"

const (
	// maxConsoleOutput bounds what a piece of Lua prints and returns, in bytes.
	maxConsoleOutput = 1 << 20
	// consoleLimit is how long it may wait for the gateway, at a time.
	consoleLimit = 2 * time.Second
	// lookCost is the instructions that a look at the gateway counts as.
	lookCost = DefaultBudget / 100
	// consoleList is how many connections conns returns if it is not told.
	consoleList = 1000
)

// consoleFunctions are what a piece of Lua of the console looks at the gateway by.
// None of them changes anything.
var consoleFunctions = []struct {
	name string
	call func(c *console, L *lua.LState) int
}{
	{"conns", (*console).conns},
	{"conn", (*console).conn},
	{"filters", (*console).filters},
	{"print", (*console).print},
}

// console is a Lua state that one piece of Lua runs in. It belongs to no worker: it
// may look at the gateway for as long as that takes, and none of the gateway's connections waits for it.
type console struct {
	*state
	ctx context.Context //nolint:containedctx // of the one call that the console is made for
	fw  *framework.Firewall
	out strings.Builder
}

// Evaluate runs a piece of Lua, an expression or statements, in a state of its own,
// with the sandbox and the budget of a handler. It has the functions conns, conn and
// filters, and shared.get, and returns what was printed and the values returned.
func Evaluate(ctx context.Context, fw *framework.Firewall, source string) (string, error) {
	c := newConsole(ctx, fw)
	defer c.L.Close()
	proto, err := compileConsole(source)
	if err != nil {
		return "", err
	}
	thread, _ := c.L.NewThread() // the main thread has no context to cancel
	c.govern(thread)             //nolint:contextcheck // it counts instructions
	c.L.Push(thread)             // so that what it holds is counted
	c.meter.set(DefaultBudget)
	thread.Push(c.instantiate(proto))
	err = c.run(thread)
	return c.out.String(), err
}

// run calls the function on the stack and writes what it returns.
func (c *console) run(thread *lua.LState) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the interpreter failed: %v", r)
		}
	}()
	if err := thread.PCall(0, lua.MultRet, nil); err != nil {
		return errors.New(messageOf(err))
	}
	for i := 1; i <= thread.GetTop(); i++ {
		text := c.show(thread.Get(i))
		if c.meter.Left < 0 {
			return c.meter.Err()
		}
		if err := c.write(text + "\n"); err != nil {
			return err
		}
	}
	return nil
}

func newConsole(ctx context.Context, fw *framework.Firewall) *console {
	s := &state{filter: &filter{settings: Settings{Memory: DefaultMemory}}, logger: fw.Logger(), L: newInterpreter()}
	s.meter.stall, s.meter.weigh, s.meter.limit = func(time.Duration) {}, s.weigh, timeLimit // nobody waits for it
	c := &console{state: s, ctx: ctx, fw: fw}
	s.meter.empty, s.meter.ease = s.spent, c.ease
	s.chooseLoop(InterpreterFast)
	watchCollections()
	s.openLibraries() //nolint:contextcheck // threads have the meter as their context
	globals := s.L.G.Global
	globals.RawSetString("require", lua.LNil)
	for _, f := range consoleFunctions {
		globals.RawSetString(f.name, s.function(binding{name: f.name, call: func(_ *state, L *lua.LState) int { return f.call(c, L) }}))
	}
	globals.RawSetString("shared", s.table(binding{name: "get", call: func(_ *state, L *lua.LState) int { return c.sharedGet(L) }}))
	return c
}

// ease is easeGrowth, and ends the piece of Lua when nobody waits for its result.
func (c *console) ease() {
	c.easeGrowth()
	if err := context.Cause(c.ctx); err != nil {
		c.meter.stop(fmt.Errorf("nobody waits for the result: %w", err))
	}
}

// compileConsole compiles an expression or statements.
func compileConsole(source string) (*prototype, error) {
	if proto, err := compile(consoleName, []byte("return "+source)); err == nil {
		return proto, nil
	}
	return compile(consoleName, []byte(source))
}

// show returns a value as an operator wants to read it.
func (c *console) show(v lua.LValue) string {
	if _, ok := v.(*lua.LTable); ok {
		e := encoder{state: c.state}
		if err := e.value(v, 0); err == nil {
			return string(e.out)
		}
	}
	return plainText(v)
}

func (c *console) write(text string) error {
	if c.out.Len()+len(text) > maxConsoleOutput {
		return fmt.Errorf("more than %d bytes of output", maxConsoleOutput)
	}
	c.out.WriteString(text)
	return nil
}

func (c *console) print(L *lua.LState) int {
	var texts []string
	for i := 1; i <= L.GetTop(); i++ {
		texts = append(texts, c.show(L.Get(i)))
	}
	text := strings.Join(texts, "\t") + "\n"
	c.meter.chargeBytes(len(text))
	if err := c.write(text); err != nil {
		L.RaiseError("%s", err.Error())
	}
	return 0
}

// look gives what the gateway tells to the script.
func (c *console) look(L *lua.LState, ask func(ctx context.Context) (any, error)) int {
	c.meter.charge(lookCost)
	ctx, cancel := context.WithTimeout(c.ctx, consoleLimit)
	defer cancel()
	told, err := ask(ctx)
	if err != nil {
		return giveError(L, err)
	}
	v, err := c.toLua(told)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return give(L, v)
}

// toLua returns a value as a script has it: with the names that the API gives them.
func (c *console) toLua(value any) (lua.LValue, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	return c.fromGo(plain)
}

func (c *console) conns(L *lua.LState) int {
	after, limit := optInteger(L, 1, 0, maxExact, 0), optInteger(L, 2, 1, consoleList, consoleList)
	return c.look(L, func(ctx context.Context) (any, error) {
		infos, _ := c.fw.Inspect(ctx, uint64(after), int(limit))
		return append([]framework.ConnectionInfo{}, infos...), nil
	})
}

func (c *console) conn(L *lua.LState) int {
	id := argInteger(L, 1, 1, maxExact)
	return c.look(L, func(ctx context.Context) (any, error) { return c.fw.InspectConnection(ctx, uint64(id)) })
}

func (c *console) filters(L *lua.LState) int {
	return c.look(L, func(ctx context.Context) (any, error) { return c.fw.FilterInfos(ctx), nil })
}

func (c *console) sharedGet(L *lua.LState) int {
	c.meter.charge(askCost)
	later := make(laterAnswer, 1)
	r, ok := c.fw.Store().Do(store.Request{Op: store.Get, Key: argString(L, 1)}, later)
	if !ok {
		r = <-later // which is bounded
	}
	return c.giveResult(L, store.Get, r)
}

// laterAnswer is an answer that is waited for.
type laterAnswer chan store.Result

// Answer gives the result to who waits.
func (a laterAnswer) Answer(r store.Result) { a <- r }
