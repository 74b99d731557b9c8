package framework

import (
	"context"
	"errors"
	"testing"
)

// TestCalledByFilters sees that what would wait for itself is refused at once, wherever a
// filter or the host program calls it.
func TestCalledByFilters(t *testing.T) {
	calls := []struct {
		name string
		call func(ctx context.Context, fw *Firewall, config Config) error
	}{
		{"Start", func(ctx context.Context, fw *Firewall, _ Config) error { return fw.Start(ctx) }},
		{"Reload", func(ctx context.Context, fw *Firewall, config Config) error { return fw.Reload(ctx, config) }},
		{"Shutdown", func(ctx context.Context, fw *Firewall, _ Config) error { return fw.Shutdown(ctx) }},
		{"Stop", func(_ context.Context, fw *Firewall, _ Config) error { return fw.Stop() }}, //nolint:contextcheck // Stop takes none
	}
	places := []struct {
		name string
		// arrange has call called in the place, and reloaded is the configuration that
		// comes next.
		arrange func(config, reloaded *Config, f *testFilter, call func())
	}{
		{"FilterInit", func(_, _ *Config, f *testFilter, call func()) {
			f.onInit = func(*Firewall) error { call(); return nil }
		}},
		{"FilterShutdown", func(_, _ *Config, f *testFilter, call func()) {
			f.onShutdown = func(context.Context) error { call(); return nil }
		}},
		{"Retire", func(_, _ *Config, f *testFilter, call func()) { f.onRetire = call }},
		{"OnStatus", func(config, _ *Config, _ *testFilter, call func()) { config.OnStatus = func(ServiceStatus) { call() } }},
		{"an event", func(_, _ *Config, f *testFilter, call func()) {
			f.onEvent = func(*Event) Verdict { call(); return Pass }
		}},
	}
	ways := []struct {
		name string
		run  func(call func())
	}{
		{"itself", func(call func()) { call() }},
		{"on a goroutine that it waits for", func(call func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				call()
			}()
			<-done
		}},
	}
	for _, place := range places {
		for _, way := range ways {
			if place.name == "an event" && way.name != "itself" {
				continue // the worker is no goroutine of a filter
			}
			for _, c := range calls {
				t.Run(place.name+"/"+way.name+"/"+c.name, func(t *testing.T) {
					var g *gateway
					f := &testFilter{}
					config := gatewayConfig(backends[0], serve(t, echo), f)
					reloaded := gatewayConfig(backends[0], serve(t, echo))
					called := make(chan error, 10)
					place.arrange(&config, &reloaded, f, func() {
						way.run(func() { called <- c.call(t.Context(), g.Firewall, reloaded) })
					})
					g = newGateway(t, config)
					g.start(t)
					if _, err := exchange(g.dial(t), []byte("x")); err != nil {
						t.Fatal(err)
					}
					check(t, g.Reload(t.Context(), reloaded))
					g.stop(t)
					if len(called) == 0 {
						t.Fatal("it was not called")
					}
					for len(called) > 0 {
						if err := <-called; !errors.Is(err, ErrBadContext) {
							t.Errorf("it returned %v", err)
						}
					}
				})
			}
		}
	}
}

// TestTurnWaits sees that who is no filter waits for his turn, though a filter is called.
func TestTurnWaits(t *testing.T) {
	begun, asking := make(chan struct{}), make(chan struct{})
	var g *gateway
	done := make(chan error)
	go func() { // started by the goroutine that calls Start
		<-begun
		close(asking)
		done <- g.Shutdown(t.Context())
	}()
	f := &testFilter{onInit: func(*Firewall) error {
		close(begun)
		<-asking
		return nil
	}}
	g = newGateway(t, gatewayConfig(backends[0], serve(t, echo), f))
	check(t, g.Start(t.Context()))
	check(t, <-done)
	if g.Ready() {
		t.Error("the service runs")
	}
}

// TestFactoryPanics sees that a factory that panics is a mistake of the configuration.
func TestFactoryPanics(t *testing.T) {
	registry := NewRegistry(Factory{Kind: "bad", New: func(FilterConfig, any) (Filter, error) { panic("no disk") }})
	config := gatewayConfig(backends[0], "127.0.0.1:1")
	config.Filters = []FilterConfig{{Name: "b", Kind: "bad"}}
	if _, err := New(config, registry); err == nil {
		t.Error("it was taken")
	}
}
