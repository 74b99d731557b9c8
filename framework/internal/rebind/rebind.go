// Package rebind opens addresses that a process which has just been killed may still have.
package rebind

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"
)

const (
	// patience is for how long an address that is in use is tried.
	patience = time.Second
	// pause is the time between two attempts.
	pause = 50 * time.Millisecond
)

// Try calls open until it returns something else than EADDRINUSE, for about a second: the
// kernel takes a moment to close the sockets of a process that was killed under load. It
// returns the last error of open, also when ctx ends.
func Try(ctx context.Context, logger *slog.Logger, address string, open func() error) error {
	err := open()
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	logger.Warn("the address is in use; trying again", "address", address, "for", patience.String())
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(pause)
	defer again.Stop()
	for errors.Is(err, syscall.EADDRINUSE) {
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
			err = open()
		}
	}
	return err
}
