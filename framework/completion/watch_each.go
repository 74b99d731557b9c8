//go:build !linux || portable

package completion

// watches is what a worker watches where each watch does so for itself.
type watches struct {
	all    map[*Watch]struct{}
	adding int // on a thread of the pool
}

func (w *Worker) openWatches() error {
	w.checkThread()
	if w.closing {
		return ErrPortClosed
	}
	return nil
}

func (s *watches) newFolder() watchedFolder { return watchedFolder{} }
