package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"fwx/framework"
)

const (
	// endLimit is how long the gateway may take to end when the time of drain is over: to
	// run the on_shutdown of scripts, and to close files.
	endLimit = 5 * time.Second
	// answerLimit is how long before the end of drain the workers are asked whether they
	// answer.
	answerLimit = 500 * time.Millisecond
)

// ending ends the program in time, whatever keeps the gateway from it: a script that does
// not return from a call, for one.
type ending struct {
	fw atomic.Pointer[framework.Firewall] // nil: it has not been made yet
}

// run calls serve, which should return soon after the end of ctx, and returns what it does.
// Without its end in time it returns an error, and serve still runs.
func (e *ending) run(ctx context.Context, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	late := make(chan error, 1)
	go func() { late <- e.late(waiting) }()
	select {
	case err := <-ended:
		return err
	case err := <-late:
		return err
	}
}

// late waits as long as the gateway may take to end, and returns why it has not. It returns
// at the end of ctx.
func (e *ending) late(ctx context.Context) error {
	fw := e.fw.Load()
	if fw == nil {
		pause(ctx, endLimit)
		return fmt.Errorf("ended by force after %v: the gateway has not begun", endLimit)
	}
	drain := fw.Drain()
	asked := min(drain, answerLimit)
	pause(ctx, drain-asked)
	asking, stop := context.WithTimeout(ctx, asked)
	defer stop()
	stuck := fw.Stuck(asking)
	<-asking.Done()
	if len(stuck) > 0 {
		return fmt.Errorf("ended by force after the %v of drain: workers %v do not answer", drain, stuck)
	}
	pause(ctx, endLimit)
	return fmt.Errorf("ended by force %v after the %v of drain: a filter does not end", endLimit, drain)
}

// pause waits for a time, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
