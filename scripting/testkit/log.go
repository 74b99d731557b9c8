package testkit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// record is the log of a gateway.
type record struct {
	mu      sync.Mutex
	entries []entry
	read    int // by t:logs
}

// entry is a line of a log.
type entry struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

func (r *record) logger() *slog.Logger { return slog.New(&handler{record: r}) }

// String writes the line as the program does, without the time.
func (e entry) String() string { return e.written(quoteWords) }

// text writes the line as people read it: values as they are, without quotes and escapes.
func (e entry) text() string { return e.written(func(value string) string { return value }) }

func (e entry) written(value func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s %s", e.level, e.message)
	for _, a := range e.attrs {
		if a.Key == "traceback" {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", a.Key, value(a.Value.String()))
	}
	return b.String()
}

func quoteWords(text string) string {
	if text == "" || strings.ContainsAny(text, " \"\n=") {
		return quote(text)
	}
	return text
}

// handler is a record as the handler of a logger with attributes.
type handler struct {
	record *record
	attrs  []slog.Attr
}

// Enabled takes every level.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle notes a line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := entry{level: r.Level, message: r.Message, attrs: append([]slog.Attr(nil), h.attrs...)}
	r.Attrs(func(a slog.Attr) bool {
		e.attrs = append(e.attrs, slog.Attr{Key: a.Key, Value: a.Value.Resolve()})
		return true
	})
	h.record.mu.Lock()
	defer h.record.mu.Unlock()
	h.record.entries = append(h.record.entries, e)
	return nil
}

// WithAttrs adds attributes to each line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.record, append(append([]slog.Attr(nil), h.attrs...), attrs...)}
}

// WithGroup leaves groups out: the gateway has none.
func (h *handler) WithGroup(string) slog.Handler { return h }

// unread returns the lines since it was called before.
func (r *record) unread() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := r.entries[r.read:]
	r.read = len(r.entries)
	return entries
}

// maxShown bounds the lines of the log that are shown with a failure.
const maxShown = 20

// showLog adds the warnings and errors of the gateway, and what the script has logged,
// to the output of the test.
func (t *test) showLog() {
	if t.gateway == nil {
		return
	}
	r := t.gateway.log
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, e := range r.entries {
		if e.level >= slog.LevelWarn {
			lines = append(lines, e.String())
		}
	}
	if len(lines) == 0 {
		return
	}
	t.print("the gateway has logged:")
	if left := len(lines) - maxShown; left > 0 {
		t.print(fmt.Sprintf("  … %d lines", left))
		lines = lines[left:]
	}
	for _, line := range lines {
		t.print("  " + line)
	}
}
