//go:build unix && (!linux || portable)

package completion

// candidates returns the backends of this system in the order in which "auto"
// tries them.
func candidates() []backendChoice {
	return []backendChoice{{name: "poll", open: openPoller}}
}
