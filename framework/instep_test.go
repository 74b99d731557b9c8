package framework_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/completion/fake"
	"fwx/framework/fwxtest"
	"fwx/framework/fwxtest/instep"
)

// Whatever filters do, and whenever, client and server agree on where each message ends.
func TestHTTPMessagesStayInStep(t *testing.T) {
	t.Parallel()
	runs := 200
	if fwxtest.Long() {
		runs = 500
	}
	instep.Run(t, runs, nil, func(t *testing.T, r *rand.Rand, m *fake.Machine, rec *instep.Record, bodies bool) (list []framework.FilterConfig) {
		t.Helper()
		m.WriteFile("/file", []byte(strings.Repeat("file ", 3000)))
		for _, name := range []string{"a", "b"} {
			c := &careless{t: t, bodies: bodies, r: rand.New(rand.NewPCG(r.Uint64(), 0)), rec: rec, calls: r.IntN(60), verdicts: r.IntN(40)}
			var f framework.HTTPFilter = c
			switch kind := r.IntN(4); {
			case !bodies:
			case kind == 0:
				f = carelessRequests{c}
			case kind == 1:
				f = carelessResponses{c}
			case kind == 2:
				f = carelessBoth{carelessRequests{c}}
			}
			list = append(list, framework.FilterConfig{Name: name, Class: framework.ClassMiddle, Filter: instep.Attach(f)})
		}
		return list
	})
}

// careless is a filter that makes any call at any time.
type careless struct {
	t        *testing.T
	r        *rand.Rand
	rec      *instep.Record
	bodies   bool
	calls    int // how often of a hundred times it makes some
	verdicts int // and gives another verdict than Pass
}

// These see bodies, too.
type (
	carelessRequests  struct{ *careless }
	carelessResponses struct{ *careless }
	carelessBoth      struct{ carelessRequests }
)

func (c *careless) chance(percent int) bool { return c.r.IntN(100) < percent }

// told is what each handler does.
func (c *careless) told(x *framework.Exchange, dir framework.Direction) framework.Verdict {
	for c.chance(c.calls) {
		c.call(x)
	}
	for c.chance(c.calls / 3) {
		c.later(x, func() { c.call(x) })
	}
	return c.verdict(x, dir)
}

func (c *careless) Request(x *framework.Exchange) framework.Verdict {
	return c.told(x, framework.Upstream)
}

func (c *careless) Response(x *framework.Exchange) framework.Verdict {
	return c.told(x, framework.Downstream)
}

func (c *careless) EndExchange(x *framework.Exchange) {
	for c.chance(c.calls) {
		c.call(x)
	}
}

func (c carelessRequests) RequestBody(x *framework.Exchange, _ []byte) framework.Verdict {
	return c.told(x, framework.Upstream)
}

func (c carelessRequests) SpooledBody(x *framework.Exchange, _ *framework.Spool) framework.Verdict {
	return c.told(x, framework.Upstream)
}

func (c carelessResponses) ResponseBody(x *framework.Exchange, _ []byte) framework.Verdict {
	return c.told(x, framework.Downstream)
}

func (c carelessBoth) ResponseBody(x *framework.Exchange, _ []byte) framework.Verdict {
	return c.told(x, framework.Downstream)
}

// later does something in a while, or as soon as the handler has returned.
func (c *careless) later(x *framework.Exchange, f func()) {
	serial, w := x.Serial(), x.Connection().Worker()
	do := func() {
		if x.Serial() == serial { // it is still that exchange, over or not
			f()
		}
	}
	if c.chance(50) {
		_ = w.Post(do) // the port is open
		return
	}
	w.NewTimer(do).Reset(time.Duration(1+c.r.IntN(30)) * time.Millisecond)
}

// verdict is a random one.
func (c *careless) verdict(x *framework.Exchange, dir framework.Direction) framework.Verdict {
	if !c.chance(c.verdicts) {
		return framework.Pass
	}
	switch n := c.r.IntN(20); {
	case n < 8:
		c.later(x, func() { c.resume(x, dir) })
		return framework.Hold
	case n == 8:
		c.file(x, dir)
		return framework.Hold
	}
	return c.decided(x)
}

// decided is a random verdict other than Hold.
func (c *careless) decided(x *framework.Exchange) framework.Verdict {
	switch n := c.r.IntN(20); {
	case n < 5:
		return framework.Replace([]byte(strings.Repeat("new\r\n", c.r.IntN(400))))
	case n < 9:
		return framework.Drop
	case n < 11:
		return c.rec.Answer([]int{200, 204, 205, 304, 404, 503}[c.r.IntN(6)], strings.Repeat("answer\r\n", c.r.IntN(300)))
	case n == 11:
		return framework.Deny("no")
	case n == 12:
		return framework.Fail("broken")
	}
	return framework.Pass
}

// resume gives a verdict on what is held, more than once now and then.
func (c *careless) resume(x *framework.Exchange, dir framework.Direction) {
	if c.chance(20) {
		c.call(x)
	}
	_ = x.Resume(dir, c.decided(x)) // it may be over
	if c.chance(5) {
		_ = x.Resume(dir, c.decided(x)) // another filter's, if one holds by now
	}
}

// file answers with a file what is held.
func (c *careless) file(x *framework.Exchange, dir framework.Direction) {
	w := x.Connection().Worker()
	o := w.CreateOverlapped()
	opened := func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
		if err != nil {
			c.t.Error(err)
			return
		}
		fields := []framework.Field{{Name: "Answer", Value: c.rec.Note(strings.Repeat("file ", 3000))}}
		_ = x.Resume(dir, framework.AnswerFile(200, fields, o.TakeValue().(*completion.Handle))) // it may be over
	}
	if err := errors.Join(
		o.SetNotificationInterface(completion.CompletionFunc(opened), nil),
		w.OpenFile(o, nil, "/file", os.O_RDONLY, 0),
	); err != nil {
		c.t.Error(err)
	}
}

// call makes a random call, which may be refused, and must not have an effect then.
func (c *careless) call(x *framework.Exchange) {
	dir := framework.Direction(c.r.IntN(2))
	q, p := x.Request(), x.Response()
	fields := []framework.Fields{q.Fields, p.Fields, x.Trailer(framework.Upstream), x.Trailer(framework.Downstream)}[c.r.IntN(4)]
	name := []string{"X-One", "X-Two", "X-New", "Content-Length", "Transfer-Encoding", "Connection", "ETag"}[c.r.IntN(7)]
	calls := []func() error{
		func() error {
			return q.SetMethod([]string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "DELETE"}[c.r.IntN(6)])
		},
		func() error { return q.SetPath([]string{"/", "/x?y", "nothing", ""}[c.r.IntN(4)]) },
		func() error { return q.SetHost([]string{"b", "b:80", "a b"}[c.r.IntN(3)]) },
		func() error { return p.SetStatus([]int{200, 200, 204, 205, 304, 404, 101, 600}[c.r.IntN(8)]) },
		func() error { return fields.Set(name, "7") },
		func() error { return fields.Add(name, "8") },
		func() error { return fields.Remove(name) },
		func() error { return x.SetUpstream([]string{"out", "other", "none"}[c.r.IntN(3)]) },
		func() error {
			return x.WholeBody(dir, []int{1, 10, 5000, 1 << 20}[c.r.IntN(4)], framework.Overflow(c.r.IntN(3)))
		},
		func() error {
			if !c.bodies {
				return nil
			}
			return x.DecodeBody(dir)
		},
		func() error { return x.Resume(dir, framework.Hold) },
		func() error {
			_, _, _, _, _ = q.Method(), q.Path(), p.Status(), x.HasBody(dir), fields.Append(nil)
			return nil
		},
	}
	_ = calls[c.r.IntN(len(calls))]() // most of them come too late
}
