package framework

import (
	"crypto/rand"
	"slices"
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
