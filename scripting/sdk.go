package scripting

import (
	"fmt"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"fwx/framework/completion"
)

// firewall is fwx.firewall: the completion port in the shape of the filter SDK,
// where operations are started and a function is notified of their end.
type firewall struct{}

var firewallMethods = []binding{
	{
		"hook_to_completion_port", hookToCompletionPort, `(path: string, mode?: "r"|"r+"|"w"|"w+"|"a") -> handle or fail`,
		"Waits. Opens a file and hooks it. Access and modes are those of `fwx.file.open`; in mode `\"a\"` each write goes to the " +
			"end of the file, past the queue of `file:append`, and a file that was renamed is [opened anew](#appending). Closed with its connection as a file is; one that the script has " +
			"lost stays open until the connection or the filter ends.",
	},
	{"create_overlapped", createOverlapped, "() -> overlapped", "For one operation at a time."},
	{
		"post_task_completion", postTaskCompletion, "(fn: fun(user: any), user?: any) -> true or fail",
		"Calls `fn(user)` once, later, on the same worker.",
	},
}

var handleMethods = []binding{
	{
		"read_file", handleRead, "(ov: OVERLAPPED, n: integer) -> true or fail",
		"Starts to read up to `n` bytes, 1 to 64 MiB. `\"closed\"`, `\"busy\"`.",
	},
	{
		"write_file", handleWrite, "(ov: OVERLAPPED, data: bytes) -> true or fail",
		"Starts to write; a chunk is copied. Empty data is `\"error\"`.",
	},
	{"close", handleClose, "() -> true", "What is in flight is aborted and notified."},
}

var overlappedMethods = append([]binding{
	{
		"set_notification_interface", setNotification,
		"(fn: fun(success: boolean, bytes: integer, err: string?, overlapped: overlapped, user: any), user?: any) -> true or fail",
		"Names the function that is called when an operation has ended; comes first. `\"busy\"` while an operation is in flight.",
	},
	{
		"get_overlapped", getOverlapped, "(options?: {offset?: integer}) -> OVERLAPPED or fail",
		"What an operation is started with. The offset is 0 if missing. `\"busy\"`; raises an error if nobody is to be notified.",
	},
}, startedMethods...)

// startedMethods are those of what get_overlapped returns.
var startedMethods = []binding{
	{"data", overlappedData, "() -> string?", "What the last read has read."},
	{
		"cancel", overlappedCancel, "() -> true or fail",
		"A request: the notification comes, and may report success. `\"error\"` with nothing in flight.",
	},
	{
		"wait", overlappedWait, "() -> integer or fail",
		"Waits for the end of the operation and the call of `fn`; if that waits itself, only for its first part. The bytes " +
			"transferred. With nothing in flight it returns the result of the last operation at once.",
	},
}

// overlapped is an asynchronous operation of a script.
type overlapped struct {
	state  *state
	object *lua.LUserData
	o      *completion.Overlapped
	ov     *completion.OVERLAPPED
	notify *lua.LFunction
	user   lua.LValue
	data   lua.LValue

	bytes   int // of the last operation
	err     error
	waiters []*fiber
	using   lua.LValue         // the handle, while in flight: it is not closed as one that was lost
	on      *completion.Handle // on which it is in flight
}

// overlappedBytes is what one takes, here and in the port.
const overlappedBytes = 512

func (v *overlapped) count(c *census) {
	c.bytes += overlappedBytes
	c.buffer(v.o.Kept())
	c.add(v.notify, v.user, v.data, v.using)
}

// started is an overlapped that get_overlapped has made ready, its OVERLAPPED.
type started struct{ *overlapped }

// hookToCompletionPort opens a file and hooks it to the port.
func hookToCompletionPort(s *state, L *lua.LState) int {
	argObject[firewall](L, 1, "fwx.firewall")
	f, err := s.openHandle(L, argString(L, 2), argMode(L, 3))
	if err != nil {
		return giveError(L, err)
	}
	return give(L, s.fileObject(s.types.handle, f))
}

func createOverlapped(s *state, L *lua.LState) int {
	argObject[firewall](L, 1, "fwx.firewall")
	v := &overlapped{state: s, o: s.worker.CreateOverlapped(), data: lua.LNil}
	v.object = s.object(s.types.overlapped, v)
	return give(L, v.object)
}

// setNotification names the function that is called when an operation has ended,
// and a value for it.
func setNotification(_ *state, L *lua.LState) int {
	v := argObject[*overlapped](L, 1, "overlapped")
	fn, user := argFunction(L, 2), L.Get(3)
	if err := v.o.SetNotificationInterface(v, nil); err != nil {
		return giveError(L, err)
	}
	v.notify, v.user = fn, user
	return give(L, lua.LTrue)
}

// getOverlapped returns what an operation is started with, with its offset set.
func getOverlapped(s *state, L *lua.LState) int {
	v := argObject[*overlapped](L, 1, "overlapped")
	offset := int64(0)
	if t, ok := L.Get(2).(*lua.LTable); ok {
		L.Push(t.RawGetString("offset"))
		offset = optInteger(L, L.GetTop(), 0, maxExact, 0)
	}
	ov, err := v.o.GetOverlapped()
	if err != nil {
		if v.notify == nil {
			L.RaiseError("%s", err.Error())
		}
		return giveError(L, err)
	}
	ov.Offset = offset
	v.ov = ov
	return give(L, s.object(s.types.started, started{v}))
}

func argStarted(L *lua.LState) *overlapped {
	return argObject[started](L, 2, "what get_overlapped returned").overlapped
}

// argEither returns the overlapped that a method of either class is called on.
func argEither(L *lua.LState) *overlapped {
	if v, ok := userValue(L.Get(1)).(started); ok {
		return v.overlapped
	}
	return argObject[*overlapped](L, 1, "overlapped")
}

func argHooked(L *lua.LState) (*file, error) {
	f := argObject[*file](L, 1, "handle")
	return f, f.closed()
}

// handleRead starts to read; the notification finds the data in the overlapped.
func handleRead(_ *state, L *lua.LState) int {
	f, err := argHooked(L)
	v, n := argStarted(L), argInteger(L, 3, 1, maxStringSize)
	if err == nil {
		v.data = lua.LNil
		err = v.begun(L.Get(1), f.handle, f.handle.ReadFile(v.ov, make([]byte, n)))
	}
	return giveDone(L, err)
}

// handleWrite starts to write. A chunk is copied: the write may last longer.
func handleWrite(s *state, L *lua.LState) int {
	f, err := argHooked(L)
	v, data := argStarted(L), argBytes(L, 3)
	if _, ok := userValue(L.Get(3)).(*chunk); ok {
		data = append([]byte(nil), data...)
		s.meter.chargeBytes(len(data))
	}
	if err == nil {
		v.data = lua.LNil
		err = v.begun(L.Get(1), f.handle, f.handle.WriteFile(v.ov, data))
	}
	return giveDone(L, err)
}

// begun counts an operation that has been started, so that the state does not end
// before its notification.
func (v *overlapped) begun(object lua.LValue, handle *completion.Handle, err error) error {
	if err == nil {
		v.using, v.on = object, handle
		v.state.pending++
		v.state.started[v] = struct{}{}
	}
	return err
}

func handleClose(_ *state, L *lua.LState) int {
	argObject[*file](L, 1, "handle").close()
	return give(L, lua.LTrue)
}

// CompleteAsyncIO runs the function that is to be notified.
func (v *overlapped) CompleteAsyncIO(success bool, bytes int, err error, o *completion.Overlapped, _ any) {
	s := v.state
	if s.L == nil { // ended by force
		return
	}
	s.pending--
	delete(s.started, v)
	on := v.on
	v.bytes, v.err, v.using, v.on = bytes, err, nil, nil
	s.closeUnused(on)
	if data := o.TakeData(); err == nil && data != nil {
		v.data = textOf(data)
	}
	message := lua.LNil
	if err != nil {
		message = lua.LString(err.Error())
	}
	s.start(task{name: "notification", end: s.background("notification")},
		v.notify, lua.LBool(success), lua.LNumber(bytes), message, v.object, v.user)
	for _, f := range slices.Clone(v.waiters) { // each takes itself off the list
		f.wake()
	}
}

// overlappedWait waits until the operation has ended and its notification has
// been called, and returns how many bytes were transferred.
func overlappedWait(s *state, L *lua.LState) int {
	v := argEither(L)
	if v.o.InFlight() {
		f := s.fiberOf(L)
		v.waiters = append(v.waiters, f)
		f.park()
		v.waiters = slices.DeleteFunc(v.waiters, func(other *fiber) bool { return other == f })
		f.raiseInterrupted(L)
	}
	if v.err != nil {
		return giveError(L, v.err)
	}
	return give(L, lua.LNumber(v.bytes))
}

// overlappedData returns what a read has read.
func overlappedData(s *state, L *lua.LState) int {
	v := argEither(L)
	if text, ok := v.data.(lua.LString); ok {
		s.meter.chargeBytes(len(text))
	}
	return give(L, v.data)
}

// overlappedCancel asks for the end of the operation; the notification comes.
func overlappedCancel(_ *state, L *lua.LState) int { return giveDone(L, argEither(L).o.Cancel()) }

// posted is a function that a script has posted to the port.
type posted struct {
	state *state
	fn    *lua.LFunction
	user  lua.LValue

	scheduled bool // as the task that posted it
}

func (p *posted) count(c *census) { c.add(p.fn, p.user) }

// CompleteTask runs the function.
func (p *posted) CompleteTask(any) {
	delete(p.state.posted, p)
	if p.state.closing || p.state.L == nil {
		return
	}
	p.state.start(task{name: "posted task", end: p.state.background("posted task"), scheduled: p.scheduled}, p.fn, p.user)
}

// maxPosted bounds the posted tasks of a script that wait on a worker.
const maxPosted = 100_000

// postTaskCompletion runs a function once, later, on the same worker.
func postTaskCompletion(s *state, L *lua.LState) int {
	argObject[firewall](L, 1, "fwx.firewall")
	p := &posted{state: s, fn: argFunction(L, 2), user: L.Get(3), scheduled: s.running.task.scheduled}
	if len(s.posted) >= maxPosted {
		return giveError(L, &codedError{fmt.Sprintf("%d posted tasks wait already", maxPosted), codeFull})
	}
	err := s.worker.PostTaskCompletion(p, nil)
	if err == nil {
		s.posted[p] = struct{}{}
	}
	return giveDone(L, err)
}
