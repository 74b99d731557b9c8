package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"time"
)

// tickets is the keys of the session tickets of a listener, which all workers share and
// a reload carries over. The newest makes tickets; the older ones are for those that
// were made before, whose sessions are then resumed for a day at the least.
type tickets struct {
	mu   sync.Mutex
	keys [][32]byte
	made uint64    // how many keys have been
	due  time.Time // when the next key is made
}

const (
	ticketKeyLife = 12 * time.Hour
	ticketKeys    = 3
)

// current returns the keys; when it is time, with a new one. It returns how many have been
// made, which tells whether they are other keys than before.
func (t *tickets) current(now time.Time) (keys [][32]byte, made uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.After(t.due) {
		var key [32]byte
		_, _ = rand.Read(key[:]) // it never fails
		t.keys = slices.Insert(slices.Clip(t.keys[:min(len(t.keys), ticketKeys-1)]), 0, key)
		t.due = now.Add(ticketKeyLife)
		t.made++
	}
	return t.keys, t.made
}

// expire makes it time for the next key.
func (t *tickets) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due = time.Time{}
}

// ticketName marks the name of the server in the sessions of a listener.
var ticketName = []byte("fwx server name ")

// bindTickets has sessions resumed under the name of the server only that they began with: who
// decides by the name, which a filter, a route or the choice of the certificate does, has
// decided for that one. RFC 6066 (section 3) forbids another.
func bindTickets(server *tls.Config) {
	server.WrapSession = func(now tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, append(slices.Clone(ticketName), strings.ToLower(now.ServerName)...))
		return server.EncryptTicket(now, session)
	}
	server.UnwrapSession = func(ticket []byte, now tls.ConnectionState) (*tls.SessionState, error) {
		session, err := server.DecryptTicket(ticket, now)
		if err != nil || session == nil {
			return nil, err
		}
		for _, extra := range session.Extra {
			if name, ok := bytes.CutPrefix(extra, ticketName); ok && strings.EqualFold(string(name), now.ServerName) {
				return session, nil
			}
		}
		return nil, nil // a full handshake follows
	}
}
