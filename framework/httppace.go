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

// intake is the pace at which a client reads what is sent to it. The kernel buffers a part of
// that, so a send can end although the client reads nothing. While a send takes long, only
// what the client has acknowledged counts.
type intake struct {
	pace
	nextCheck    time.Duration // of the send in progress
	asked        bool          // whether acknowledged has been asked for during this send
	acknowledged uint64        // bytes, when the kernel was asked last
}

// checksPerTimeout is how often within send_timeout a send in progress is checked.
const checksPerTimeout = 4

// beginIntake is called when a send begins.
func (h *clientConn) beginIntake() {
	now := h.w.worker.Now()
	h.down.begin(now, h.config.SendTimeout)
	h.down.asked = false
	h.armCheck(now)
}

// endIntake is called when a send has ended.
func (h *clientConn) endIntake() {
	bytes := h.offered
	if h.down.asked {
		bytes, _ = h.newlyAcknowledged()
	}
	h.down.spend(h.w.worker.Now())
	h.down.earn(bytes, h.config.SendRate)
}

// checkIntake checks the send in progress. It reports false if the client has read too little
// for too long.
func (h *clientConn) checkIntake() bool {
	now := h.w.worker.Now()
	if h.c.flows[Downstream].state != flowSending { // a filter holds the data, not the client
		h.down.since, h.down.left, h.down.asked = now, h.config.SendTimeout, false
		h.armCheck(now)
		return true
	}
	bytes, known := h.newlyAcknowledged()
	h.down.spend(now)
	h.down.earn(bytes, h.config.SendRate)
	if known {
		h.down.begin(now, h.config.SendTimeout)
	}
	h.armCheck(now)
	return h.down.left > 0
}

// armCheck sets the time of the next check.
func (h *clientConn) armCheck(now time.Duration) {
	h.down.nextCheck = now + min(h.down.left, h.config.SendTimeout/checksPerTimeout)
	h.arm(h.down.nextCheck)
}

// newlyAcknowledged returns how many bytes the client has acknowledged since the last call for
// this send; the first call only sets the mark. If the kernel does not tell, known is false and
// the first call returns all bytes of the send, so that the client gets the time for them.
func (h *clientConn) newlyAcknowledged() (bytes int, known bool) {
	total, known := h.c.internal.Acknowledged()
	first, before := !h.down.asked, h.down.acknowledged
	h.down.asked, h.down.acknowledged = true, total
	switch {
	case known && !first:
		bytes = int(total - before)
	case !known && first:
		bytes = h.offered
	}
	return bytes, known
}
