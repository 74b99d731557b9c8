package framework

import "time"

// pace bounds how slowly a client may send a body, or read what is sent to it. The client may
// keep the gateway waiting for a certain time, and earns a second for each so many bytes.
type pace struct {
	left  time.Duration
	since time.Duration // start of the client's turn, on the worker's clock
}

// begin starts the client's turn. Of the time that is left the client keeps at most limit.
func (p *pace) begin(now, limit time.Duration) { p.since, p.left = now, min(p.left, limit) }

// spend charges the client for the time since its turn began.
func (p *pace) spend(now time.Duration) { p.left, p.since = p.left-(now-p.since), now }

// earn adds time for bytes, at a rate in bytes per second.
func (p *pace) earn(bytes, rate int) {
	p.left += time.Duration(bytes) * time.Second / time.Duration(rate)
}

// due returns when the client runs out of time.
func (p *pace) due() time.Duration { return p.since + p.left }
