package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"fwx/framework/fwxtest"
	"fwx/framework/store"
	"fwx/framework/store/storetest"
	"fwx/framework/strict"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

func newMemory(tb testing.TB, s store.MemorySettings) *store.Memory {
	tb.Helper()
	m, err := store.NewMemory(s)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return newMemory(t, store.MemorySettings{})
	})
}

func TestMemorySettings(t *testing.T) {
	tests := []struct {
		settings store.MemorySettings
		key      string
	}{
		{store.MemorySettings{}, ""},
		{store.MemorySettings{MaxSize: 64 << 10, MaxEntries: 1}, ""},
		{store.MemorySettings{MaxSize: 64<<10 - 1}, "max_size"},
		{store.MemorySettings{MaxSize: -1}, "max_size"},
		{store.MemorySettings{MaxEntries: -1}, "max_entries"},
	}
	for _, test := range tests {
		_, err := store.NewMemory(test.settings)
		var wrong *strict.Error
		if errors.As(err, &wrong) != (test.key != "") || wrong != nil && wrong.Key != test.key {
			t.Errorf("%+v: %v", test.settings, err)
		}
	}
}

func do(s store.Store, op store.Op, key string, v store.Value, ttl time.Duration) store.Result {
	return storetest.Do(s, store.Request{Op: op, Key: key, Value: v, TTL: ttl})
}

// TestMemoryIsBounded fills stores far beyond their bounds.
func TestMemoryIsBounded(t *testing.T) {
	tests := []struct {
		name     string
		settings store.MemorySettings
		value    int // bytes
	}{
		{"small", store.MemorySettings{MaxSize: 64 << 10}, 10},
		{"empty values", store.MemorySettings{MaxSize: 64 << 10}, 0},
		{"entries", store.MemorySettings{MaxEntries: 100}, 10},
		{"one entry", store.MemorySettings{MaxEntries: 1}, 10},
		{"shards", store.MemorySettings{MaxSize: 16 << 20}, 10_000},
		{"shards by entries", store.MemorySettings{MaxEntries: 1024}, 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newMemory(t, test.settings)
			const n = 5000
			for i := range n {
				v := store.TextValue(string(make([]byte, test.value)))
				key := fmt.Sprint("key", i)
				if r := do(m, store.Set, key, v, 0); !r.OK {
					t.Fatal(r)
				}
				if r := do(m, store.Get, key, store.Value{}, 0); r.Value != v {
					t.Fatalf("%d is not there: %v", i, r)
				}
				s := m.Stats()
				if limit := int64(test.settings.MaxSize); limit > 0 && s.Bytes > limit {
					t.Fatalf("%d bytes", s.Bytes)
				}
				if limit := test.settings.MaxEntries; limit > 0 && s.Entries > limit {
					t.Fatalf("%d entries", s.Entries)
				}
			}
			if s := m.Stats(); s.Entries+int(s.Evictions) != n || s.Evictions == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestMemoryKeepsWhatIsUsed uses one key again and again while others come and go.
func TestMemoryKeepsWhatIsUsed(t *testing.T) {
	m := newMemory(t, store.MemorySettings{MaxEntries: 10})
	do(m, store.Set, "used", store.NumberValue(1), 0)
	do(m, store.Set, "unused", store.NumberValue(1), 0)
	for i := range 100 {
		do(m, store.Set, strconv.Itoa(i), store.NumberValue(1), 0)
		if r := do(m, store.Get, "used", store.Value{}, 0); r.Value.Type == store.None {
			t.Fatal("gone after", i)
		}
	}
	if r := do(m, store.Get, "unused", store.Value{}, 0); r.Value.Type != store.None {
		t.Error("what was not used is still there")
	}
}

// TestMemoryRemovesTheExpiredFirst fills a store with values that expire; they
// make room before one that lasts and was not used for longest.
func TestMemoryRemovesTheExpiredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, store.MemorySettings{MaxEntries: 10})
		do(m, store.Set, "ban", store.BoolValue(true), time.Hour)
		for i := range 9 {
			do(m, store.Incr, fmt.Sprint("old", i), store.NumberValue(1), time.Second)
		}
		time.Sleep(time.Second)
		for i := range 9 {
			do(m, store.Incr, fmt.Sprint("new", i), store.NumberValue(1), time.Minute)
		}
		if r := do(m, store.Get, "ban", store.Value{}, 0); !r.Value.Bool {
			t.Error("the ban is gone")
		}
		if s := m.Stats(); s.Evictions != 0 || s.Entries != 10 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		for range 20 { // each removes one that has expired
			do(m, store.Get, "nothing", store.Value{}, 0)
		}
		if s := m.Stats(); s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func BenchmarkMemoryIncr(b *testing.B) {
	m := newMemory(b, store.MemorySettings{})
	b.ReportAllocs()
	r := store.Request{Op: store.Incr, Key: "key", Value: store.NumberValue(1), TTL: time.Minute}
	for b.Loop() {
		m.Do(r, nil)
	}
}
