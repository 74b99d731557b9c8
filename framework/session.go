package framework

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
)

// Session is one client (IFWXSession): all connections from its address.
// It lasts as long as there is one. It is safe for use by all workers.
type Session struct {
	client netip.Addr
	fw     *Firewall

	connections int // guarded by the table's lock

	attaching sync.Mutex   // not mu: AttachToSession may call Get and Set
	filters   []attachment // by the number of the filter

	mu     sync.Mutex
	values map[string]any
}

// attachment is what a filter has to do with a session.
type attachment struct {
	attached bool
	filter   SessionFilter
	mask     EventMask
}

// ClientAddress returns the client's address; the zero Addr stands for all
// clients on unix sockets.
func (s *Session) ClientAddress() netip.Addr { return s.client }

// Get returns the value stored under a key, nil if there is none.
func (s *Session) Get(key string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// maxSessionValues bounds what filters may store in one session.
const maxSessionValues = 1024

// Set stores a value under a key; nil removes it. False means that the session
// holds too many values already.
func (s *Session) Set(key string, value any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value)
}

// Incr adds to the number stored under a key and returns the sum. What is not
// a number counts as 0. False means that the session holds too many values.
func (s *Session) Incr(key string, by float64) (float64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, _ := s.values[key].(float64)
	return old + by, s.set(key, old+by)
}

func (s *Session) set(key string, value any) bool {
	if value == nil {
		delete(s.values, key)
		return true
	}
	if _, ok := s.values[key]; !ok && len(s.values) >= maxSessionValues {
		return false
	}
	if s.values == nil {
		s.values = make(map[string]any)
	}
	s.values[key] = value
	return true
}

// attach attaches a filter to the session, if this is the first event that it
// wants there.
func (s *Session) attach(f *filter, event EventMask) error {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	a := &s.filters[f.number]
	if a.attached || f.mask&event == 0 || event == ConnectionTerminating {
		return nil
	}
	mask := f.mask
	sf, err := f.instance.AttachToSession(s, &mask)
	if err != nil {
		return err
	}
	*a = attachment{attached: true, filter: sf, mask: mask}
	return nil
}

// attachment returns what a filter has to do with the session.
func (s *Session) attachment(f *filter) attachment {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	return s.filters[f.number]
}

// detach tells every filter of the session that it has ended.
func (s *Session) detach() {
	for i := range s.filters {
		if d, ok := s.filters[i].filter.(Detacher); ok {
			s.guard(s.fw.filters[i], d.Detach)
		}
	}
}

// guard calls a filter; a panic in it is logged and ends there.
func (s *Session) guard(f *filter, call func()) {
	defer func() {
		if r := recover(); r != nil {
			s.fw.logger.Error("a filter panicked", "filter", f.config.Name, "session", s.client.String(),
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	call()
}

// sessionTable is the sessions there are, by client.
type sessionTable struct {
	mu       sync.Mutex
	sessions map[netip.Addr]*Session
}

// open returns the session of a client and counts a connection in it.
func (t *sessionTable) open(fw *Firewall, client netip.Addr) *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[client]
	if s == nil {
		s = &Session{client: client, fw: fw, filters: make([]attachment, len(fw.filters))}
		t.sessions[client] = s
	}
	s.connections++
	return s
}

// close counts a connection out; the last one ends the session.
func (t *sessionTable) close(s *Session) {
	t.mu.Lock()
	s.connections--
	last := s.connections == 0
	if last {
		delete(t.sessions, s.client)
	}
	t.mu.Unlock()
	if last {
		s.detach()
	}
}
