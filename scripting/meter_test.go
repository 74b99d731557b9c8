package scripting

import (
	"errors"
	"testing"
	"time"
)

// TestMeterSlow sees that the clock is looked at after each instruction as long as few of
// them take long.
func TestMeterSlow(t *testing.T) {
	m := meter{limit: time.Hour, stall: func(time.Duration) {}, ease: func() {}, weigh: func() error { return nil }}
	m.set(1000)
	m.look()
	m.since = m.since.Add(-time.Second) // as if that had been the time of a comparison
	if m.look(); m.Due != m.Left-1 {
		t.Errorf("after a slow instruction the next look is after %d", m.Left-m.Due)
	}
	m.held += time.Minute
	if m.look(); m.Due != m.Left-clockInterval {
		t.Errorf("after quick ones the next look is after %d", m.Left-m.Due)
	}
}

// TestMeterLooks sees that the clock is looked at whatever the charges between the
// instructions are, as it could be missed by those that jump over the moment.
func TestMeterLooks(t *testing.T) {
	const instructions = 10_000
	for _, charge := range []int{0, 1, 63, 64, 1_000_003} {
		m := meter{limit: -1, stall: func(time.Duration) {}, ease: func() {}, weigh: func() error { return nil }}
		m.collections = collections.count.Load()
		m.set(1<<60 + 1)
		n := 0
		for ; m.Left >= 0 && n < instructions; n++ {
			m.Done()
			m.charge(charge)
		}
		if _, ok := errors.AsType[*timeError](m.err); !ok || n > 2*clockInterval {
			t.Errorf("charges of %d: %v after %d instructions", charge, m.err, n)
		}
	}
}
