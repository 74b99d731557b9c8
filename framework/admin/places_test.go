package admin

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// client is an accepted connection from an address.
type client struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (c *client) RemoteAddr() net.Addr { return c.from }
func (c *client) Close() error         { c.closed = true; return nil }

// accepted is a listener that has accepted clients already.
type accepted struct {
	net.Listener
	clients []*client
}

func (l *accepted) Accept() (net.Conn, error) {
	if len(l.clients) == 0 {
		return nil, net.ErrClosed
	}
	c := l.clients[0]
	l.clients = l.clients[1:]
	return c, nil
}

// TestPlaces sees who gets the places: n clients of each step come one after the other.
func TestPlaces(t *testing.T) {
	local, unix := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UnixAddr{Name: "@"}
	remote := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}
	type step struct {
		from  net.Addr
		n     int
		asks  bool // each has a request that is carried out from then on
		taken int  // that have a place behind the step
	}
	for _, tt := range []struct {
		name  string
		steps []step
		left  []int // of each step, at the end
	}{
		{"silent remote ones", []step{{remote, 100, false, 48}, {remote, 10, true, 10}, {local, 20, false, 20}}, []int{34, 10, 20}},
		{"busy remote ones", []step{{remote, 60, true, 48}, {remote, 1, false, 0}, {local, 16, true, 16}, {local, 1, true, 0}}, []int{48, 0, 16, 0}},
		{"silent local ones", []step{{local, 100, false, 64}, {local, 1, true, 1}, {unix, 1, true, 1}, {remote, 1, false, 1}}, []int{61, 1, 1, 1}},
		{"busy local ones", []step{{local, 64, true, 64}, {remote, 1, false, 0}, {unix, 1, false, 0}}, []int{64, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			came := make([][]*client, len(tt.steps))
			l := &places{}
			open := func(i int) (n int) {
				for _, c := range came[i] {
					if !c.closed {
						n++
					}
				}
				return n
			}
			for i, s := range tt.steps {
				for range s.n {
					c := &client{from: s.from}
					came[i] = append(came[i], c)
					l.Listener = &accepted{clients: []*client{c}}
					conn, err := l.Accept()
					if err != nil || !s.asks {
						continue
					}
					// A handler that goes on: it never gets to the end of the request.
					l.mu.Lock()
					l.rouse(conn.(*placed))
					l.mu.Unlock()
				}
				if n := open(i); n != s.taken {
					t.Errorf("step %d: %d of %d have a place, not %d", i, n, s.n, s.taken)
				}
			}
			for i, want := range tt.left {
				if n := open(i); n != want {
					t.Errorf("of step %d there are %d left, not %d", i, n, want)
				}
			}
		})
	}
}

// TestCarryOut sees that a connection keeps its place while its request is carried out.
func TestCarryOut(t *testing.T) {
	l := &places{Listener: &accepted{clients: []*client{{from: &net.UnixAddr{}}}}}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	idle := func() bool { return slices.Contains(l.idle, c.(*placed)) }
	if !idle() {
		t.Error("it has a request before it has sent one")
	}
	called := false
	r := httptest.NewRequestWithContext(remember(t.Context(), c), http.MethodGet, "/", nil)
	carryOut(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = !idle() }), httptest.NewRecorder(), r)
	if !called || !idle() {
		t.Errorf("called %v, idle after it %v", called, idle())
	}
	if err := c.Close(); err != nil || l.open != 0 || len(l.idle) != 0 {
		t.Error(err, l.open, len(l.idle))
	}
}
