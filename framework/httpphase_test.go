package framework

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/wire/websocket"
)

// phaseCalls are all calls that change a message of an exchange, by what they have in
// common.
var phaseCalls = map[string][]func(x *Exchange) error{
	"head of the request": {
		func(x *Exchange) error { return x.Request().SetMethod("PUT") },
		func(x *Exchange) error { return x.Request().SetPath("/new") },
		func(x *Exchange) error { return x.Request().SetCleanPath("/new") },
		func(x *Exchange) error { return x.Request().SetHost("new") },
		func(x *Exchange) error { return x.Request().Set("X-Up", "new") },
		func(x *Exchange) error { return x.Request().Add("X-Up", "new") },
		func(x *Exchange) error { return x.Request().Remove("X-Up") },
	},
	"route":            {func(x *Exchange) error { return x.SetUpstream("other") }},
	"whole request":    {func(x *Exchange) error { return x.WholeBody(Upstream, 1000, OverflowRefuse) }},
	"decoded request":  {func(x *Exchange) error { return x.DecodeBody(Upstream) }},
	"request trailers": trailerChanges(Upstream),
	"head of the response": {
		func(x *Exchange) error { return x.Response().SetStatus(201) },
		func(x *Exchange) error { return x.Response().Set("X-Down", "new") },
		func(x *Exchange) error { return x.Response().Add("X-Down", "new") },
		func(x *Exchange) error { return x.Response().Remove("X-Down") },
	},
	"whole response":    {func(x *Exchange) error { return x.WholeBody(Downstream, 1000, OverflowPass) }},
	"decoded response":  {func(x *Exchange) error { return x.DecodeBody(Downstream) }},
	"response trailers": trailerChanges(Downstream),
}

func trailerChanges(dir Direction) []func(x *Exchange) error {
	return []func(x *Exchange) error{
		func(x *Exchange) error { return x.Trailer(dir).Set("X-Sum", "new") },
		func(x *Exchange) error { return x.Trailer(dir).Add("X-Sum", "new") },
		func(x *Exchange) error { return x.Trailer(dir).Remove("X-Sum") },
	}
}

// phaseMoments are the moments at which they are made. A moment that a mode has is one of a
// handler, or lies between what the two sides send.
var phaseMoments = []struct {
	mode, moment string
	up, down     exchangePhase
	allowed      string // the calls that have an effect, and "answer"
}{
	{"pieces", "request head", phaseHead, phaseAwaited, "head of the request, route, whole request, decoded request, answer"},
	{"pieces", "connecting", phaseBody, phaseAwaited, ""},
	{"pieces", "request body", phaseBody, phaseAwaited, "answer"},
	{"pieces", "request passes", phaseBody, phaseAwaited, ""},
	{"pieces", "request end", phaseEnd, phaseAwaited, "request trailers, answer"},
	{"pieces", "response awaited", phaseComplete, phaseAwaited, ""},
	{"pieces", "response head", phaseComplete, phaseHead, "head of the response, whole response, decoded response, answer"},
	{"pieces", "response body", phaseComplete, phaseBody, ""},
	{"pieces", "response passes", phaseComplete, phaseBody, ""},
	{"pieces", "response end", phaseComplete, phaseEnd, "response trailers"},
	{"pieces", "over", phaseDone, phaseDone, ""},
	{"pieces", "long over", phaseDone, phaseDone, ""},
	{"held", "request head is held", phaseHead, phaseAwaited, "head of the request, route, whole request, decoded request"},
	{"held", "request body is held", phaseBody, phaseAwaited, ""},
	{"held", "request end is held", phaseEnd, phaseAwaited, "request trailers"},
	{"held", "response head is held", phaseComplete, phaseHead, "head of the response, whole response, decoded response"},
	{"held", "response body is held", phaseComplete, phaseBody, ""},
	{"held", "response end is held", phaseComplete, phaseEnd, "response trailers"},
	{"whole", "request passes", phaseGathered, phaseAwaited, "head of the request, route"},
	{"whole", "request body", phaseGathered, phaseAwaited, "head of the request, route, answer"},
	{"whole", "request end", phaseGathered, phaseAwaited, "head of the request, route, answer"},
	{"whole", "response passes", phaseComplete, phaseGathered, "head of the response"},
	{"whole", "response body", phaseComplete, phaseGathered, "head of the response, answer"},
	{"whole", "response end", phaseComplete, phaseGathered, "head of the response, answer"},
	{"spool", "spooled", phaseGathered, phaseAwaited, "head of the request, route, answer"},
	{"early", "response head", phaseBody, phaseHead, "head of the response, whole response, decoded response, answer"},
	{"file", "file is sent", phaseComplete, phaseComplete, ""},
	{"tunnel", "upgraded", phaseTunnel, phaseTunnel, ""},
	{"messages", "message", phaseMessages, phaseMessages, ""},
	{"messages", "upgraded", phaseMessages, phaseMessages, ""},
}

// phaseWalk runs requests through a machine in memory, and does something at one moment of
// each.
type phaseWalk struct {
	*machine

	file   string
	mode   string
	moment string
	do     func(x *Exchange) error
	answer bool // the handler of the moment answers the request

	x    *Exchange // of the request that runs
	err  error     // of what was done
	done bool
	up   exchangePhase
	down exchangePhase
}

// at is called at each moment.
func (w *phaseWalk) at(moment string, x *Exchange) bool {
	w.x = x
	if moment != w.moment || w.done {
		return false
	}
	w.done, w.up, w.down = true, x.phase(Upstream), x.phase(Downstream)
	if w.do != nil {
		w.err = w.do(x)
	}
	return w.answer
}

// between is at for a moment that is not one of a handler.
func (w *phaseWalk) between(moment string) {
	w.settle()
	if moment != w.moment || w.x == nil {
		return
	}
	check(w.t, w.Port().Workers()[0].Post(func() { w.at(moment, w.x) }))
	w.settle()
}

// must reports an error on the worker, where a test cannot be ended.
func (w *phaseWalk) must(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

// told is what a handler does.
func (w *phaseWalk) told(moment string, x *Exchange, dir Direction) Verdict {
	if w.at(moment, x) {
		return Answer(418, nil, []byte("tea"))
	}
	if w.mode != "held" {
		return Pass
	}
	_ = x.Connection().Worker().Post(func() { // the port is open
		w.at(moment+" is held", x)
		w.must(x.Resume(dir, Pass))
	})
	return Hold
}

func (w *phaseWalk) filter() *testFilter {
	bodies := testHTTPBodies{&testHTTP{
		request: func(x *Exchange) Verdict {
			switch w.mode {
			case "whole":
				w.must(x.WholeBody(Upstream, 500, OverflowRefuse))
			case "spool":
				w.must(x.WholeBody(Upstream, 5, OverflowSpool))
			case "file":
				w.x = x
				return w.answerFile(x)
			}
			return w.told("request head", x, Upstream)
		},
		requestBody: func(x *Exchange, chunk []byte) Verdict { return w.told(partOf("request", chunk), x, Upstream) },
		response: func(x *Exchange) Verdict {
			if w.mode == "whole" {
				w.must(x.WholeBody(Downstream, 500, OverflowRefuse))
			}
			return w.told("response head", x, Downstream)
		},
		responseBody: func(x *Exchange, chunk []byte) Verdict { return w.told(partOf("response", chunk), x, Downstream) },
	}}
	spooling := testSpool{bodies, func(x *Exchange, _ *Spool) Verdict { return w.told("spooled", x, Upstream) }}
	return &testFilter{onEvent: func(ev *Event) Verdict {
		if ev.Type != ConnectTCP {
			return Pass
		}
		err := ev.Connection.AttachHTTPFilter(phaseEnding{spooling, w})
		if w.mode == "messages" {
			see := func(x *Exchange, dir Direction, _ Message) Verdict { return w.told("message", x, dir) }
			err = errors.Join(err, ev.Connection.AttachHTTPFilter(testMessages(see)))
		}
		return passIfDone(err)
	}}
}

func partOf(message string, chunk []byte) string {
	if len(chunk) == 0 {
		return message + " end"
	}
	return message + " body"
}

// answerFile answers with a file that has been opened.
func (w *phaseWalk) answerFile(x *Exchange) Verdict {
	worker := x.Connection().Worker()
	o := worker.CreateOverlapped()
	opened := func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
		w.must(err)
		w.must(x.Resume(Upstream, AnswerFile(200, nil, o.TakeValue().(*completion.Handle))))
	}
	w.must(o.SetNotificationInterface(completion.CompletionFunc(opened), nil))
	w.must(worker.OpenFile(o, nil, w.file, os.O_RDONLY, 0))
	return Hold
}

// phaseEnding is told the end of exchanges, too.
type phaseEnding struct {
	testSpool

	w *phaseWalk
}

func (f phaseEnding) EndExchange(x *Exchange) { f.w.at("over", x) }

var anyID = regexp.MustCompile(`(?m)^(X-Request-Id: |X-Forwarded|Forwarded|Last-Modified|ETag|\{"status).*\n`)

// run runs a request, with what is done at a moment of it, and returns all that the two
// sides have been sent.
func (w *phaseWalk) run(mode, moment string, do func(x *Exchange) error, answer bool) string {
	w.t.Helper()
	w.mode, w.moment, w.do, w.answer, w.done, w.err, w.x = mode, moment, do, answer, false, nil, nil
	c := w.client()
	zipped := gzipped("some text")
	fields, whole := framed("chunks", zipped)
	whole = strings.TrimSuffix(whole, "\r\n") + "X-Sum: 1\r\n\r\n"
	head := "POST / HTTP/1.1\r\nHost: a\r\nX-Up: 1\r\nContent-Encoding: gzip\r\n"
	switch mode {
	case "file":
		fields, whole = "", ""
	case "tunnel", "messages":
		head, fields, whole = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"+keyField, "", ""
	}
	if moment == "connecting" {
		w.reach(false)
	}
	c.say(head + fields + "\r\n" + whole[:len(whole)/2])
	if w.between("connecting"); moment == "connecting" {
		w.reach(true)
		w.pass(time.Second) // another attempt
	}
	w.between("request passes")
	answerHead := "HTTP/1.1 200 OK\r\nX-Down: 1\r\nContent-Encoding: gzip\r\n" + fields + "\r\n"
	if mode == "early" {
		w.serverSays(answerHead)
	}
	c.say(whole[len(whole)/2:])
	w.between("response awaited")
	switch mode {
	case "tunnel", "messages":
		w.serverSays(switching("websocket", acceptField))
		frame := websocket.Frame{Opcode: websocket.Text, Final: true}
		w.serverSays(string(frame.Append(nil, []byte("text"))))
		w.between("upgraded")
	default:
		w.between("file is sent")
		w.serverSays(answerHead + whole[:len(whole)/2])
		w.between("response passes")
		w.serverSays(whole[len(whole)/2:])
	}
	w.between("long over")
	client := c.heard()
	if mode == "file" {
		client, _, _ = strings.Cut(client, "\x00") // how much has been read of it differs
	}
	client += fmt.Sprintf("<%v>", c.over)
	var text strings.Builder
	text.WriteString(client)
	c.Reset()
	w.settle()
	for i, s := range w.servers {
		for _, conn := range s.conns {
			fmt.Fprintf(&text, "\n--- server %d: %s", i/2, conn.text)
			conn.Reset() // the next run has one of its own
		}
		s.conns = nil
	}
	w.settle()
	return anyID.ReplaceAllString(text.String(), "")
}

// reach has the servers be reached, or not.
func (w *phaseWalk) reach(reached bool) {
	for _, s := range w.servers {
		if at := (completion.Address{AddrPort: netip.MustParseAddrPort(s.address)}); reached {
			w.fake.MendConnect(at)
		} else {
			w.fake.FailConnect(at, nil)
		}
	}
}

// serverSays has the server that was connected say something.
func (w *phaseWalk) serverSays(text string) {
	w.settle()
	for _, s := range w.servers {
		for _, c := range s.conns {
			if !c.over {
				c.say(text)
			}
		}
	}
	w.settle()
}

// refused makes calls that must be errors at a moment, and have no effect.
func (w *phaseWalk) refused(mode, moment, name, without string) {
	w.t.Helper()
	with := w.run(mode, moment, func(x *Exchange) error {
		for i, do := range phaseCalls[name] {
			if err := do(x); !errors.Is(err, ErrBadContext) {
				w.t.Errorf("%s, %s: %s %d is possible: %v", mode, moment, name, i, err)
			}
		}
		return nil
	}, false)
	if with != without {
		w.t.Errorf("%s, %s: %s has an effect\n%s\nwithout it\n%s", mode, moment, name, with, without)
	}
}

// Each call is made at each moment: it has an effect, or is an error and has none.
func TestHTTPCallsInEachPhase(t *testing.T) {
	w := &phaseWalk{machine: newMachine(t), file: "/file"}
	for range 3 {
		w.server(nil).manual = true
	}
	w.fake.WriteFile(w.file, make([]byte, 4<<20))
	w.start(func(c *Config) {
		c.Upstreams[0].ConnectTimeout = time.Second
		servers := c.Upstreams[0].Servers
		c.Upstreams[0].Servers = servers[:2]
		c.Upstreams = append(c.Upstreams, UpstreamConfig{Name: "other", Servers: servers[2:]})
		f := w.filter()
		c.Filters = []FilterConfig{{Name: "a", Filter: f}}
		c.Listeners[0].Filters = []string{"a"}
		c.Listeners[0].HTTP.Spool.Dir = "/spool"
	})
	seen := map[Direction]phases{}
	for _, m := range phaseMoments {
		without := w.run(m.mode, m.moment, nil, false)
		if !w.done {
			t.Errorf("%s, %s: it does not come\n%s", m.mode, m.moment, without)
			continue
		}
		if w.up != m.up || w.down != m.down {
			t.Errorf("%s, %s: phases %s and %s, want %s and %s", m.mode, m.moment, w.up, w.down, m.up, m.down)
		}
		seen[Upstream] |= in(w.up)
		seen[Downstream] |= in(w.down)
		allowed := strings.Split(m.allowed, ", ")
		for _, name := range sortedKeys(phaseCalls) {
			if !slices.Contains(allowed, name) {
				w.refused(m.mode, m.moment, name, without)
				continue
			}
			for i, do := range phaseCalls[name] {
				if with := w.run(m.mode, m.moment, do, false); w.err != nil || with == without {
					t.Errorf("%s, %s: %s %d has no effect: %v", m.mode, m.moment, name, i, w.err)
				}
			}
		}
		with := w.run(m.mode, m.moment, nil, true)
		if answered := strings.HasPrefix(with, "HTTP/1.1 418 "); answered != slices.Contains(allowed, "answer") {
			t.Errorf("%s, %s: answered %v\n%s", m.mode, m.moment, answered, with)
		}
	}
	for dir, want := range map[Direction]phases{
		Upstream:   in(phaseHead, phaseGathered, phaseBody, phaseEnd, phaseComplete, phaseTunnel, phaseMessages, phaseDone),
		Downstream: in(phaseAwaited, phaseHead, phaseGathered, phaseBody, phaseEnd, phaseComplete, phaseTunnel, phaseMessages, phaseDone),
	} {
		if seen[dir] != want {
			t.Errorf("%v: phases %b of %b have been seen", dir, seen[dir], want)
		}
	}
}
