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

// Session is one client (IFWXSession): all connections from its address. It exists as long as
// there is one. It is safe for use by all workers.
type Session struct {
	client netip.Addr
	fw     *Firewall

	members []membership // guarded by the table's lock

	attaching sync.Mutex // separate from mu, because AttachToSession may call Get and Set
	filters   []*attachment

	mu     sync.Mutex
	values map[string]any
	bytes  int64 // size of the values
	ended  bool  // the values are no longer counted
}

// membership is the number of connections that a session has to a listener.
type membership struct {
	listener    *listener
	connections int
}

// attachment is a filter's object for a session.
type attachment struct {
	owner  *filter
	filter SessionFilter
	mask   EventMask
}

// ClientAddress returns the client's address. The zero Addr stands for all clients on unix
// sockets.
func (s *Session) ClientAddress() netip.Addr { return s.client }

// Get returns the value stored under a key, nil if there is none.
func (s *Session) Get(key string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// Bounds of what filters may store in sessions.
const (
	maxSessionValues = 1024
	maxSessionBytes  = 1 << 20  // in one session, including the keys
	maxSessionsBytes = 64 << 20 // in all sessions
	// sessionEntryBytes is the memory counted for an entry, in addition to its key and value.
	sessionEntryBytes = 64
)

// Set stores a value under a key; nil removes it. It returns false if the session, or all
// sessions together, would hold too much.
func (s *Session) Set(key string, value any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(key, value)
}

// Incr adds to the number stored under a key and returns the sum. A value that is not a number
// counts as 0. Like Set, it returns false if there is no room.
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

// sessionEntrySize is the memory counted for a value under a key; 0 for nil.
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

// grow adds to the memory counted for the session. It reports whether all sessions together
// have room for that.
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

// end stops counting the values of a session that has no connections left. A filter that has
// kept the session may still use it.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fw.sessions.bytes.Add(-s.bytes)
	s.ended = true
}

// attach attaches a filter to the session, if this is the first event that the filter wants
// there.
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

// attachment returns a filter's attachment to the session.
func (s *Session) attachment(f *filter) attachment {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	if a := s.find(f); a != nil {
		return *a
	}
	return attachment{}
}

// find returns the attachment of a filter of any generation.
func (s *Session) find(f *filter) *attachment {
	for _, a := range s.filters {
		if a.owner.instance == f.instance {
			return a
		}
	}
	return nil
}

// detach tells the filters that no longer see the session that it has ended for them.
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

// guard calls a filter. A panic in it is logged and goes no further.
func (s *Session) guard(f *filter, call func()) {
	defer func() {
		if r := recover(); r != nil {
			s.fw.logger.Error("a filter panicked", "filter", f.config.Name, "session", s.client.String(),
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	call()
}

// sessionTable holds the sessions by client.
type sessionTable struct {
	bytes    atomic.Int64 // size of the values of all sessions
	mu       sync.Mutex
	sessions map[netip.Addr]*Session
}

// open returns the session of a client, and counts a connection to a listener in it.
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

// close removes a connection from its session. With the last connection to a listener the
// session ends for the filters that only that listener's generation has; with the last
// connection of all, the session ends.
func (t *sessionTable) close(s *Session, l *listener) {
	if t.leave(s, l) {
		s.detach()
	}
}

// sweep ends the sessions for filters that no generation with connections in them uses any
// longer, although the connections continue: a reload has carried over their listeners.
func (t *sessionTable) sweep() error {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.sessions))
	t.mu.Unlock()
	for _, s := range all {
		s.detach()
	}
	return nil
}

// leave removes a connection from its session, and reports whether it was its listener's last.
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

// member returns the index of the membership of a listener; -1 if there is none.
func (s *Session) member(l *listener) int {
	return slices.IndexFunc(s.members, func(m membership) bool { return m.listener == l })
}

// wants reports whether a generation with connections in a session has a filter.
func (t *sessionTable) wants(s *Session, i *instance) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(s.members, func(m membership) bool { return m.listener.generation.Load().has(i) })
}
