package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/windows/svc"

	"fwx/framework"
)

// supervised runs f. In a process that the service manager has started, it does
// so as a service, whose stopping and the end of the system end ctx.
func supervised(ctx context.Context, f func(context.Context, statusFunc) int) int {
	isService, err := svc.IsWindowsService()
	if err != nil || !isService {
		return f(ctx, func(framework.ServiceStatus) {})
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
	run  func(context.Context, statusFunc) int
	code int
}

// Execute runs the program and tells the service manager how it does.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan int, 1)
	told := make(chan framework.ServiceStatus)
	go func() { ended <- s.run(ctx, func(s framework.ServiceStatus) { told <- s }) }()
	now := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	status <- now
	for {
		select {
		case s.code = <-ended:
			status <- svc.Status{State: svc.StopPending}
			return true, uint32(s.code)
		case s := <-told:
			if s.State == framework.StateStopping && s.Wait > 0 {
				now = stopping(now.CheckPoint+1, s.Wait)
				status <- now
			}
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				status <- now
			case svc.Stop, svc.Shutdown:
				now = stopping(now.CheckPoint+1, stopHint)
				status <- now
				cancel()
			default: // not accepted
			}
		}
	}
}

// stopHint is how long the service manager should wait until it is told more.
const stopHint = time.Minute

// stopping is the status of a service that ends; a checkpoint that grows says that
// it is still at it.
func stopping(checkpoint uint32, wait time.Duration) svc.Status {
	return svc.Status{State: svc.StopPending, CheckPoint: checkpoint, WaitHint: uint32(min(wait.Milliseconds(), math.MaxUint32))}
}
