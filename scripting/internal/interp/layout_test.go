package interp

import (
	"math"
	"reflect"
	"sync/atomic"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// TestLayout fails with a version of gopher-lua that the loop is not written for: read its changes, and the decision on
// the loop, before the structures here are changed.
func TestLayout(t *testing.T) {
	if at := Differs(); at != "" {
		t.Fatal(at)
	}
	if lua.OP_NOP != 41 || lua.FramesPerSegment != 8 || lua.MaxArrayIndex != arrayKeys || lua.MaxTableGetLoop != mostTables {
		t.Errorf("%d instructions, %d calls in a segment, array keys up to %d, %d tables", lua.OP_NOP, lua.FramesPerSegment, lua.MaxArrayIndex, lua.MaxTableGetLoop)
	}
}

// TestDifference sees that a structure which is laid out otherwise is found.
func TestDifference(t *testing.T) {
	type inner struct{ A int }
	type same struct {
		A int
		P *inner
	}
	type original struct {
		A int
		P *struct{ A int }
	}
	type renamed struct {
		B int
		P *inner
	}
	type moved struct {
		P *inner
		A int
	}
	type larger struct {
		A int
		P *inner
		X int
	}
	type deep struct {
		A int
		P *struct{ A uint }
	}
	type other struct {
		A int
		P func(int)
	}
	for _, row := range []struct {
		ours   any
		differ bool
	}{{same{}, false}, {renamed{}, true}, {moved{}, true}, {larger{}, true}, {deep{}, true}, {other{}, true}} {
		at := difference(reflect.TypeOf(row.ours), reflect.TypeFor[original](), "it", make(map[reflect.Type]bool))
		if (at != "") != row.differ {
			t.Errorf("%T: %q", row.ours, at)
		}
	}
}

// TestFallback sees that a thread is left to gopher-lua's loop where the loop cannot run it.
func TestFallback(t *testing.T) {
	m := New(&Count{Left: 1000, Due: -1}, func() error { return nil }, new(atomic.Int64))
	fixed := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer fixed.Close()
	if m.Install(fixed) {
		t.Error("a thread whose stack of calls does not grow is run by the loop")
	}
	known := layout
	defer func() { layout = known }()
	layout.differs = "something"
	growing := lua.NewState(lua.Options{SkipOpenLibs: true, MinimizeStackMemory: true})
	defer growing.Close()
	if m.Install(growing) {
		t.Error("a thread of an unknown layout is run by the loop")
	}
	if err := growing.DoString("assert(1 + 1 == 2)"); err == nil {
		t.Error("there is no assert")
	}
}

// TestModulo compares "%" with what gopher-lua computes.
func TestModulo(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, 2, 3, 7, -3, 0.5, -2.5, 1e15, 1 << 31, 1 << 32, 1<<32 + 1, 1<<53 - 1, 1 << 53, 1 << 60, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}
	for _, a := range values {
		for _, b := range values {
			want := math.Mod(a, b)
			if b > 0 && want < 0 || b < 0 && want > 0 {
				want += b
			}
			if got := modulo(a, b); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%v %% %v = %v, not %v", a, b, got, want)
			}
		}
	}
}

// TestNumber sees that numbers are kept as they are, but for -0.
func TestNumber(t *testing.T) {
	makeSmall()
	al := &allocator{size: 4}
	for _, n := range []float64{0, 1, smallNumbers - 1, smallNumbers, smallNumbers + 1, -1, 0.5, 1e300, math.Inf(1), math.Inf(-1), math.MaxInt64, math.MinInt64} {
		if got := al.number(n); got != lua.LNumber(n) {
			t.Errorf("%v became %v", n, got)
		}
	}
	if got := al.number(math.Copysign(0, -1)).(lua.LNumber); math.Signbit(float64(got)) {
		t.Error("-0 has been kept")
	}
	if got := al.number(math.NaN()).(lua.LNumber); got == got {
		t.Error("NaN has become", got)
	}
}
