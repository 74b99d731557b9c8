package scripting

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework"
)

// Waits tells where the handlers of a connection wait.
func (f *filter) Waits(connection *framework.Connection) (waits []framework.WaitInfo) {
	s := f.states[connection.Worker().Index()]
	c, ok := connection.Value(s).(*conn)
	if !ok {
		return nil
	}
	for _, fiber := range c.waiting {
		call, at := fiber.place()
		waits = append(waits, framework.WaitInfo{
			Handler: fiber.task.name, Call: call, At: at, Seconds: (s.worker.Now() - fiber.since).Seconds(),
		})
	}
	return waits
}

// place returns where a fiber waits: in which call, on which line.
func (f *fiber) place() (call, at string) {
	call, at = place(f.current)
	if f.rest != nil { // and the thread has no frame for that call
		call = parts.called(f.thread)
	}
	return call, at
}

// maxFrames is how far place looks for a line of a script.
const maxFrames = 16

// place returns the function that a thread is in, and the innermost line of a
// script that led there.
func place(L *lua.LState) (call, at string) {
	for level := range maxFrames {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("nSl", frame, lua.LNil); err != nil {
			break
		}
		if level == 0 {
			call = frame.Name
		}
		if frame.CurrentLine > 0 {
			return call, fmt.Sprintf("%s:%d", frame.Source, frame.CurrentLine)
		}
	}
	return call, ""
}
