package scripting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	lua "github.com/yuin/gopher-lua"
)

const (
	// answerLife is how long an answer of the DNS is used again. The system's
	// resolver does not tell how long it may be.
	answerLife = 30 * time.Second
	// refusalLife is so for the answer that there is no such name.
	refusalLife = 5 * time.Second
	// lookupLimit bounds a lookup.
	lookupLimit = 15 * time.Second
	// maxLookups bounds those that run at a time on one worker; more wait.
	maxLookups = 16
	// maxAnswers bounds what is remembered and waited for.
	maxAnswers = 4096
)

// resolver asks the DNS for a state. Each lookup is a goroutine, because it may
// take long and the port's threads are for files; its answer comes back as a task.
type resolver struct {
	state   *state
	answers map[question]*answer
	running int
	queue   []*answer       // that want to run
	ctx     context.Context //nolint:containedctx // It ends with the state, as the lookups do.
	cancel  context.CancelFunc
}

type question struct {
	name    string // or an address
	reverse bool
}

type answer struct {
	question question
	addrs    []netip.Addr // in their usual form
	names    []string
	err      error
	done     bool
	expires  time.Duration // on the worker's clock
	waiting  []*fiber
}

func newResolver(s *state) *resolver {
	r := &resolver{state: s, answers: make(map[question]*answer)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// ask returns an answer, on a fiber.
func (r *resolver) ask(q question) (*answer, error) {
	f := r.state.running
	if err := f.interrupted(); err != nil {
		return nil, err
	}
	if r.state.filter.trial {
		r.state.doubt = true
		return nil, errTrial
	}
	a := r.answers[q]
	if a == nil || a.done && r.state.worker.Now() >= a.expires {
		if a == nil && !r.makeRoom() {
			return nil, &codedError{fmt.Sprintf("look up %s: there are %d lookups already", q.name, maxAnswers), codeFull}
		}
		a = &answer{question: q}
		r.answers[q] = a
		r.queue = append(r.queue, a)
		r.run()
	}
	if !a.done {
		a.waiting = append(a.waiting, f)
		f.park()
		a.forget(f)
		if err := f.interrupted(); err != nil {
			return nil, err
		}
	}
	return a, a.err
}

// forget takes a fiber off the list of those that wait.
func (a *answer) forget(f *fiber) {
	for i, other := range a.waiting {
		if other == f {
			a.waiting[i] = nil
		}
	}
}

// makeRoom forgets old answers when there are too many: those that have expired,
// or else all that nobody waits for.
func (r *resolver) makeRoom() bool {
	for _, all := range []bool{false, true} {
		if len(r.answers) < maxAnswers {
			return true
		}
		for q, a := range r.answers {
			if a.done && (all || r.state.worker.Now() >= a.expires) {
				delete(r.answers, q)
			}
		}
	}
	return len(r.answers) < maxAnswers
}

// run starts the lookups whose turn it is.
func (r *resolver) run() {
	for r.running < maxLookups && len(r.queue) > 0 {
		a := r.queue[0]
		r.queue = r.queue[1:]
		r.running++
		r.state.pending++
		r.state.worker.Port().Go(func() { r.lookUp(a.question, a) })
	}
}

// lookUp asks the system. It runs on a goroutine of its own and touches nothing
// but what it makes; the answer is filled in on the worker.
func (r *resolver) lookUp(q question, a *answer) {
	ctx, cancel := context.WithTimeout(r.ctx, lookupLimit)
	defer cancel()
	var (
		found = r.state.filter.settings.System.Resolver
		addrs []netip.Addr
		names []string
		err   error
	)
	if q.reverse {
		names, err = found.LookupAddr(ctx, q.name)
	} else {
		addrs, err = found.LookupNetIP(ctx, "ip", q.name)
	}
	_ = r.state.worker.Post(func() { // closed: nobody waits any more
		a.addrs, a.names, a.err = usual(addrs), names, explainLookup(q.name, err)
		r.answered(a)
	})
}

func (r *resolver) answered(a *answer) {
	a.done = true
	switch found, ok := errors.AsType[*codedError](a.err); {
	case a.err == nil:
		a.expires = r.state.worker.Now() + answerLife
	case ok && found.code == codeUnknown:
		a.expires = r.state.worker.Now() + refusalLife
	}
	r.running--
	r.run()
	waiting := a.waiting
	a.waiting = nil
	for _, f := range waiting {
		if f != nil {
			f.wakeSoon()
		}
	}
	r.state.settled()
}

// usual returns addresses in their usual form, each once.
func usual(addrs []netip.Addr) (list []netip.Addr) {
	seen := make(map[netip.Addr]bool)
	for _, a := range addrs {
		if a = a.Unmap(); !seen[a] && a.Zone() == "" {
			seen[a] = true
			list = append(list, a)
		}
	}
	return list
}

func explainLookup(name string, err error) error {
	if err == nil {
		return nil
	}
	code := codeError
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return &codedError{"look up " + name + ": there is no such name, or no address of it", codeUnknown}
		case dns.IsTimeout:
			code = codeTimeout
		}
	}
	return &codedError{fmt.Sprintf("look up %s: %v", name, err), code}
}

var dnsFunctions = []binding{
	{
		"lookup", dnsLookup, "(name: string, options?: {family?: \"ip4\"|\"ip6\", timeout?: number}) -> addresses: string[] or fail",
		"Waits. The addresses of a name, in the order in which they are to be tried; an address is its own. " +
			"`timeout` in seconds, 10 if missing. `\"unknown\"`: there is no such name, or no address of it.",
	},
	{
		"reverse", dnsReverse, "(address: string, options?: {timeout?: number}) -> names: string[] or fail",
		"Waits. The names of an address. Whoever runs the address's zone can claim any name: look that up to check.",
	},
}

// families are the values of the option family.
var families = map[string]func(netip.Addr) bool{"ip4": netip.Addr.Is4, "ip6": netip.Addr.Is6}

func dnsLookup(s *state, L *lua.LState) int {
	text := argString(L, 1)
	o := argOptions(L, 2, "family", "timeout")
	keep, d := families[o.text("family")], o.timeout()
	if keep == nil {
		if family := o.text("family"); family != "" {
			o.fail("family", `wants "ip4" or "ip6"`)
		}
		keep = func(netip.Addr) bool { return true }
	}
	addrs, err := s.lookUpFor(s.fiberOf(L), text, d)
	if err != nil {
		return s.giveFailure(L, err)
	}
	list := L.NewTable()
	for _, a := range addrs {
		if keep(a) {
			list.Append(lua.LString(a.String()))
		}
	}
	if list.Len() == 0 {
		return giveError(L, &codedError{"look up " + text + ": it has no address of this family", codeUnknown})
	}
	return give(L, list)
}

func (s *state) lookUpFor(f *fiber, text string, d time.Duration) (addrs []netip.Addr, err error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return []netip.Addr{a.Unmap().WithZone("")}, nil
	}
	name, err := cleanName(text)
	if err != nil {
		return nil, &codedError{err.Error(), codeInvalid}
	}
	if !s.filter.reach.mayLookUp(name) {
		return nil, s.filter.reach.denied("look up "+name, fmt.Sprintf("%q to dns", name))
	}
	err = f.within(d, func() error {
		a, err := s.resolver.ask(question{name: name})
		if err == nil {
			addrs = a.addrs
		}
		return err
	})
	return addrs, err
}

func dnsReverse(s *state, L *lua.LState) int {
	text := argString(L, 1)
	d := argOptions(L, 2, "timeout").timeout()
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return giveError(L, &codedError{fmt.Sprintf("%q is not an IP address", text), codeInvalid})
	}
	addr = addr.Unmap().WithZone("")
	if !s.filter.reach.mayReverse(addr) {
		return giveError(L, s.filter.reach.denied("look up "+addr.String(), fmt.Sprintf("%q to dns", addr.String())))
	}
	var names []string
	f := s.fiberOf(L)
	err = f.within(d, func() error {
		a, err := s.resolver.ask(question{name: addr.String(), reverse: true})
		if err == nil {
			names = a.names
		}
		return err
	})
	if err != nil {
		return s.giveFailure(L, err)
	}
	list := L.CreateTable(len(names), 0)
	for _, name := range names {
		if name, err := cleanName(name); err == nil { // what came over the wire
			list.Append(lua.LString(name))
		}
	}
	return give(L, list)
}
