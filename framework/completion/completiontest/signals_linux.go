package completiontest

import (
	"os"

	"golang.org/x/sys/unix"
)

// withSignals runs f while the worker's thread gets one signal after the other,
// of the kind that Go's scheduler sends and ignores.
func (r *rig) withSignals(f func()) {
	r.Helper()
	if r.kit.memory() != nil {
		f()
		return
	}
	var thread int
	r.on(func() { thread = unix.Gettid() })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG) // the thread may be about to end
			}
		}
	}()
	f()
	close(stop)
	<-stopped
}
