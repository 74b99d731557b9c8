//go:build !windows

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// reloadSignals returns the signals that ask for a reload, and what ends that.
func reloadSignals() (<-chan os.Signal, func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked, func() { signal.Stop(asked) }
}
