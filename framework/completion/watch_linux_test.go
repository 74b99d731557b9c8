//go:build !portable

package completion

import (
	"context"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWatchOverflow checks that after lost events everything counts as changed.
func TestWatchOverflow(t *testing.T) {
	p, err := New(Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	w := p.workers[0]
	changed, stands := make(chan struct{}, 1), make(chan error, 1)
	err = w.Post(func() {
		o := w.CreateOverlapped()
		err := o.SetNotificationInterface(CompletionFunc(func(_ bool, _ int, err error, _ *Overlapped, _ any) { stands <- err }), nil)
		if err == nil {
			err = w.Watch(o, nil, filepath.Join(t.TempDir(), "file"), func() { changed <- struct{}{} })
		}
		if err != nil {
			stands <- err
		}
	})
	if err == nil {
		err = <-stands
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Call(func() { w.watches.dispatch(inotifyEvent{number: -1, mask: unix.IN_Q_OVERFLOW}) }); err != nil {
		t.Fatal(err)
	}
	<-changed
}

func TestInotifyEvents(t *testing.T) {
	raw := []byte{
		1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 'a', 'b', 0, 0, 0, 0, 0, 0,
		3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	}
	if !littleEndian {
		t.Skip("the events are those of a little-endian machine")
	}
	first, rest := nextInotifyEvent(raw)
	second, rest := nextInotifyEvent(rest)
	if want := (inotifyEvent{number: 1, mask: 2, name: "ab"}); first != want {
		t.Errorf("first event %+v, want %+v", first, want)
	}
	if want := (inotifyEvent{number: 3, mask: 4}); second != want {
		t.Errorf("second event %+v, want %+v", second, want)
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes left", len(rest))
	}
}
