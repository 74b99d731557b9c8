package scripting

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// socket is a connection of a script to a server.
type socket struct {
	state     *state
	owner     *conn // with which it is closed; nil: the state
	target    string
	conn      transport
	timeout   time.Duration // of each call
	in        []byte        // received, and not given to the script
	receiving bool          // a fiber is in a call that receives
	sending   bool
	closed    bool
	lost      string // why it was closed, if the script did not
}

func (k *socket) count(c *census) {
	c.buffer(k.in)
	if !k.closed {
		k.conn.count(c)
	}
}

var socketMethods = []binding{
	{
		"send", socketSend, "(data: bytes, timeout?: number) -> true or fail",
		"Waits until the system has taken all of it, which is not when the server has it. " +
			"After a failure, `\"timeout\"` too, the socket is closed: how much was sent is not known.",
	},
	{
		"receive", socketReceive, "(n?: integer, timeout?: number) -> string? or fail",
		"Waits. Without `n` what there is, from 1 byte to 64 KiB; with it exactly `n` bytes, at most 16 MiB. " +
			"At the end of the stream a single `nil`; `\"closed\"` if it ends before `n` bytes. After a failure what has come stays for the next call.",
	},
	{
		"receive_line", socketReceiveLine, "(max?: integer, timeout?: number) -> string? or fail",
		"Waits. A line without its end, `\\n` or `\\r\\n`. `\"EMSGSIZE\"`: it has more than `max` bytes, 8192 if missing, at most 16 MiB. " +
			"The end of the stream is as in `receive`: a last line that has no end stays to be received.",
	},
	{
		"close", socketClose, "() -> true",
		"Does not wait. Calls in other handlers that wait for it fail with `\"aborted\"`. Closing again does nothing.",
	},
}

var connectBinding = binding{
	"connect", connect, "(address: string, options?: table) -> socket or fail",
	"Waits. Connects to a server: `\"tcp://host:port\"`, `\"tls://host:port\"` or `\"unix:/path\"`. Wants an entry of `connect`. " +
		"`\"unknown\"`: there is no such name; `\"tls\"`: there is no trust. See [sockets](#sockets) for the options.",
}

// parseTarget reads the address that a script gives to connect to.
func parseTarget(text string) (t target, secured bool, err error) {
	if path, ok := strings.CutPrefix(text, unixScheme); ok {
		if path == "" {
			return t, false, errTarget
		}
		return target{path: path}, false, nil
	}
	rest, ok := strings.CutPrefix(text, "tcp://")
	if !ok {
		if rest, secured = strings.CutPrefix(text, "tls://"); !secured {
			return t, false, errTarget
		}
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return t, false, errTarget
	}
	t, err = parseHostPort(host, port)
	return t, secured, err
}

func connect(s *state, L *lua.LState) int {
	text := argString(L, 1)
	o := argOptions(L, 2, append([]string{"timeout"}, tlsOptionNames...)...)
	d, about := o.timeout(), o.tls()
	t, secured, err := parseTarget(text)
	if err != nil {
		return giveError(L, &codedError{fmt.Sprintf("address %q: %v", text, err), codeInvalid})
	}
	var tls *tlsOptions
	if secured {
		tls = &about
	} else if about != (tlsOptions{}) {
		L.ArgError(2, `options of TLS are for "tls://"`)
	}
	k := &socket{state: s, target: t.String(), timeout: d}
	if err := k.open(L, t, tls); err != nil {
		return s.giveFailure(L, err)
	}
	object, w := s.object(s.types.socket, k), s.worker
	runtime.AddCleanup(object, func(k *socket) {
		_ = w.Post(k.release) // after the end of the port it is closed
	}, k)
	return give(L, object)
}

// open connects. The connection whose handler does so has it from the start.
func (k *socket) open(L *lua.LState, t target, tls *tlsOptions) (err error) {
	s := k.state
	c := s.fiberOf(L).task.conn
	if c != nil && !c.ended {
		if c.sockets >= maxConnSockets {
			return &codedError{fmt.Sprintf("connect to %s: the handlers of this connection have %d sockets already", t, maxConnSockets), codeFull}
		}
		c.sockets++
	}
	k.conn, err = s.dial(t, tls, k.timeout)
	if err != nil {
		if c != nil && !c.ended {
			c.sockets--
		}
		return err
	}
	k.owner = s.track(k)
	return nil
}

// release closes a socket that the script has left open.
func (k *socket) release() {
	if k.closed {
		return
	}
	k.lost = "the filter is shutting down"
	if k.owner != nil {
		k.lost = "it was opened in a handler of a connection that has ended: open sockets that are to last in on_init"
	}
	k.close()
}

func (k *socket) close() {
	if k.closed {
		return
	}
	k.closed = true
	k.state.untrack(k, k.owner)
	if k.owner != nil {
		k.owner.sockets--
		k.owner = nil // whose table the script may keep the socket's object in
	}
	k.conn.close()
}

// argSocket returns the socket that a method is called on; the error says that it
// is closed.
func argSocket(L *lua.LState) (*socket, error) {
	k := argObject[*socket](L, 1, "socket")
	if !k.closed {
		return k, nil
	}
	message := "the socket to " + k.target + " is closed"
	if k.lost != "" {
		message += ": " + k.lost
	}
	return k, &codedError{message, codeClosed}
}

// exclusively does something that only one handler at a time may do.
func (k *socket) exclusively(L *lua.LState, busy *bool, verb string, d time.Duration, do func() error) error {
	f := k.state.fiberOf(L)
	if *busy {
		return &codedError{fmt.Sprintf("%s %s: another handler does so", verb, k.target), codeBusy}
	}
	*busy = true
	defer func() { *busy = false }()
	err := f.within(d, do)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s %s: %w", verb, k.target, err)
	}
	return err
}

func socketSend(s *state, L *lua.LState) int {
	k, err := argSocket(L)
	data, d := argBytes(L, 2), optTimeout(L, 3, k.timeout)
	if _, ok := userValue(L.Get(2)).(*chunk); ok {
		data = bytes.Clone(data) // what is being sent may outlast the call
	}
	if err != nil {
		return giveError(L, err)
	}
	s.meter.chargeBytes(len(data))
	err = k.exclusively(L, &k.sending, "send to", d, func() error {
		_, err := k.conn.Write(data)
		if err != nil {
			k.close() // how much of it went out is not known
		}
		return err
	})
	if err != nil {
		return s.giveFailure(L, err)
	}
	return give(L, lua.LTrue)
}

const (
	// maxReceive bounds what a script can ask for at once.
	maxReceive = 16 << 20
	// maxReceived bounds what it gets when it does not say.
	maxReceived = 64 << 10
	// maxLine bounds a line if the script does not.
	maxLine = 8 << 10
)

// scratchBuffer is where something is put for as long as nobody waits.
func (s *state) scratchBuffer() []byte {
	if s.scratch == nil {
		s.scratch = make([]byte, maxReceived)
	}
	return s.scratch
}

// more waits for more and adds it to what has been received.
func (k *socket) more() error {
	buf := k.state.scratchBuffer()
	n, err := k.conn.Read(buf)
	k.in = append(k.in, buf[:n]...)
	return err
}

// take returns the first bytes of what has been received, and forgets them with
// what is behind them up to the second mark.
func (k *socket) take(n, used int) string {
	data := string(k.in[:n])
	if k.in = k.in[used:]; len(k.in) == 0 {
		k.in = nil
	}
	return data
}

func socketReceive(s *state, L *lua.LState) int {
	k, err := argSocket(L)
	n, d := int(optInteger(L, 2, 1, maxReceive, 0)), optTimeout(L, 3, k.timeout)
	if err != nil {
		return giveError(L, err)
	}
	err = k.exclusively(L, &k.receiving, "receive from", d, func() (err error) {
		for len(k.in) < max(n, 1) && err == nil {
			err = k.more()
		}
		return err
	})
	if err != nil {
		return k.giveEnd(L, err)
	}
	if n == 0 {
		n = min(len(k.in), maxReceived)
	}
	return k.giveReceived(L, n, n)
}

func socketReceiveLine(_ *state, L *lua.LState) int {
	k, err := argSocket(L)
	limit, d := int(optInteger(L, 2, 1, maxReceive, maxLine)), optTimeout(L, 3, k.timeout)
	if err != nil {
		return giveError(L, err)
	}
	length, used := 0, 0
	err = k.exclusively(L, &k.receiving, "receive from", d, func() (err error) {
		length, used, err = k.line(limit)
		return err
	})
	if err != nil {
		return k.giveEnd(L, err)
	}
	return k.giveReceived(L, length, used)
}

// line waits for a line; it returns its length without and with its end.
func (k *socket) line(limit int) (length, used int, err error) {
	for searched := 0; ; {
		if at := bytes.IndexByte(k.in[searched:], '\n'); at >= 0 {
			used = searched + at + 1
			length = len(bytes.TrimSuffix(k.in[:used-1], []byte("\r")))
		} else {
			length = len(k.in)
		}
		if length > limit+1 || used > 0 && length > limit { // there may be a "\r" to come off
			return 0, 0, &codedError{fmt.Sprintf("a line has more than %d bytes", limit), codeTooBig}
		}
		if used > 0 {
			return length, used, nil
		}
		searched = len(k.in)
		if err := k.more(); err != nil {
			return 0, 0, err
		}
	}
}

// giveReceived returns the first bytes of what has been received to the script.
func (k *socket) giveReceived(L *lua.LState, n, used int) int {
	k.state.meter.chargeBytes(n)
	return give(L, lua.LString(k.take(n, used)))
}

// giveEnd returns that nothing more can be received.
func (k *socket) giveEnd(L *lua.LState, err error) int {
	if !errors.Is(err, io.EOF) {
		return k.state.giveFailure(L, err)
	}
	if len(k.in) > 0 {
		return giveError(L, &codedError{fmt.Sprintf("%s ended the stream after %d bytes of what was asked for", k.target, len(k.in)), codeClosed})
	}
	return give(L, lua.LNil)
}

func socketClose(_ *state, L *lua.LState) int {
	argObject[*socket](L, 1, "socket").close()
	return give(L, lua.LTrue)
}

func socketToString(_ *state, L *lua.LState) int {
	k, err := argSocket(L)
	text := "socket to " + k.target
	if err != nil {
		text += " (closed)"
	}
	return give(L, lua.LString(text))
}
