package scripting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
)

const (
	failureWindow = 10 * time.Second
	failureLimit  = 10 // logged in a window; the others are counted
)

// failures keeps a script that fails all the time from filling the log. It is
// shared by the workers.
type failures struct {
	mu         sync.Mutex
	began      time.Time // of the window
	logged     int
	suppressed int
}

// admit reports whether a failure may be logged, and how many were not in the
// window before.
func (f *failures) admit(now time.Time) (ok bool, missed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.began) >= failureWindow {
		missed = f.suppressed
		f.began, f.logged, f.suppressed = now, 0, 0
	}
	if f.logged >= failureLimit {
		f.suppressed++
		return false, missed
	}
	f.logged++
	return true, missed
}

// flush reports what has not been logged.
func (f *failures) flush(logger *slog.Logger) {
	f.mu.Lock()
	missed := f.suppressed
	f.suppressed = 0
	f.mu.Unlock()
	reportMissed(logger, missed)
}

func reportMissed(logger *slog.Logger, missed int) {
	if missed > 0 {
		logger.Error("more script errors, not logged one by one", "count", missed)
	}
}

// logError logs the failure of a handler.
func (s *state) logError(handler string, connection uint64, err error) {
	s.countError(handler)
	ok, missed := s.filter.failures.admit(s.time())
	reportMissed(s.logger, missed)
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("handler", handler), slog.String("error", messageOf(err))}
	if line := lineOf(err); line > 0 {
		attrs = append(attrs, slog.Int("line", line))
	}
	if connection != noConnection {
		attrs = append(attrs, slog.Uint64("connection", connection))
	}
	if raised, ok := errors.AsType[*lua.ApiError](err); ok && raised.StackTrace != "" {
		attrs = append(attrs, slog.String("traceback", raised.StackTrace))
	}
	s.logger.LogAttrs(context.Background(), slog.LevelError, "script error", attrs...)
}

// stalled logs that a handler keeps everything else on its worker waiting, while
// it does so.
func (s *state) stalled(held time.Duration) {
	if ok, _ := s.filter.failures.admit(s.time()); !ok || s.running == nil {
		return
	}
	t := s.running.task
	attrs := []slog.Attr{slog.String("handler", t.name), slog.Duration("for", held)}
	if at := s.place(); at != "" {
		attrs = append(attrs, slog.String("at", at))
	}
	if t.conn != nil {
		attrs = append(attrs, slog.Uint64("connection", t.conn.connection.ID()))
	}
	s.logger.LogAttrs(context.Background(), slog.LevelWarn, "a handler holds its worker: all its connections wait", attrs...)
}

// place returns the line of the script that runs, or has called the function of the host
// that does; empty if there is none.
func (s *state) place() string {
	for level := 0; ; level++ {
		at := strings.TrimSpace(strings.TrimSuffix(s.L.G.CurrentThread.Where(level), ":"))
		if !strings.HasPrefix(at, "[G]") {
			return at
		}
	}
}

// scriptError strips an error of Lua of its traceback, for a start that is refused.
func scriptError(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(messageOf(err))
}

// maxLogText is how much of a text of a script is logged, in bytes.
const maxLogText = 8 << 10

// cut returns the beginning of a text that is too long for the log, and says how long it is.
func cut(text string) string {
	if len(text) <= maxLogText {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(text[:maxLogText], ""), len(text))
}

// messageOf returns what was raised, without the traceback, or the beginning of it.
func messageOf(err error) string {
	raised, ok := errors.AsType[*lua.ApiError](err)
	if !ok {
		return cut(err.Error())
	}
	switch v := raised.Object.(type) {
	case lua.LString:
		return cut(strings.TrimSpace(string(v)))
	case *lua.LNilType:
		return "an error without a message"
	}
	return "an error that is " + describe(raised.Object)
}

// position is what Lua puts before a message: "script:12: message".
var position = regexp.MustCompile(`^(.+?):(\d+): `)

// tracebackLine is a line of a script in a traceback.
var tracebackLine = regexp.MustCompile(`(?m)^\t([^\[\s]\S*:\d+):`)

// lineOf returns the line of the script that an error names, or 0.
func lineOf(err error) int {
	m := position.FindStringSubmatch(messageOf(err))
	if m == nil {
		return 0
	}
	line, _ := strconv.Atoi(m[2]) // digits
	return line
}

// wrongResult reports a handler that returned what it must not.
func wrongResult(handler string, result lua.LValue, wants string) error {
	return fmt.Errorf("%s returned %s; wants %s", handler, describe(result), wants)
}

// describe names the type of a value as an error should.
func describe(v lua.LValue) string {
	switch v.Type() {
	case lua.LTNil:
		return "nothing"
	case lua.LTUserData:
		return "an object"
	case lua.LTBool, lua.LTNumber, lua.LTString, lua.LTFunction, lua.LTThread, lua.LTTable, lua.LTChannel:
	}
	return "a " + v.Type().String()
}
