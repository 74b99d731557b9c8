package admin

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
)

const (
	// maxConnections bounds the connections to the admin listener.
	maxConnections = 64
	// reserved is how many of them are for clients of this machine only.
	reserved = 16
)

// places is a listener that has so many connections at most. One for which there is no place
// is given that of the connection which has had no request for the longest: silent clients
// keep nobody out. While all carry out requests it is closed.
type places struct {
	net.Listener

	mu     sync.Mutex
	open   int
	remote int       // of them, from other machines
	idle   []*placed // have no request that is carried out, the one that has had none for the longest first
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	places *places
	remote bool
	once   sync.Once // gives the place back
}

// Accept returns the next connection that there is a place for.
func (l *places) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := &placed{Conn: c, places: l, remote: fromElsewhere(c.RemoteAddr())}
		if l.admit(p) {
			return p, nil
		}
		_ = c.Close() // it is open
	}
}

// fromElsewhere reports whether a client is on another machine.
func fromElsewhere(client net.Addr) bool {
	tcp, ok := client.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// admit gives a connection a place; false if there is none.
func (l *places) admit(p *placed) bool {
	for {
		l.mu.Lock()
		full, fullForRemote := l.open >= maxConnections, p.remote && l.remote >= maxConnections-reserved
		if !full && !fullForRemote {
			l.open++
			if p.remote {
				l.remote++
			}
			l.idle = append(l.idle, p)
			l.mu.Unlock()
			return true
		}
		i := slices.IndexFunc(l.idle, func(other *placed) bool { return other.remote || !fullForRemote })
		if i < 0 {
			l.mu.Unlock()
			return false
		}
		loser := l.idle[i]
		l.mu.Unlock()
		_ = loser.Close() // it is open
	}
}

// Close gives the place back.
func (p *placed) Close() error {
	p.once.Do(func() {
		l := p.places
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		if p.remote {
			l.remote--
		}
		l.rouse(p)
	})
	return p.Conn.Close()
}

// rouse takes a connection off the list of those without a request.
func (l *places) rouse(p *placed) {
	if i := slices.Index(l.idle, p); i >= 0 {
		l.idle = slices.Delete(l.idle, i, i+1)
	}
}

type placeKey struct{}

// remember lets handlers find the connection of a request.
func remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, placeKey{}, c)
}

// carryOut has a request carried out, during which its connection keeps its place.
func carryOut(next http.Handler, w http.ResponseWriter, r *http.Request) {
	p, _ := r.Context().Value(placeKey{}).(*placed)
	l := p.places
	l.mu.Lock()
	l.rouse(p)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.idle = append(l.idle, p)
	}()
	next.ServeHTTP(w, r)
}
