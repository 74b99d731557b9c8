//go:build unix && (!linux || portable)

package completion

// stream would be what a backend knows of a socket whose data it has received
// before anybody asked for it.
type stream struct{}

func (s *stream) ahead() bool { return false }
