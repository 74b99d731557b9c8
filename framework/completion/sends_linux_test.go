package completion

import (
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
