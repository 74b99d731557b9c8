package scripting

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var logFunctions = []binding{
	{"debug", func(s *state, L *lua.LState) int { return s.log(L, slog.LevelDebug) }, logSignature, "Not shown by the program `fwx`."},
	{"info", func(s *state, L *lua.LState) int { return s.log(L, slog.LevelInfo) }, logSignature, "Writes a line."},
	{"warn", func(s *state, L *lua.LState) int { return s.log(L, slog.LevelWarn) }, logSignature, "Writes a line."},
	{"error", func(s *state, L *lua.LState) int { return s.log(L, slog.LevelError) }, logSignature, "Writes a line."},
}

const logSignature = "(message: bytes, values?: table<string, any>)"

// lineInstructions is what writing a line of the log counts as.
const lineInstructions = 200

// log writes a line: a message and a table of values to go with it.
func (s *state) log(L *lua.LState, level slog.Level) int {
	message := argString(L, 1)
	ctx := context.Background()
	if !s.logger.Enabled(ctx, level) {
		return 0
	}
	s.meter.charge(lineInstructions + len(message)/bytesPerInstruction)
	message = cut(message)
	var attrs []slog.Attr
	if f := s.running; f != nil && f.task.conn != nil {
		attrs = append(attrs, slog.Uint64("connection", f.task.conn.connection.ID()))
	}
	if L.Get(2) != lua.LNil {
		values := L.CheckTable(2)
		attrs = append(attrs, s.attrsOf(L, values)...)
	}
	s.logger.LogAttrs(ctx, level, message, attrs...) //nolint:sloglint // The message is the script's.
	return 0
}

// maxLogValues is how many values go with a line.
const maxLogValues = 1000

func (s *state) attrsOf(L *lua.LState, values *lua.LTable) (attrs []slog.Attr) {
	values.ForEach(func(key, value lua.LValue) {
		if s.pay(L, 1); len(attrs) >= maxLogValues {
			L.ArgError(2, fmt.Sprintf("a line of the log has at most %d values", maxLogValues))
		}
		switch v := value.(type) {
		case lua.LBool:
			attrs = append(attrs, slog.Bool(key.String(), bool(v)))
		case lua.LNumber:
			if v == lua.LNumber(int64(v)) {
				attrs = append(attrs, slog.Int64(key.String(), int64(v)))
				return
			}
			attrs = append(attrs, slog.Float64(key.String(), float64(v)))
		default:
			text := shownText(L, value)
			s.meter.chargeBytes(len(text))
			attrs = append(attrs, slog.String(cut(key.String()), cut(text)))
		}
	})
	slices.SortFunc(attrs, func(a, b slog.Attr) int { return cmp.Compare(a.Key, b.Key) })
	return attrs
}

// logPrint is print: a line of level info.
func logPrint(s *state, L *lua.LState) int {
	var b strings.Builder
	for i := 1; i <= L.GetTop(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(shownText(L, L.Get(i)))
	}
	L.SetTop(0)
	L.Push(lua.LString(b.String()))
	return s.log(L, slog.LevelInfo)
}
