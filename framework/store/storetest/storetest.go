// Package storetest has the tests that every kind of store passes.
package storetest

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/fwxtest"
	"fwx/framework/store"
)

// patience bounds how long a test waits for what must come.
const patience = 30 * time.Second

// answer is an Answerer that can be waited for.
type answer chan store.Result

func (a answer) Answer(r store.Result) { a <- r }

// Do carries out a request and waits for its result.
func Do(s store.Store, r store.Request) store.Result {
	later := make(answer, 2)
	if result, ok := s.Do(r, later); ok {
		return result
	}
	select {
	case result := <-later:
		return result
	case <-time.After(patience):
		return store.Result{Err: errors.New("the store has not answered at all")}
	}
}

// Short forms for the table.
var (
	text   = store.TextValue
	number = store.NumberValue
	yes    = store.Result{OK: true}
	no     = store.Result{}
)

func value(v store.Value) store.Result { return store.Result{Value: v} }
func get(key string) store.Request     { return store.Request{Op: store.Get, Key: key} }
func set(key string, v store.Value) store.Request {
	return store.Request{Op: store.Set, Key: key, Value: v}
}

func add(key string, v store.Value) store.Request {
	return store.Request{Op: store.Add, Key: key, Value: v}
}

func incr(key string, by float64) store.Request {
	return store.Request{Op: store.Incr, Key: key, Value: number(by)}
}

func swap(key string, old, v store.Value) store.Request {
	return store.Request{Op: store.CompareAndSet, Key: key, Old: old, Value: v}
}
func expire(key string) store.Request { return store.Request{Op: store.Expire, Key: key} }
func del(key string) store.Request    { return store.Request{Op: store.Delete, Key: key} }

// lasting gives a request a time to live.
func lasting(r store.Request, ttl time.Duration) store.Request {
	r.TTL = ttl
	return r
}

// errAny stands for an error that is no particular one.
var errAny = errors.New("any error")

// step is a request and what it must be answered.
type step struct {
	request store.Request
	want    store.Result
}

func fails(err error) store.Result { return store.Result{Err: err} }

// rows are sequences of requests, each on a store whose keys it has for itself.
var rows = []struct {
	name  string
	steps []step
}{
	{"nothing there", []step{{get("k"), no}, {del("k"), no}, {expire("k"), no}}},
	{"a string", []step{{set("k", text("v")), yes}, {get("k"), value(text("v"))}}},
	{"strings that look like others", []step{
		{set("k", text("")), yes},
		{get("k"), value(text(""))},
		{set("k", text("12")), yes},
		{get("k"), value(text("12"))},
		{set("k", text("t")), yes},
		{get("k"), value(text("t"))},
		{set("k", text("s")), yes},
		{get("k"), value(text("s"))},
		{set("k", text("a\x00\xff\r\n")), yes},
		{get("k"), value(text("a\x00\xff\r\n"))},
	}},
	{"keys of any bytes", []step{
		{set("\x00\xff \r\n", number(1)), yes},
		{get("\x00\xff \r\n"), value(number(1))},
		{get("\x00\xff \r"), no},
	}},
	{"numbers", []step{
		{set("k", number(0)), yes},
		{get("k"), value(number(0))},
		{set("k", number(-1.5)), yes},
		{get("k"), value(number(-1.5))},
		{set("k", number(1<<53)), yes},
		{get("k"), value(number(1 << 53))},
		{set("k", number(0.1)), yes},
		{get("k"), value(number(0.1))},
		{set("k", number(math.MaxFloat64)), yes},
		{get("k"), value(number(math.MaxFloat64))},
		{set("k", number(math.SmallestNonzeroFloat64)), yes},
		{get("k"), value(number(math.SmallestNonzeroFloat64))},
	}},
	{"booleans", []step{
		{set("k", store.BoolValue(true)), yes},
		{get("k"), value(store.BoolValue(true))},
		{set("k", store.BoolValue(false)), yes},
		{get("k"), value(store.BoolValue(false))},
	}},
	{"set replaces", []step{{set("k", text("v")), yes}, {set("k", number(2)), yes}, {get("k"), value(number(2))}}},
	{"add", []step{
		{add("k", text("v")), yes},
		{add("k", text("w")), no},
		{get("k"), value(text("v"))},
		{del("k"), yes},
		{add("k", text("w")), yes},
		{get("k"), value(text("w"))},
	}},
	{"incr", []step{
		{incr("k", 1), value(number(1))},
		{incr("k", 2), value(number(3))},
		{incr("k", -4), value(number(-1))},
		{incr("k", 0), value(number(-1))},
		{get("k"), value(number(-1))},
	}},
	{"incr of a fraction", []step{
		{incr("k", 0.1), value(number(0.1))},
		{incr("k", 0.2), value(number(math.Float64frombits(0x3FD3333333333334)))}, // 0.1 + 0.2 in floating point
		{get("k"), value(number(math.Float64frombits(0x3FD3333333333334)))},
	}},
	{"incr beyond what is exact", []step{
		{set("k", number(1<<53)), yes},
		{incr("k", 1), value(number(1 << 53))},
		{incr("k", 2), value(number(1<<53 + 2))},
	}},
	{"incr of a value that was set", []step{{set("k", number(40)), yes}, {incr("k", 2), value(number(42))}}},
	{"incr of what is no number", []step{
		{set("k", text("1")), yes},
		{incr("k", 1), fails(store.ErrNotNumber)},
		{set("k", store.BoolValue(true)), yes},
		{incr("k", 1), fails(store.ErrNotNumber)},
		{get("k"), value(store.BoolValue(true))},
	}},
	{"incr to infinity", []step{
		{set("k", number(math.MaxFloat64)), yes},
		{incr("k", math.MaxFloat64), fails(store.ErrNotNumber)},
		{get("k"), value(number(math.MaxFloat64))},
	}},
	{"compare and set", []step{
		{swap("k", text("v"), text("w")), no},
		{swap("k", store.Value{}, text("v")), yes},
		{swap("k", store.Value{}, text("x")), no},
		{swap("k", text("u"), text("w")), no},
		{get("k"), value(text("v"))},
		{swap("k", text("v"), number(7)), yes},
		{swap("k", text("7"), number(8)), no},
		{swap("k", number(7), number(8)), yes},
		{swap("k", number(8), store.BoolValue(false)), yes},
		{swap("k", text("f"), number(8)), no},
		{swap("k", store.BoolValue(true), number(8)), no},
		{swap("k", store.BoolValue(false), number(0.1)), yes},
		{swap("k", number(0.1), store.Value{}), yes},
		{get("k"), no},
		{swap("k", store.Value{}, store.Value{}), yes},
	}},
	{"compare and set of a sum", []step{
		{incr("k", 0.1), value(number(0.1))},
		{incr("k", 5), value(number(5.1))},
		{swap("k", number(5.1), text("same")), yes},
	}},
	{"expire and set", []step{
		{set("k", number(1)), yes},
		{lasting(expire("k"), time.Hour), yes},
		{get("k"), value(number(1))},
		{expire("k"), yes},
		{get("k"), value(number(1))},
	}},
	{"large", []step{
		{set("k", text(strings.Repeat("x", store.MaxValue))), yes},
		{get("k"), value(text(strings.Repeat("x", store.MaxValue)))},
		{set("k", text(strings.Repeat("x", store.MaxValue+1))), fails(store.ErrTooLarge)},
		{set(strings.Repeat("k", store.MaxKey), number(1)), yes},
		{get(strings.Repeat("k", store.MaxKey)), value(number(1))},
		{get(strings.Repeat("k", store.MaxKey+1)), fails(store.ErrTooLarge)},
		{swap("k", text(strings.Repeat("x", store.MaxValue+1)), number(1)), fails(store.ErrTooLarge)},
	}},
	{"misuse", []step{
		{get(""), fails(errAny)},
		{set("k", store.Value{}), fails(errAny)},
		{add("k", store.Value{}), fails(errAny)},
		{set("k", number(math.NaN())), fails(errAny)},
		{set("k", number(math.Inf(-1))), fails(errAny)},
		{incr("k", math.Inf(1)), fails(errAny)},
		{lasting(set("k", number(1)), -1), fails(errAny)},
		{lasting(set("k", number(1)), math.MaxInt64), fails(errAny)},
		{store.Request{Op: 99, Key: "k"}, fails(errAny)},
		{store.Request{Op: store.Incr, Key: "k"}, fails(store.ErrNotNumber)},
		{get("k"), no},
	}},
}

// Run runs the tests. open returns a store that is empty; it is closed here.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := opened(t, open)
			for i, step := range row.steps {
				got := Do(s, step.request)
				if !same(got, step.want) {
					t.Errorf("step %d: %.200v: got %.200v, want %.200v", i, step.request, got, step.want)
				}
			}
		})
	}
	t.Run("expiry", func(t *testing.T) { testExpiry(t, opened(t, open)) })
	t.Run("what keeps its time", func(t *testing.T) { testKeptTime(t, opened(t, open)) })
	t.Run("what loses its time", func(t *testing.T) { testLostTime(t, opened(t, open)) })
	t.Run("many at once", func(t *testing.T) { testConcurrent(t, opened(t, open)) })
}

func opened(t *testing.T, open func(t *testing.T) store.Store) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func same(got, want store.Result) bool {
	if want.Err != nil {
		return got.Err != nil && (errors.Is(want.Err, errAny) || errors.Is(got.Err, want.Err))
	}
	return got == want
}

const moment = 20 * time.Millisecond

// gone waits until a key has no value.
func gone(t *testing.T, s store.Store, key string) {
	t.Helper()
	fwxtest.Eventually(t, patience, key+" expires", func() bool { return Do(s, get(key)) == no })
}

func testExpiry(t *testing.T, s store.Store) {
	t.Helper()
	requests := []store.Request{set("set", text("v")), add("add", text("v")), incr("incr", 1)}
	for _, r := range requests {
		if got := Do(s, lasting(r, moment)); got.Err != nil {
			t.Error(r.Key, got.Err)
		}
	}
	Do(s, set("expire", text("v")))
	if got := Do(s, lasting(expire("expire"), time.Nanosecond)); got != yes { // counts as a millisecond
		t.Error(got)
	}
	for _, key := range []string{"set", "add", "incr", "expire"} {
		gone(t, s, key)
	}
	if got := Do(s, add("add", text("w"))); got != yes {
		t.Error("add of what has expired", got)
	}
	if got := Do(s, incr("incr", 5)); got != value(number(5)) {
		t.Error("incr of what has expired", got)
	}
	if got := Do(s, del("set")); got != no {
		t.Error("delete of what has expired", got)
	}
}

// testKeptTime looks at what changes a value and not when it expires.
func testKeptTime(t *testing.T, s store.Store) {
	t.Helper()
	const window = 300 * time.Millisecond
	begun := time.Now()
	Do(s, lasting(incr("incr", 1), window))
	Do(s, lasting(set("swap", text("v")), window))
	for i := 0; ; i++ { // each round would put the end off
		if n := Do(s, lasting(incr("incr", 1), window)).Value; i > 0 && n == number(1) {
			break // it has expired, and began anew
		}
		if old := Do(s, get("swap")); old != no {
			Do(s, swap("swap", old.Value, number(float64(i))))
		}
		if time.Since(begun) > patience {
			t.Fatal("the counter does not expire")
		}
	}
	gone(t, s, "swap")
}

// testLostTime looks at what makes a value last for ever.
func testLostTime(t *testing.T, s store.Store) {
	t.Helper()
	const long = time.Second
	for _, key := range []string{"set", "expire", "witness"} {
		Do(s, lasting(set(key, text("v")), long))
	}
	if got := Do(s, set("set", text("w"))); got != yes {
		t.Error(got)
	}
	if got := Do(s, expire("expire")); got != yes {
		t.Error("expire in vain: the machine was too slow for this test, or it is wrong", got)
	}
	gone(t, s, "witness")
	for _, key := range []string{"set", "expire"} {
		if got := Do(s, get(key)); got.Value.Type != store.Text {
			t.Error(key, got)
		}
	}
}

// testConcurrent counts the same in many goroutines and takes turns by Add and
// CompareAndSet.
func testConcurrent(t *testing.T, s store.Store) {
	t.Helper()
	const goroutines, each = 16, 200
	var all sync.WaitGroup
	var mu sync.Mutex
	sums := make(map[float64]bool)
	winners := 0
	for g := range goroutines {
		all.Go(func() {
			for range each {
				r := Do(s, incr("n", 1))
				swapped := swapUp(s, "swapped")
				mu.Lock()
				sums[r.Value.Number] = true
				if r.Err != nil || !swapped {
					t.Errorf("%v, %t", r, swapped)
				}
				mu.Unlock()
			}
			if Do(s, add("first", text(strconv.Itoa(g)))).OK {
				mu.Lock()
				winners++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	const total = goroutines * each
	if len(sums) != total || Do(s, get("n")) != value(number(total)) {
		t.Errorf("%d sums, %v; want %d", len(sums), Do(s, get("n")), total)
	}
	if got := Do(s, get("swapped")); got != value(number(total)) {
		t.Errorf("swapped %v; want %d", got, total)
	}
	if winners != 1 {
		t.Errorf("%d have added the same key", winners)
	}
}

// swapUp adds 1 by CompareAndSet; false means that it failed in another way than
// by being too late.
func swapUp(s store.Store, key string) bool {
	for {
		old := Do(s, get(key))
		next := Do(s, swap(key, old.Value, number(old.Value.Number+1)))
		if next.OK || next.Err != nil || old.Err != nil {
			return next.OK
		}
	}
}
