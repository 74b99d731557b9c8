package framework

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestUpdateServiceStatus is the second part of row C48: a filter asks for more time
// to end, within bounds, and the supervisor is told.
func TestUpdateServiceStatus(t *testing.T) {
	var told []string
	var g *gateway
	var errs [4]error
	f := &testFilter{onInit: func(fw *Firewall) error {
		errs[0] = fw.UpdateServiceStatus(time.Minute)
		return nil
	}}
	f.onShutdown = func(context.Context) error {
		errs[1], errs[2] = g.UpdateServiceStatus(2*time.Minute), g.UpdateServiceStatus(time.Hour)
		return nil
	}
	config := gatewayConfig(backends[0], "127.0.0.1:1", f)
	config.OnStatus = func(s ServiceStatus) { told = append(told, s.String()) }
	g = newGateway(t, config)
	check(t, g.Start(t.Context()))
	check(t, g.Shutdown(t.Context())) // which has no deadline
	errs[3] = g.UpdateServiceStatus(time.Minute)
	for i, want := range []error{ErrBadContext, nil, ErrBadContext, ErrBadContext} {
		if !errors.Is(errs[i], want) {
			t.Errorf("call %d: %v", i, errs[i])
		}
	}
	want := []string{"running", "stopping, for up to 0s", "stopping, for up to 1m0s", "stopping, for up to 2m0s"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// TestStep looks at the limit of a step and at what prolongs it.
func TestStep(t *testing.T) {
	var s step
	ctx, cancel := s.begin(t.Context(), time.Millisecond)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) || s.prolong(time.Minute) {
		t.Errorf("it ended with %v", err)
	}
	cancel()
	ctx, cancel = s.begin(t.Context(), time.Minute)
	for _, test := range []struct {
		by, end time.Duration
		ok      bool
	}{{time.Second, time.Minute, true}, {5 * time.Minute, 5 * time.Minute, true}, {time.Minute, 5 * time.Minute, true}, {11 * time.Minute, 5 * time.Minute, false}} {
		begun := time.Now()
		if ok := s.prolong(test.by); ok != test.ok || s.end.Sub(begun) > test.end+time.Minute/2 || s.end.Sub(begun) < test.end-time.Minute/2 {
			t.Errorf("by %v: %t, ends in %v", test.by, ok, s.end.Sub(begun))
		}
	}
	if ctx.Err() != nil {
		t.Error("it has ended")
	}
	cancel()
	if s.prolong(time.Second) {
		t.Error("it goes on behind its end")
	}
}
