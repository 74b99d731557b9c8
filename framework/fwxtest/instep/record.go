package instep

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"

	"fwx/framework"
)

// Record is what the gateway is known to have made of the requests of a run.
type Record struct {
	mu      sync.Mutex
	seen    map[string]*exchange // by X-Request-Id
	answers []string             // bodies of answers
}

// exchange is a request that the gateway has taken.
type exchange struct {
	n        int
	up, down []byte // what goes on, behind the filters; nil: that has not been recorded
	bodies   bool   // it is recorded
	dropped  bool   // the filters have given the answer a status without a body
}

// Answer returns a verdict that answers a request, which Run knows again.
func (rec *Record) Answer(status int, body string) framework.Verdict {
	return framework.Answer(status, []framework.Field{{Name: "Answer", Value: rec.Note(body)}}, []byte(body))
}

// Note notes the body of an answer, and returns the value of its field Answer.
func (rec *Record) Note(body string) string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answers = append(rec.answers, body)
	return strconv.Itoa(len(rec.answers) - 1)
}

// heads and bodies are the filters that record.
type (
	heads  struct{ rec *Record }
	bodies struct {
		heads

		last bool // of the filters: it sees what goes on of requests; otherwise of responses
	}
)

type recordKey struct{}

// Request notes a request.
func (f heads) Request(x *framework.Exchange) framework.Verdict { return f.note(x, false) }

func (f heads) note(x *framework.Exchange, recorded bool) framework.Verdict {
	n, _ := strconv.Atoi(string(x.Request().Get("n"))) // each has one
	f.rec.mu.Lock()
	defer f.rec.mu.Unlock()
	if e, ok := x.Value(recordKey{}).(*exchange); ok {
		e.bodies = e.bodies || recorded
		return framework.Pass
	}
	e := &exchange{n: n, bodies: recorded}
	x.SetValue(recordKey{}, e)
	f.rec.seen[x.ID()] = e
	return framework.Pass
}

// Response notes a status for which the body of the server is not waited for. A filter may
// give the answer another status after that.
func (f heads) Response(x *framework.Exchange) framework.Verdict {
	f.rec.mu.Lock()
	defer f.rec.mu.Unlock()
	if e, ok := x.Value(recordKey{}).(*exchange); ok {
		switch x.Response().Status() {
		case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
			e.dropped = true
		}
	}
	return framework.Pass
}

// Request notes a request.
func (f bodies) Request(x *framework.Exchange) framework.Verdict { return f.note(x, true) }

// RequestBody notes what goes on.
func (f bodies) RequestBody(x *framework.Exchange, chunk []byte) framework.Verdict {
	if e, ok := x.Value(recordKey{}).(*exchange); ok && f.last {
		e.up = append(e.up, bytes.Clone(chunk)...)
	}
	return framework.Pass
}

// ResponseBody notes what goes on.
func (f bodies) ResponseBody(x *framework.Exchange, chunk []byte) framework.Verdict {
	if e, ok := x.Value(recordKey{}).(*exchange); ok && !f.last {
		e.down = append(e.down, bytes.Clone(chunk)...)
	}
	return framework.Pass
}

// attach is a filter that attaches an HTTP filter to each connection.
type attach struct{ http framework.HTTPFilter }

// FilterInit wants to see connections.
func (attach) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP, nil
}

// AttachToSession sees those of all clients.
func (a attach) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return a, nil
}

// FirewallEventHandler attaches the HTTP filter.
func (a attach) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if err := ev.Connection.AttachHTTPFilter(a.http); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

// Attach returns a filter that attaches an HTTP filter to each connection.
func Attach(f framework.HTTPFilter) framework.Filter { return attach{f} }
