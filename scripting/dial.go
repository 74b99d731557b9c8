package scripting

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"fwx/framework/completion"
)

const (
	// maxSockets bounds the sockets of a script on one worker.
	maxSockets = 4096
	// maxConnSockets bounds those that the handlers of one connection have.
	maxConnSockets = 64
)

// dial connects to a target within a time, on a fiber. With options of TLS it
// shakes hands too.
func (s *state) dial(t target, secured *tlsOptions, d time.Duration, protocols ...string) (conn transport, err error) {
	if s.filter.trial {
		s.doubt = true
		return nil, errTrial
	}
	if s.sockets >= maxSockets && !s.clients.dropIdle() {
		return nil, &codedError{fmt.Sprintf("connect to %s: the filter has %d sockets on this worker already", t, maxSockets), codeFull}
	}
	s.sockets++
	began := s.worker.Now()
	err = s.running.within(d, func() error {
		st, err := s.connect(t, func() time.Duration { return d - (s.worker.Now() - began) })
		if err != nil {
			s.sockets--
			return err
		}
		if conn = st; secured == nil {
			return nil
		}
		conn, err = s.secure(st, t, *secured, protocols)
		if err != nil {
			st.close()
		}
		return err
	})
	if err != nil {
		return nil, explainDial(t, err)
	}
	return conn, nil
}

func explainDial(t target, err error) error {
	if coded, ok := errors.AsType[*codedError](err); ok && coded.code == codeDenied {
		return err
	}
	return fmt.Errorf("connect to %s: %w", t, err)
}

func (s *state) secure(st *stream, t target, o tlsOptions, protocols []string) (transport, error) {
	host := t.name
	if host == "" {
		host = t.addr.String()
	}
	config, err := s.configFor(o, host, protocols...)
	if err != nil {
		return nil, err
	}
	return newSecure(st, config)
}

// connect connects to one of the addresses of a target: each in turn gets its share
// of the time that is left.
func (s *state) connect(t target, left func() time.Duration) (*stream, error) {
	addresses, err := s.addresses(t)
	if err != nil {
		return nil, err
	}
	for i, address := range addresses {
		var st *stream
		share := left() / time.Duration(len(addresses)-i)
		err = s.running.within(max(share, time.Millisecond), func() (err error) {
			st, err = s.connectTo(address)
			return err
		})
		if err == nil {
			return st, nil
		}
		if interrupted := s.running.interrupted(); interrupted != nil {
			return nil, interrupted
		}
	}
	return nil, err
}

func (s *state) connectTo(address completion.Address) (*stream, error) {
	_, value, err := s.running.perform(func(o *completion.Overlapped) error { return s.worker.Connect(o, address) })
	if err != nil {
		return nil, err
	}
	socket, _ := value.(*completion.Socket)
	return newStream(s, socket)
}

// addresses returns where a target is, as far as the script may connect there. What
// a name leads to is checked each time: an answer of the DNS gives no permission.
func (s *state) addresses(t target) ([]completion.Address, error) {
	r := s.filter.reach
	switch {
	case t.host == "":
		path, err := s.running.block(func() (any, error) { return r.admitSocket(t.path) })
		if err != nil {
			return nil, err
		}
		text, _ := path.(string)
		return []completion.Address{{Path: text}}, nil
	case t.name == "":
		if !r.admits(netip.AddrPortFrom(t.addr, t.port), false) {
			return nil, r.deniedTarget(t.String())
		}
		return []completion.Address{t.address(t.addr)}, nil
	}
	named := r.named(t.name, t.port)
	if !named && !r.mayLookUp(t.name) {
		return nil, r.deniedTarget(t.String())
	}
	found, err := s.resolver.ask(question{name: t.name})
	if err != nil {
		return nil, err
	}
	var list []completion.Address
	for _, a := range found.addrs {
		if r.admits(netip.AddrPortFrom(a, t.port), named) {
			list = append(list, t.address(a))
		}
	}
	if len(list) == 0 {
		return nil, s.deniedAddresses(t, named, found.addrs)
	}
	return list[:min(len(list), maxAttempts)], nil
}

// maxAttempts bounds the addresses of a name that are tried.
const maxAttempts = 8

// deniedAddresses reports a name that leads nowhere the script may go.
func (s *state) deniedAddresses(t target, named bool, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return explainLookup(t.name, errNoAddress)
	}
	at := netip.AddrPortFrom(addrs[0], t.port).String()
	what := fmt.Sprintf("connect to %s, which is at %s", t, addrs[0])
	if named {
		what += ", no public address"
	}
	return s.filter.reach.denied(what, fmt.Sprintf("%q to connect", at))
}

var errNoAddress = errors.New("no address")
