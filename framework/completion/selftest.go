package completion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// selfTestTime bounds a self-test, which takes well under a millisecond where
// the backend works.
const selfTestTime = 2 * time.Second

// selfTest makes a port of one worker and lets it receive, send and cancel. A
// version or feature check would not do: kernels are patched, and containers
// refuse single system calls.
func selfTest(c backendChoice) error {
	ctx, cancel := context.WithTimeout(context.Background(), selfTestTime)
	defer cancel()
	options := Options{Workers: 1, MaxBuffers: 4, Logger: slog.New(slog.DiscardHandler)}
	p, err := newPort(options.withDefaults(), c)
	if err != nil {
		return err
	}
	err = exchange(ctx, p.workers[0])
	return errors.Join(err, p.Shutdown(ctx))
}

// exchange sends a byte through a connection with itself, wakes the worker for it, and
// then cancels a receive.
func exchange(ctx context.Context, w *Worker) error {
	pair, err := selfTestPair()
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	err = w.Post(func() {
		t := &selfTester{result: result}
		t.run(w, pair)
	})
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("self-test: %w", ctx.Err())
	}
}

type selfTester struct {
	a, b   *Socket
	recv   *Overlapped
	result chan<- error
	second bool
}

func (t *selfTester) run(w *Worker, pair [2]int) {
	var err, err2 error
	t.a, err = w.Attach(Accepted{fd: pair[0]})
	t.b, err2 = w.Attach(Accepted{fd: pair[1]})
	if err = errors.Join(err, err2); err != nil {
		t.result <- err
		return
	}
	send := w.CreateOverlapped()
	t.recv = w.CreateOverlapped()
	err = errors.Join(
		send.SetNotificationInterface(CompletionFunc(func(bool, int, error, *Overlapped, any) {}), nil),
		t.recv.SetNotificationInterface(t, nil),
		t.a.Recv(t.recv),
		t.b.Send(send, []byte{1}),
	)
	if err != nil {
		t.end(err)
	}
}

// CompleteAsyncIO gets the byte, and then the end of the cancelled receive.
func (t *selfTester) CompleteAsyncIO(_ bool, bytes int, err error, o *Overlapped, _ any) {
	if t.second {
		if !errors.Is(err, ErrOperationAborted) {
			t.end(fmt.Errorf("self-test: a cancelled receive ended with %d bytes, %v", bytes, err)) //nolint:errorlint // err may be nil
			return
		}
		t.end(nil)
		return
	}
	if err != nil || bytes != 1 {
		t.end(fmt.Errorf("self-test: a receive ended with %d bytes, %v", bytes, err)) //nolint:errorlint // err may be nil
		return
	}
	o.TakeBuffer().Release()
	t.second = true
	if err := errors.Join(t.a.Recv(o), o.Cancel()); err != nil {
		t.end(err)
	}
}

func (t *selfTester) end(err error) {
	t.result <- errors.Join(err, t.a.Close(), t.b.Close())
}
