//go:build unix

package completion

import (
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller is the backend for every Unix, on poll(2). The system is told before
// each wait which descriptors somebody waits for, so a wait costs the more the
// more there are; where there is something better, that is taken.
type poller struct {
	attempts
	hooked  []*descriptor // at readiness.slot
	set     []unix.PollFd // what is waited for: the bell, and then
	waiting []*descriptor // these
	next    int           // of the set to be dealt with
	bell    [2]int        // a pipe; a byte in it ends a wait
}

const (
	// An error or the end of a connection makes an attempt worth while too.
	pollEnded    = unix.POLLHUP | unix.POLLERR | unix.POLLNVAL
	pollReadable = unix.POLLIN | pollEnded
	pollWritable = unix.POLLOUT | pollEnded
)

func openPoller(w *Worker) (backend, error) {
	p := &poller{attempts: attempts{worker: w, attempt: attempt}}
	if err := openPipe(&p.bell); err != nil {
		return nil, err
	}
	return p, nil
}

// openPipe opens a pipe in non-blocking mode.
func openPipe(fds *[2]int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return os.NewSyscallError("pipe", err)
	}
	claim(fds[0])
	claim(fds[1])
	return nil
}

func (p *poller) hook(d *descriptor) error {
	if d.file {
		return nil
	}
	r := &d.readiness
	r.polled, r.slot = true, uint32(len(p.hooked))
	r.writable = true // most often; an attempt will tell
	p.hooked = append(p.hooked, d)
	return nil
}

func (p *poller) forget(d *descriptor) bool {
	r := &d.readiness
	if !r.polled {
		return true
	}
	r.polled = false
	n := len(p.hooked) - 1
	last := p.hooked[n]
	p.hooked[r.slot], last.readiness.slot = last, r.slot
	p.hooked[n] = nil
	p.hooked = p.hooked[:n]
	return true
}

// gather notes which descriptors somebody waits for, and what for.
func (p *poller) gather() {
	p.set = append(p.set[:0], unix.PollFd{Fd: int32(p.bell[0]), Events: unix.POLLIN})
	clear(p.waiting)
	p.waiting = p.waiting[:0]
	for _, d := range p.hooked {
		var events int16
		if !d.readiness.reads.empty() {
			events |= unix.POLLIN
		}
		if !d.readiness.writes.empty() {
			events |= unix.POLLOUT
		}
		if events != 0 {
			p.set = append(p.set, unix.PollFd{Fd: int32(d.fd), Events: events})
			p.waiting = append(p.waiting, d)
		}
	}
}

func (p *poller) wait(patience time.Duration) {
	if p.next < len(p.set) { // the turn before had no time for them
		return
	}
	p.gather()
	w := p.worker
	w.sleeping.Store(true)
	defer w.sleeping.Store(false)
	if w.hasRemote() {
		patience = 0
	}
	if _, err := unix.Poll(p.set, milliseconds(patience)); err != nil {
		p.set = p.set[:0] // interrupted, as a rule; the next turn looks again
	}
}

// milliseconds returns how long poll is to wait; -1 is for ever.
func milliseconds(patience time.Duration) int {
	if patience < 0 {
		return -1
	}
	return int(min((patience+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

func (p *poller) reap() {
	// A handler that blocks has the rest dealt with from within.
	turn := p.worker.shareFromTick()
	for p.next < len(p.set) {
		if turn.over(p.worker) {
			return
		}
		i := p.next
		p.next++
		switch events := p.set[i].Revents; {
		case events == 0:
		case i == 0:
			p.silence()
		default:
			p.dispatch(p.waiting[i-1], events)
		}
	}
	p.next, p.set = 0, p.set[:0]
}

func (p *poller) dispatch(d *descriptor, events int16) {
	p.became(d, events&pollReadable != 0, events&pollWritable != 0)
	if events&unix.POLLNVAL != 0 { // some systems cannot poll every device
		p.refuse(&d.readiness.reads)
		p.refuse(&d.readiness.writes)
	}
}

// refuse ends what would wait in vain.
func (p *poller) refuse(q *opQueue) {
	for o := q.pop(); o != nil; o = q.pop() {
		p.worker.end(o, o.sent(), unix.EOPNOTSUPP)
	}
}

// wake fails only when the pipe is full, and then a wake-up is due anyway.
func (p *poller) wake() { _, _ = unix.Write(p.bell[1], []byte{0}) }

// silence empties the bell.
func (p *poller) silence() {
	var buf [64]byte
	for {
		if n, err := unix.Read(p.bell[0], buf[:]); err != nil || n < len(buf) {
			return
		}
	}
}

func (p *poller) close() {
	closeFD(p.bell[0])
	closeFD(p.bell[1])
}
