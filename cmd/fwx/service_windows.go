package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/windows/svc"
)

// supervised runs f. In a process that the service manager has started, it does
// so as a service, whose stopping and the end of the system end ctx.
func supervised(ctx context.Context, f func(context.Context) int) int {
	isService, err := svc.IsWindowsService()
	if err != nil || !isService {
		return f(ctx)
	}
	s := &service{ctx: ctx, run: f, code: exitError}
	if err := svc.Run("", s); err != nil { // a process of its own needs no name
		fmt.Fprintf(os.Stderr, "fwx: %v\n", err)
	}
	return s.code
}

// service is the program as the service manager sees it.
type service struct {
	ctx  context.Context //nolint:containedctx // Execute is given none
	run  func(context.Context) int
	code int
}

// Execute runs the program and tells the service manager how it does.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- s.run(ctx) }()
	now := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	status <- now
	for {
		select {
		case s.code = <-ended:
			status <- svc.Status{State: svc.StopPending}
			return true, uint32(s.code)
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				status <- now
			case svc.Stop, svc.Shutdown:
				now = svc.Status{State: svc.StopPending, WaitHint: stopHint}
				status <- now
				cancel()
			default: // not accepted
			}
		}
	}
}

// stopHint is how long, in milliseconds, the service manager should wait for
// connections to be drained before it looks again.
const stopHint = 60_000
