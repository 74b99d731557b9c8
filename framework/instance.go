package framework

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
)

// filter is a filter in a generation.
type filter struct {
	*instance

	config FilterConfig
	used   bool // a listener names it
}

// instance is a filter that has been made. It lives as long as a generation uses it.
type instance struct {
	Filter

	mask  EventMask
	begun bool // FilterInit was called
	uses  int  // number of filters of generations that share the instance
}

// is reports whether the instance is a filter that a host program has made.
func (i *instance) is(given Filter) bool {
	return reflect.ValueOf(given).Comparable() && reflect.ValueOf(i.Filter).Comparable() && i.Filter == given
}

// files returns the files that the filter was made from.
func (i *instance) files() []File {
	if u, ok := i.Filter.(FileUser); ok {
		return u.Files()
	}
	return nil
}

// stale reports whether a file that the filter was made from has changed.
func (i *instance) stale() bool { return slices.ContainsFunc(i.files(), File.Changed) }

// init calls FilterInit, unless that has been done or no listener uses the filter. A panic in
// it is returned as an error.
func (f *filter) init(fw *Firewall) (begun bool, err error) {
	if !f.used || f.begun {
		return false, nil
	}
	f.begun = true
	return true, fw.turn.call(func() (err error) {
		f.mask, err = f.FilterInit(fw)
		return err
	})
}

// retire tells a filter that it will see no new connections.
func (f *filter) retire(fw *Firewall) error {
	r, ok := f.Filter.(Retirer)
	if !ok || !f.begun {
		return nil
	}
	return fw.turn.call(func() error {
		r.Retire()
		return nil
	})
}

// shutdown calls FilterShutdown. A panic in it is returned as an error.
func (f *filter) shutdown(ctx context.Context, fw *Firewall) error {
	s, ok := f.Filter.(FilterShutdowner)
	begun := f.begun
	f.begun = false
	if !ok || !begun {
		return nil
	}
	ctx, cancel := fw.stopping.begin(ctx, stopLimit)
	defer cancel()
	fw.tell(ServiceStatus{StateStopping, stopLimit})
	if err := fw.turn.call(func() error { return s.FilterShutdown(ctx) }); err != nil {
		return fmt.Errorf("filter %q: %w", f.config.Name, err)
	}
	return nil
}

// recovered is deferred, and turns a panic into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("it panicked: %v\n%s", r, debug.Stack())
	}
}
