package framework

// The handshakes with clients that a worker makes take turns: so many are made at a time,
// and further ones wait. One that waits for its client makes nothing: it lets the next one
// begin, and goes on beside the others when the client has answered. When too many wait
// for their clients, the one that has done so for longest ends for a new one: clients
// that mean it answer at once.

const (
	// maxHandshakes bounds the handshakes that a worker makes at a time; each takes a
	// goroutine.
	maxHandshakes = 1024
	// maxWaitingHandshakes bounds those that wait for their clients.
	maxWaitingHandshakes = 4096
)

// handshakes is the handshakes with clients of a worker.
type handshakes struct {
	making int
	queue  []*Connection // for their turn

	oldest, youngest *Connection // those that wait for their clients
	waiting          int
}

// handshakeTurn is how far a handshake has come.
type handshakeTurn uint8

const (
	handshakeNone   handshakeTurn = iota // it has not begun, or is over
	handshakeQueued                      // it waits for its turn
	handshakeMaking                      // it is made
	handshakeWaits                       // it waits for the client, or has done so
)

// enter reports whether a connection may begin its handshake; else it waits.
func (h *handshakes) enter(c *Connection) bool {
	if h.making >= maxHandshakes {
		c.greeting.turn = handshakeQueued
		h.queue = append(h.queue, c)
		return false
	}
	c.greeting.turn = handshakeMaking
	h.making++
	return true
}

// wait notes that a handshake waits for its client, and lets the next one begin.
func (h *handshakes) wait(c *Connection) {
	if c.greeting.turn != handshakeMaking {
		return // it has waited before
	}
	c.greeting.turn = handshakeWaits
	h.append(c)
	h.making--
	h.next()
	if h.waiting > maxWaitingHandshakes {
		oldest := h.oldest
		h.remove(oldest)
		oldest.greeting.turn = handshakeNone
		oldest.greeting.stream.Abort(errCrowded)
	}
}

// leave is the end of a handshake.
func (h *handshakes) leave(c *Connection) {
	turn := c.greeting.turn
	c.greeting.turn = handshakeNone
	switch turn {
	case handshakeWaits:
		h.remove(c)
	case handshakeMaking:
		h.making--
		h.next()
	case handshakeNone, handshakeQueued:
	}
}

// next lets the next one begin.
func (h *handshakes) next() {
	for len(h.queue) > 0 {
		c := h.queue[0]
		h.queue[0] = nil // the array lives on
		h.queue = h.queue[1:]
		if !c.Ended() {
			c.shake()
			return
		}
	}
}

func (h *handshakes) append(c *Connection) {
	c.greeting.older = h.youngest
	if h.youngest == nil {
		h.oldest = c
	} else {
		h.youngest.greeting.younger = c
	}
	h.youngest = c
	h.waiting++
}

func (h *handshakes) remove(c *Connection) {
	g := c.greeting
	if g.older == nil {
		h.oldest = g.younger
	} else {
		g.older.greeting.younger = g.younger
	}
	if g.younger == nil {
		h.youngest = g.older
	} else {
		g.younger.greeting.older = g.older
	}
	g.older, g.younger = nil, nil
	h.waiting--
}
