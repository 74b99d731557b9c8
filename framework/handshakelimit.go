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

// handshakeLimiter is the handshakes with clients of a worker.
type handshakeLimiter struct {
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
func (h *handshakeLimiter) enter(c *Connection) bool {
	if h.making >= maxHandshakes {
		c.handshake.turn = handshakeQueued
		h.queue = append(h.queue, c)
		return false
	}
	c.handshake.turn = handshakeMaking
	h.making++
	return true
}

// wait notes that a handshake waits for its client, and lets the next one begin.
func (h *handshakeLimiter) wait(c *Connection) {
	if c.handshake.turn != handshakeMaking {
		return // it has waited before
	}
	c.handshake.turn = handshakeWaits
	h.append(c)
	h.making--
	h.next()
	if h.waiting > maxWaitingHandshakes {
		oldest := h.oldest
		h.remove(oldest)
		oldest.handshake.turn = handshakeNone
		oldest.handshake.stream.Abort(errCrowded)
	}
}

// leave is the end of a handshake.
func (h *handshakeLimiter) leave(c *Connection) {
	turn := c.handshake.turn
	c.handshake.turn = handshakeNone
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
func (h *handshakeLimiter) next() {
	for len(h.queue) > 0 {
		c := h.queue[0]
		h.queue[0] = nil // the array lives on
		h.queue = h.queue[1:]
		if !c.Ended() {
			c.startHandshake()
			return
		}
	}
}

func (h *handshakeLimiter) append(c *Connection) {
	c.handshake.older = h.youngest
	if h.youngest == nil {
		h.oldest = c
	} else {
		h.youngest.handshake.younger = c
	}
	h.youngest = c
	h.waiting++
}

func (h *handshakeLimiter) remove(c *Connection) {
	g := c.handshake
	if g.older == nil {
		h.oldest = g.younger
	} else {
		g.older.handshake.younger = g.younger
	}
	if g.younger == nil {
		h.youngest = g.older
	} else {
		g.younger.handshake.older = g.older
	}
	g.older, g.younger = nil, nil
	h.waiting--
}
