//go:build unix && (!linux || portable)

package completion

// attemptSplice is for pipes, which are not to be had here.
func attemptSplice(*Overlapped) outcome { panic("completion: a splice without a pipe") }
