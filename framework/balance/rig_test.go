package balance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
	"fwx/framework/fwxtest"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rig is a port in memory, on which upstreams and their servers are.
type rig struct {
	tb   testing.TB
	port *completiontest.Fake
	home *completion.Worker

	mu  sync.Mutex
	log bytes.Buffer
}

// newRig makes a rig. Inside a bubble of testing/synctest its clock is the bubble's.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	port, err := completiontest.NewFake(completion.Options{Workers: 1})
	must(tb, err)
	r := &rig{tb: tb, port: port, home: port.Workers()[0]}
	tb.Cleanup(func() {
		must(tb, port.Shutdown(context.Background()))
		if tb.Failed() {
			tb.Logf("log:\n%s", r.logged())
		}
	})
	return r
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// saidTimes checks how often the log says something.
func (r *rig) saidTimes(n int, what string) {
	r.tb.Helper()
	if got := strings.Count(r.logged(), what); got != n {
		r.tb.Errorf("the log says %d times %q, not %d times", got, what, n)
	}
}

// on runs f on the home worker.
func (r *rig) on(f func()) {
	r.tb.Helper()
	must(r.tb, r.home.Call(f))
}

// at returns an address of the rig.
func at(n int) completion.Address {
	return completion.Address{AddrPort: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:80", n))}
}

// targets returns servers at the first addresses, of weights.
func targets(weights ...int) (list []Target) {
	for i, w := range weights {
		list = append(list, Target{Text: at(i + 1).String(), Address: at(i + 1), Weight: w})
	}
	return list
}

// begin puts an upstream in force.
func (r *rig) begin(config Config, targets []Target, before *Upstream) *Upstream {
	r.tb.Helper()
	config.Name = "u"
	u := New(config, targets, slog.New(slog.NewTextHandler(r, nil)))
	must(r.tb, u.Begin(r.home, before))
	r.tb.Cleanup(u.Retire)
	return u
}

// choose takes a place and returns the number of the server.
func choose(tb testing.TB, u *Upstream, key uint64, tried ...*Server) int {
	tb.Helper()
	s, err := u.Choose(key, tried)
	must(tb, err)
	return number(s)
}

// number returns the number of a server in the rig.
func number(s *Server) int { return int(s.address.Addr().As4()[3]) }

// states returns the states of the servers.
func states(u *Upstream) string {
	infos := u.Infos()
	list := make([]string, 0, len(infos))
	for _, i := range infos {
		list = append(list, i.State)
	}
	return strings.Join(list, " ")
}

// server returns a server by its number.
func serverAt(tb testing.TB, u *Upstream, n int) *Server {
	tb.Helper()
	s := find(*u.servers.Load(), at(n))
	if s == nil {
		tb.Fatalf("there is no server %d", n)
	}
	return s
}

// fake is a server in memory.
type fake struct {
	rig      *rig
	address  completion.Address
	reply    string // to a request; empty: it accepts only
	silent   bool   // it never answers
	request  string // the last one
	accepted int
	listener *completion.Listener
	accept   *completion.Overlapped
}

// serve opens a server.
func (r *rig) serve(n int, reply string) *fake {
	r.tb.Helper()
	f := &fake{rig: r, address: at(n), reply: reply}
	f.open()
	return f
}

func (f *fake) open() {
	f.rig.tb.Helper()
	f.rig.on(func() {
		var err error
		f.listener, err = f.rig.home.Listen(f.address)
		must(f.rig.tb, err)
		f.accept = f.rig.operation(func(_ int, err error, o *completion.Overlapped) {
			if err != nil {
				return
			}
			f.serve(o.TakeValue().(completion.Accepted))
			_ = f.listener.Accept(o) // closed: it ends
		})
		must(f.rig.tb, f.listener.Accept(f.accept))
	})
}

func (f *fake) close() {
	f.rig.tb.Helper()
	f.rig.on(func() { must(f.rig.tb, f.listener.Close()) })
}

// operation returns an overlapped that calls done.
func (r *rig) operation(done func(n int, err error, o *completion.Overlapped)) *completion.Overlapped {
	o := r.home.CreateOverlapped()
	must(r.tb, o.SetNotificationInterface(completion.CompletionFunc(
		func(_ bool, n int, err error, o *completion.Overlapped, _ any) { done(n, err, o) }), nil))
	return o
}

// serve reads something, answers, and hangs up.
func (f *fake) serve(a completion.Accepted) {
	f.accepted++
	socket, err := f.rig.home.Attach(a)
	must(f.rig.tb, err)
	hangUp := func(int, error, *completion.Overlapped) { _ = socket.Close() } // it is open
	recv := f.rig.operation(func(n int, err error, o *completion.Overlapped) {
		if b := o.TakeBuffer(); b != nil {
			f.request = string(b.Bytes())
			b.Release()
		}
		switch {
		case n == 0 || err != nil || f.reply == "":
			hangUp(0, nil, nil)
		case !f.silent:
			must(f.rig.tb, socket.Send(f.rig.operation(hangUp), []byte(f.reply)))
		}
	})
	must(f.rig.tb, socket.Recv(recv))
}

// directory is a DNS for tests.
type directory struct {
	mu      sync.Mutex
	answer  Answer
	err     error
	lookups int
}

var errNoDNS = errors.New("no DNS server answers")

func (d *directory) lookup(context.Context, string) (Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookups++
	return d.answer, d.err
}

// set changes what the directory answers, and returns how often it was asked since.
func (d *directory) set(life time.Duration, err error, numbers ...int) (lookups int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer, d.err = Answer{Life: life}, err
	for _, n := range numbers {
		d.answer.Addresses = append(d.answer.Addresses, at(n).Addr())
	}
	lookups, d.lookups = d.lookups, 0
	return lookups
}
