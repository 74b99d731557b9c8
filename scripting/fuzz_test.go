package scripting

import (
	"errors"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// FuzzPattern sees that the matcher ends, within its limit, whatever it is given.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"", "a", ".-.-b", "(a*(.)%w(%s*))", "%b()", "%f[%a]", "[^]%w-]", "()%1", "^a$", "[", "%", "(a", "[a-"} {
		f.Add("THE (quick) fox", pattern)
	}
	f.Fuzz(func(t *testing.T, subject, pattern string) {
		const limit = 100_000
		m := &matcher{subject: subject, pattern: pattern, limit: limit}
		start, end, err := m.find(0)
		if m.steps > limit+1+len(subject) {
			t.Errorf("%d steps", m.steps)
		}
		if err == nil && start != noMatch && (start < 0 || end < start || end > len(subject)) {
			t.Errorf("matched %d to %d of %d", start, end, len(subject))
		}
	})
}

// FuzzJSON sees that what can be decoded is the same when encoded and decoded again.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2,{"b":null}],"c":"x","d":false,"e":-1.5e3}`, `"\ud800"`, `[[],{}]`, `1e400`, `{"a":1,"a":2}`, `nul`} {
		f.Add(text)
	}
	s := &state{L: lua.NewState(lua.Options{SkipOpenLibs: true})}
	defer s.L.Close()
	s.null, s.array = s.object(nil, null{}), s.L.CreateTable(0, 0)
	s.meter.limit, s.meter.stall, s.meter.ease = time.Hour, func(time.Duration) {}, func() {}
	s.meter.weigh, s.meter.empty = func() error { return nil }, func() error { return errBudget }
	encode := func(v lua.LValue) (string, error) {
		s.meter.set(DefaultBudget)
		e := encoder{state: s}
		err := e.value(v, 0)
		return string(e.out), err
	}
	f.Fuzz(func(t *testing.T, text string) {
		s.meter.set(DefaultBudget)
		v, err := decodeJSON(s, []byte(text))
		if err != nil {
			return
		}
		first, err := encode(v)
		if err != nil {
			t.Fatalf("%q cannot be encoded: %v", text, err)
		}
		again, err := decodeJSON(s, []byte(first))
		if err != nil {
			t.Fatalf("%q of %q cannot be decoded: %v", first, text, err)
		}
		if second, err := encode(again); err != nil || second != first {
			t.Errorf("%q, then %q, %v", first, second, err)
		}
	})
}

// FuzzCompile sees that no text makes the compiler panic, or its errors lack a place.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{"return {}", "local x = 'a' .. 1 .. f()", "#!\nx = ", "goto a ::a::", "return function(...) return ... .. 'x' end", "x ="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := compile("fuzz.lua", []byte(text)); err != nil && errors.Unwrap(err) != nil {
			t.Logf("%v", err)
		}
	})
}
