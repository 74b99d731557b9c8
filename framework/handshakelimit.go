package framework

// A worker does a limited number of handshakes with clients at a time; further ones wait for
// their turn. A handshake that waits for its client takes no CPU time: it lets the next one
// begin, and continues beside the others when the client has answered. If too many wait for
// their clients, the one that has waited longest is aborted: a client that means it answers at
// once.

const (
	// maxHandshakes bounds the handshakes that a worker does at a time. Each needs a
	// goroutine.
	maxHandshakes = 1024
	// maxWaitingHandshakes bounds the handshakes that wait for their clients.
	maxWaitingHandshakes = 4096
)

// handshakeLimiter limits the handshakes with clients of a worker.
type handshakeLimiter struct {
	making int
	queue  []*Connection // waiting for their turn, in order

	oldest, youngest *Connection // ends of the list of those that wait for their clients
	waiting          int
}

// handshakeTurn says how far a handshake has come.
type handshakeTurn uint8

const (
	handshakeNone   handshakeTurn = iota // it has not begun, or has ended
	handshakeQueued                      // it waits for its turn
	handshakeMaking                      // it is in progress
	handshakeWaits                       // it waits for the client, or has done so before
)

// enter reports whether a connection may begin its handshake. Otherwise the connection is
// queued.
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
		return // it has been counted as waiting before
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

// leave notes that a handshake has ended.
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

// next starts the handshakes whose turn has come.
func (h *handshakeLimiter) next() {
	for len(h.queue) > 0 {
		c := h.queue[0]
		h.queue[0] = nil // let the connection be collected: the array stays
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
