package logqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader takes what is written when it is let, and keeps it.
type reader struct {
	let  chan error // the result of each write
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	if err := <-r.let; err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// close closes a queue, and returns how long it took.
func (r *reader) close(q *Queue) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := q.Close(ctx)
	return time.Since(began), err
}

// TestOrder sees that everything comes, in its order, while many write.
func TestOrder(t *testing.T) {
	var b bytes.Buffer
	q := New(&b)
	log := slog.New(q.Handler())
	const writers, lines = 8, 500
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			log := log.With("writer", w).WithGroup("g")
			for i := range lines {
				log.Info("x", "n", i)
			}
		})
	}
	writing.Wait()
	if _, err := (&reader{}).close(q); err != nil {
		t.Fatal(err)
	}
	next := make(map[int]int)
	for line := range strings.Lines(b.String()) {
		var w, n int
		if _, err := fmt.Sscanf(line[strings.Index(line, "writer="):], "writer=%d g.n=%d", &w, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n != next[w] {
			t.Fatalf("writer %d: line %d instead of %d", w, n, next[w])
		}
		next[w]++
	}
	for w := range writers {
		if next[w] != lines {
			t.Errorf("writer %d: %d lines", w, next[w])
		}
	}
	if n := q.Dropped(); n != 0 {
		t.Errorf("%d lines were dropped", n)
	}
}

// TestNobodyReads sees that a reader that takes nothing holds nobody up, that the queue is
// bounded, and that the log says how much is missing when the reader comes back.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan error)}
		q := New(r)
		line := []byte(strings.Repeat("x", 1<<10-1) + "\n")
		const lines = 2 * MaxWaiting >> 10
		write := func(n int) {
			for range n {
				if n, err := q.Write(line); n != len(line) || err != nil {
					t.Fatal(n, err)
				}
			}
		}
		write(1)
		synctest.Wait() // the first is being written
		write(lines - 1)
		const kept = 1 + MaxWaiting>>10
		if n := q.Dropped(); n != lines-kept {
			t.Errorf("%d lines were dropped, not %d", n, lines-kept)
		}
		close(r.let)
		synctest.Wait()
		text := r.String()
		said := fmt.Sprintf("level=WARN msg=\"the log was not taken fast enough: lines were dropped\" lines=%d\n", lines-kept)
		if n := strings.Count(text, string(line)); n != kept || !strings.HasSuffix(text, said) {
			t.Errorf("%d lines have come, not %d, and %s", n, kept, text[max(0, len(text)-200):])
		}
		write(1)
		if _, err := r.close(q); err != nil {
			t.Error(err)
		}
		if text := r.String(); !strings.HasSuffix(text, said+string(line)) || strings.Count(text, "dropped") != 1 {
			t.Error("what came afterwards is missing, or it was said again")
		}
	})
}

// TestEnd sees how long Close waits.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		let  time.Duration // when the reader takes what there is; 0: at once
		err  error
		took time.Duration
	}{
		{"a reader", 0, nil, 0},
		{"a slow reader", 500 * time.Millisecond, nil, 500 * time.Millisecond},
		{"none", time.Minute, context.DeadlineExceeded, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &reader{let: make(chan error)}
				q := New(r)
				if _, err := io.WriteString(q, "line\n"); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(tt.let, func() { close(r.let) })
				took, err := r.close(q)
				if !errors.Is(err, tt.err) || took != tt.took {
					t.Errorf("after %v: %v", took, err)
				}
				_, _ = io.WriteString(q, "late\n")
				if err := <-r.let; err != nil { // it is closed
					t.Error(err)
				}
				synctest.Wait()
				if text := r.String(); !strings.HasPrefix(text, "line\n") || strings.Contains(text, "late") || q.Dropped() != 1 {
					t.Errorf("%q has come, %d lines were dropped", text, q.Dropped())
				}
			})
		})
	}
}

// TestBrokenReader sees that lines which cannot be written are counted, and said when some can
// be again.
func TestBrokenReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan error, 10)}
		q := New(r)
		write := func(line string, results ...error) {
			t.Helper()
			for _, err := range results {
				r.let <- err
			}
			_, _ = io.WriteString(q, line)
			synctest.Wait()
		}
		write("1\n", io.ErrClosedPipe)
		write("2\n3\n", io.ErrClosedPipe)
		if n := q.Dropped(); n != 3 || r.String() != "" {
			t.Errorf("%d lines were dropped, %q has come", n, r.String())
		}
		write("4\n", nil, nil)
		if text := r.String(); !strings.HasPrefix(text, "4\n") || !strings.HasSuffix(text, "lines=3\n") {
			t.Errorf("%q has come", text)
		}
		if _, err := r.close(q); err != nil {
			t.Error(err)
		}
	})
}
