package framework

import "time"

// pace bounds how slowly a client may send a body, or take what is sent to it: it has a
// time to keep the gateway waiting, and gets a second more for each so many bytes.
type pace struct {
	left  time.Duration
	since time.Duration // it has been the client's turn, on the worker's clock
}

// begin is for a moment from which it is the client's turn: of what is left it keeps no
// more than a limit.
func (p *pace) begin(now, limit time.Duration) { p.since, p.left = now, min(p.left, limit) }

// spend charges the client with the time since its turn began.
func (p *pace) spend(now time.Duration) { p.left, p.since = p.left-(now-p.since), now }

// earn gives it time for bytes, at so many a second.
func (p *pace) earn(bytes, rate int) {
	p.left += time.Duration(bytes) * time.Second / time.Duration(rate)
}

// due returns when no time is left.
func (p *pace) due() time.Duration { return p.since + p.left }
