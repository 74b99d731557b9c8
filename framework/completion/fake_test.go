package completion_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fwx/framework/completion"
	"fwx/framework/completion/completiontest"
)

// TestFakeInBubble runs a port inside testing/synctest: an hour passes at once,
// and a file and a pipe need no system.
func TestFakeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := completiontest.NewFake(completion.Options{Workers: 1})
		check(t, err)
		defer func() { check(t, p.Shutdown(t.Context())) }()
		w := p.Workers()[0]
		if info := p.Info(); info.Backend != completiontest.FakeBackend {
			t.Errorf("backend %q", info.Backend)
		}
		p.WriteFile("/greeting", []byte("hello"))
		readEnd, writeEnd := p.Pipe()
		type end struct {
			n   int
			err error
		}
		ends := make(chan end, 1)
		notify := completion.CompletionFunc(func(_ bool, n int, err error, _ *completion.Overlapped, _ any) { ends <- end{n, err} })
		var o *completion.Overlapped
		check(t, w.Call(func() {
			o = overlappedFor(w, notify)
			must(w.OpenFile(o, nil, "/greeting", os.O_RDONLY, 0))
		}))
		check(t, (<-ends).err)
		buf := make([]byte, 10)
		check(t, w.Call(func() {
			h, _ := o.TakeValue().(*completion.Handle)
			ov, err := o.GetOverlapped()
			must(err)
			must(h.ReadFile(ov, buf))
		}))
		if e := <-ends; e.err != nil || string(buf[:e.n]) != "hello" {
			t.Errorf("read %q, %v", buf[:e.n], e.err)
		}
		start := time.Now()
		var read *completion.Handle
		check(t, w.Call(func() {
			var err error
			read, err = w.HookToCompletionPort(readEnd)
			must(err)
			_, err = w.HookToCompletionPort(writeEnd)
			must(err)
			ov, err := o.GetOverlapped()
			must(err)
			must(read.ReadFile(ov, buf))
			w.AfterFunc(time.Hour, func() { must(read.CancelAll()) })
		}))
		if e := <-ends; !errors.Is(e.err, completion.ErrOperationAborted) {
			t.Errorf("a cancelled read: %v", e.err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("an hour took %v", took)
		}
	})
}

// TestFakeIsForTests checks that no configuration can choose the fake.
func TestFakeIsForTests(t *testing.T) {
	_, err := completion.New(completion.Options{Backend: completiontest.FakeBackend})
	if err == nil || !strings.Contains(err.Error(), "unknown backend") {
		t.Errorf("error %v", err)
	}
}
