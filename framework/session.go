package framework

import (
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// Session is one client (IFWXSession): all connections from its address.
// It lasts as long as there is one. It is safe for use by all workers.
type Session struct {
	client netip.Addr
	fw     *Firewall

	members []membership // guarded by the table's lock

	attaching sync.Mutex // not mu: AttachToSession may call Get and Set
	filters   []*attachment

	mu     sync.Mutex
	values map[string]any
	bytes  int64 // that they take
	ended  bool  // and they are counted no longer
}

// membership is how many connections to a listener a session has.
type membership struct {
	listener    *listener
	connections int
}

// attachment is what a filter has to do with a session.
type attachment struct {
	owner  *filter
	filter SessionFilter
	mask   EventMask
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

// What filters may store in sessions.
const (
	maxSessionValues = 1024
	maxSessionBytes  = 1 << 20  // in one, with its keys
	maxSessionsBytes = 64 << 20 // in all
	// sessionEntryBytes is what a value takes beside its own bytes and those of its key.
	sessionEntryBytes = 64
)

// Set stores a value under a key; nil removes it. False means that the session, or all
// sessions together, would hold too much.
func (s *Session) Set(key string, value any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value)
}

// Incr adds to the number stored under a key and returns the sum. What is not
// a number counts as 0. False means what it does for Set.
func (s *Session) Incr(key string, by float64) (float64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, _ := s.values[key].(float64)
	return old + by, s.set(key, old+by)
}

func (s *Session) set(key string, value any) bool {
	old, replaces := s.values[key]
	more := -sessionEntrySize(key, old)
	if value == nil {
		delete(s.values, key)
		s.grow(more)
		return true
	}
	more += sessionEntrySize(key, value)
	if !replaces && len(s.values) >= maxSessionValues || more > 0 && s.bytes+more > maxSessionBytes || !s.grow(more) {
		return false
	}
	if s.values == nil {
		s.values = make(map[string]any)
	}
	s.values[key] = value
	return true
}

// sessionEntrySize is what a value takes under a key; 0 for none.
func sessionEntrySize(key string, value any) int64 {
	size := sessionEntryBytes + len(key)
	switch v := value.(type) {
	case nil:
		return 0
	case string:
		size += len(v)
	case []byte:
		size += len(v)
	}
	return int64(size)
}

// grow counts bytes more that the session takes, or less. It reports whether all sessions
// together have room for them.
func (s *Session) grow(more int64) bool {
	if !s.ended {
		if total := s.fw.sessions.bytes.Add(more); more > 0 && total > maxSessionsBytes {
			s.fw.sessions.bytes.Add(-more)
			return false
		}
	}
	s.bytes += more
	return true
}

// end counts the values of a session no longer that has no connections left. Who has kept
// the session may still use it.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fw.sessions.bytes.Add(-s.bytes)
	s.ended = true
}

// attach attaches a filter to the session, if this is the first event that it
// wants there.
func (s *Session) attach(f *filter, event EventMask) error {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if f.mask&event == 0 || event == ConnectionTerminating || s.find(f) != nil {
		return nil
	}
	mask := f.mask
	sf, err := f.AttachToSession(s, &mask)
	if err != nil {
		return err
	}
	s.filters = append(s.filters, &attachment{owner: f, filter: sf, mask: mask})
	return nil
}

// attachment returns what a filter has to do with the session.
func (s *Session) attachment(f *filter) attachment {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if a := s.find(f); a != nil {
		return *a
	}
	return attachment{}
}

// find returns the attachment of a filter, of whichever generation.
func (s *Session) find(f *filter) *attachment {
	for _, a := range s.filters {
		if a.owner.instance == f.instance {
			return a
		}
	}
	return nil
}

// detach tells the filters that have nothing to do with the session any more that
// it has ended for them.
func (s *Session) detach() {
	var gone []*attachment
	s.attaching.Lock()
	s.filters = slices.DeleteFunc(s.filters, func(a *attachment) bool {
		if s.fw.sessions.wants(s, a.owner.instance) {
			return false
		}
		gone = append(gone, a)
		return true
	})
	s.attaching.Unlock()
	for _, a := range gone {
		if d, ok := a.filter.(Detacher); ok {
			s.guard(a.owner, d.Detach)
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
	bytes    atomic.Int64 // that the values of all take
	mu       sync.Mutex
	sessions map[netip.Addr]*Session
}

// open returns the session of a client and counts a connection to a listener in it.
func (t *sessionTable) open(l *listener, client netip.Addr) *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[client]
	if s == nil {
		s = &Session{client: client, fw: l.fw}
		t.sessions[client] = s
	}
	if i := s.member(l); i >= 0 {
		s.members[i].connections++
	} else {
		s.members = append(s.members, membership{l, 1})
	}
	return s
}

// close counts a connection out. The last one to a listener ends the session for
// the filters that only its generation has, and the last one of all the session.
func (t *sessionTable) close(s *Session, l *listener) {
	if t.leave(s, l) {
		s.detach()
	}
}

// sweep ends the sessions for the filters that no generation with connections in them has
// any more, although their connections go on: a reload has carried over their listeners.
func (t *sessionTable) sweep() error {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.sessions))
	t.mu.Unlock()
	for _, s := range all {
		s.detach()
	}
	return nil
}

// leave counts a connection out and reports whether it was its listener's last.
func (t *sessionTable) leave(s *Session, l *listener) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := s.member(l)
	if s.members[i].connections--; s.members[i].connections > 0 {
		return false
	}
	s.members = slices.Delete(s.members, i, i+1)
	if len(s.members) == 0 {
		delete(t.sessions, s.client)
		s.end()
	}
	return true
}

// member returns the index of the membership of a listener, -1 if there is none.
func (s *Session) member(l *listener) int {
	return slices.IndexFunc(s.members, func(m membership) bool { return m.listener == l })
}

// wants reports whether a generation with connections in a session has a filter.
func (t *sessionTable) wants(s *Session, i *instance) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(s.members, func(m membership) bool { return m.listener.generation.Load().has(i) })
}
