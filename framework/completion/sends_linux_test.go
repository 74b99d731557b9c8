package completion

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSendsAreShared sees that what a handler sends does not gather until the end of the
// turn, where the system would move all of it at once and nobody could look at the clock.
func TestSendsAreShared(t *testing.T) {
	const (
		sockets = 64
		size    = 64 << 10
		most    = 1 << 20 // left for the end of the turn
	)
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			w := openWorker(t, backend)
			data := make([]byte, size)
			var all []*Socket
			var peers []int
			moved := 0
			callWorker(t, w, func() {
				for range sockets {
					pair, err := selfTestPair()
					if err != nil {
						t.Error(err)
						return
					}
					peers = append(peers, pair[1])
					s, err := w.Attach(Accepted{fd: pair[0]})
					if err != nil {
						t.Error(err)
						return
					}
					all = append(all, s)
					o := w.CreateOverlapped()
					if err := o.SetNotificationInterface(ignored{}, nil); err != nil {
						t.Error(err)
					}
					if err := s.Send(o, data); err != nil {
						t.Error(err)
					}
				}
				for _, peer := range peers {
					n, err := unix.IoctlGetInt(peer, unix.TIOCINQ)
					if err != nil {
						t.Error(err)
					}
					moved += n
				}
			})
			callWorker(t, w, func() {
				for _, s := range all {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			})
			for _, peer := range peers {
				closeFD(peer)
			}
			if left := sockets*size - moved; left > most {
				t.Errorf("%d bytes are left for the end of the turn", left)
			}
		})
	}
}

// TestSystemKeepsLittle sees that the system takes little of what is sent to a peer that reads
// nothing, whatever it would take by itself.
func TestSystemKeepsLittle(t *testing.T) {
	const most = maxUnsent + 128<<10 // and what the peer's own buffer and a segment have
	fd, bound, err := listen(Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(fd)
	peer, err := newSocket(bound)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(peer)
	if err := unix.SetsockoptInt(peer, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(peer, toSockaddr(bound)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		t.Fatal(err)
	}
	accepted, _, err := acceptSocket(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(accepted)
	taken, data := 0, make([]byte, 64<<10)
	for taken <= most {
		n, errno := rawSend(accepted, data)
		if errno != 0 {
			break
		}
		taken += n
	}
	if taken > most {
		t.Errorf("it has taken more than %d bytes", most)
	}
}
