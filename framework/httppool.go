package framework

import (
	"bytes"
	"errors"
	"slices"
	"syscall"
	"time"

	"fwx/framework/wire/http1"
)

const (
	// defaultServerIdle is how long a connection to a server may be idle.
	defaultServerIdle = 30 * time.Second
	// defaultMaxIdle bounds the idle connections to a server, for each worker.
	defaultMaxIdle = 1024
	// hintMargin is how long before the time-out that a server announces the gateway closes
	// an idle connection: a request may take that long to arrive, and the server started its
	// clock earlier.
	hintMargin = time.Second
)

// idleServers are the idle connections to a server; the one used last comes last.
type idleServers struct{ list []*serverConn }

// takeIdle takes the idle connection to a server that was used last. It returns nil if there
// is none.
func (w *httpPool) takeIdle(key serverKey) *serverConn {
	idle := w.idle[key]
	if idle == nil {
		return nil
	}
	for n, s := range slices.Backward(idle.list) {
		w.remove(idle, n)
		if s.until > w.worker.Now() {
			s.reused = true
			return s
		}
		s.close()
	}
	return nil
}

// park keeps a connection idle for reuse, unless it has reached its age or its number of
// requests.
func (w *httpPool) park(s *serverConn) {
	u, idle := s.key.upstream, w.idle[s.key]
	used := u.config.MaxRequests > 0 && s.requests >= u.config.MaxRequests
	full := idle != nil && len(idle.list) >= u.config.MaxIdle
	if used || full || s.stay <= 0 || w.fw.idle.Load() >= w.fw.idleRoom() || u.retired.Load() {
		s.close()
		return
	}
	if idle == nil {
		idle = &idleServers{}
		w.idle[s.key] = idle
	}
	s.x, s.until = nil, w.worker.Now()+s.stay
	idle.list = append(idle.list, s)
	w.fw.idle.Add(1)
	if !w.sweeper.Armed() || s.until < w.sweepAt {
		w.sweepAt = s.until
		w.sweeper.Reset(s.stay)
	}
}

// forget removes a connection from the idle ones.
func (w *httpPool) forget(s *serverConn) {
	if idle := w.idle[s.key]; idle != nil {
		if i := slices.Index(idle.list, s); i >= 0 {
			w.remove(idle, i)
		}
	}
}

// remove removes connection i from the idle ones to its server.
func (w *httpPool) remove(idle *idleServers, i int) {
	idle.list = slices.Delete(idle.list, i, i+1)
	w.fw.idle.Add(-1)
}

// drop closes the idle connections for which so returns true.
func (w *httpPool) drop(so func(*serverConn) bool) {
	for key, idle := range w.idle {
		idle.list = slices.DeleteFunc(idle.list, func(s *serverConn) bool {
			if !so(s) {
				return false
			}
			w.fw.idle.Add(-1)
			s.close()
			return true
		})
		if len(idle.list) == 0 {
			delete(w.idle, key)
		}
	}
}

// sweep closes connections that have been idle for too long.
func (w *httpPool) sweep() {
	now, next := w.worker.Now(), time.Duration(0) // next is when the next connection expires; 0: none will
	w.drop(func(s *serverConn) bool {
		if s.until > now && (next == 0 || s.until < next) {
			next = s.until
		}
		return s.until <= now
	})
	if next > 0 {
		w.sweepAt = next
		w.sweeper.Reset(next - now)
	}
}

// idleRoom returns how many connections to servers may be idle. Two descriptors are reserved
// for each client: its own, and that of its server.
func (fw *Firewall) idleRoom() int64 { return fw.spare.Load() - 2*fw.open.Load() }

// crowded reports whether more connections are idle than idleRoom allows.
func (fw *Firewall) crowded() bool { return fw.idle.Load() > fw.idleRoom() }

// shed makes the workers close idle connections to servers until there is room for the
// clients.
func (fw *Firewall) shed() {
	if fw.shedding.Swap(true) {
		return
	}
	for i, w := range fw.port.Workers() {
		_ = w.Post(func() { // an error means that the service has ended
			fw.shedding.Store(false)
			if h := fw.live[i].http; h != nil {
				h.drop(func(*serverConn) bool { return fw.crowded() })
			}
		})
	}
}

const (
	// descriptorPause is how long an exchange waits for a descriptor before it tries again to
	// connect, and maxDescriptorPauses how often it does.
	descriptorPause     = 10 * time.Millisecond
	maxDescriptorPauses = 50
)

// awaitDescriptor tries again a little later if the process had no descriptor left to connect
// to a server with: idle connections to servers are closed to make room, and so are those that
// other workers are asked to close. It returns false if the error is another one, or this has
// not helped for too long.
func (x *Exchange) awaitDescriptor(err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) || x.pauses >= maxDescriptorPauses {
		return false
	}
	x.pauses++
	x.pausing = true
	h, serial, pause := x.h, x.serial, x.pauses
	h.w.drop(func(*serverConn) bool { return true })
	h.w.fw.shed()
	h.await(waitConnect)
	h.w.worker.AfterFunc(descriptorPause, func() {
		if x.serial == serial && x.pauses == pause && x.pausing && !x.done {
			defer x.recoverPanic()
			x.pausing = false
			x.connect()
			h.proceed()
		}
	})
	return true
}

// heedKeepAlive notes how long the server says it keeps an idle connection.
func (s *serverConn) heedKeepAlive(p *http1.Response) {
	if hint, ok := keepAliveTimeout(p.Get("keep-alive")); ok {
		s.stay = min(s.stay, hint-min(hint/2, hintMargin))
	}
}

// keepAliveTimeout returns the timeout of a Keep-Alive field such as "timeout=5, max=100".
func keepAliveTimeout(field []byte) (timeout time.Duration, ok bool) {
	for parameter := range bytes.SplitSeq(field, []byte(",")) {
		name, value, _ := bytes.Cut(parameter, []byte("="))
		if !http1.EqualFold(bytes.TrimSpace(name), "timeout") {
			continue
		}
		seconds := 0
		value = bytes.TrimSpace(value)
		for _, b := range value {
			if b < '0' || b > '9' || seconds > maxHint {
				return 0, false
			}
			seconds = 10*seconds + int(b-'0')
		}
		return time.Duration(seconds) * time.Second, len(value) > 0
	}
	return 0, false
}

// maxHint bounds the announced time-out, in seconds; a larger one is ignored.
const maxHint = 1 << 20
