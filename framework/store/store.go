package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"fwx/framework/strict"
)

// Store holds values under keys. It is safe for use by any goroutine.
type Store interface {
	// Do carries out a request, atomically. When the result is there at once it
	// returns it and true. Otherwise it returns false, and the answer is given
	// later, once, on a goroutine of the store; how long that may take is bounded.
	Do(r Request, a Answerer) (Result, bool)
	// Stats tells how the store does.
	Stats() Stats
	// Close ends the store. Requests that are under way are answered.
	Close() error
}

// Answerer is given the result of a request. It must not block.
type Answerer interface{ Answer(Result) }

// Op is what a request asks for.
type Op uint8

// The operations. Those that change the value of a key leave the time that it has
// left alone, if they do not say otherwise.
const (
	// Get returns the value of a key, the zero Value if it has none.
	Get Op = iota
	// Set gives a key a value, for the time TTL, or for ever without one.
	Set
	// Add is Set for a key that has no value; OK tells whether it had none.
	Add
	// Incr adds the number Value to that of a key and returns the sum. A key
	// without a value counts from 0 and then has the time TTL.
	Incr
	// CompareAndSet replaces the value Old of a key by Value; OK tells whether it
	// had that value. A zero Old stands for no value, a zero Value removes the key.
	CompareAndSet
	// Expire gives the value of a key the time TTL from now, or for ever without
	// one; OK tells whether there is a value.
	Expire
	// Delete removes a key; OK tells whether it had a value.
	Delete
)

// Request is one operation on one key.
type Request struct {
	Op    Op
	Key   string
	Value Value
	Old   Value         // of CompareAndSet
	TTL   time.Duration // 0: for ever; counted in whole milliseconds, of which it has at least one
}

// Result is the answer to a request.
type Result struct {
	Value Value // of Get and Incr
	OK    bool  // of Add, CompareAndSet, Expire and Delete
	Err   error
}

// The kinds of value. None is that of the zero Value.
const (
	None Type = iota
	Text
	Number
	Bool
)

// Type is the type of a value.
type Type uint8

// Value is a string, a number or a boolean, or nothing. Values can be compared by ==.
type Value struct {
	Type   Type
	Text   string
	Number float64
	Bool   bool
}

// TextValue returns a string as a value.
func TextValue(s string) Value { return Value{Type: Text, Text: s} }

// NumberValue returns a number as a value.
func NumberValue(n float64) Value { return Value{Type: Number, Number: n} }

// BoolValue returns a boolean as a value.
func BoolValue(b bool) Value { return Value{Type: Bool, Bool: b} }

// The errors of a request.
var (
	// ErrNotNumber: the value that Incr would add to is none, or the sum is infinite.
	ErrNotNumber = errors.New("the value is no number that can be added to")
	// ErrTooLarge: a key, or a value, is larger than the store takes.
	ErrTooLarge = errors.New("the key or the value is too large")
	// ErrBusy: too many requests wait already. This one has not been carried out.
	ErrBusy = errors.New("too many requests to the store are waiting")
	// ErrTimeout: no answer came in time. Whether the request has been carried
	// out is not known.
	ErrTimeout = errors.New("the store has not answered in time")
	// ErrUnavailable: the store cannot be reached, or was lost on the way. Whether
	// the request has been carried out is not known.
	ErrUnavailable = errors.New("the store is unavailable")
)

// The largest key and value, in bytes.
const (
	MaxKey   = 1 << 10
	MaxValue = 1 << 20
)

// maxTTL is the longest time that a value can be given: 100 years.
const maxTTL = 100 * 365 * 24 * time.Hour

// Check returns what is wrong with a request, whatever the kind of the store. Every
// kind calls it first.
func (r *Request) Check() error {
	switch {
	case r.Op > Delete:
		return errors.New("unknown operation on a store")
	case r.Key == "":
		return errors.New("the key is empty")
	case len(r.Key) > MaxKey:
		return fmt.Errorf("%w: a key has at most %d bytes", ErrTooLarge, MaxKey)
	case len(r.Value.Text) > MaxValue || len(r.Old.Text) > MaxValue:
		return fmt.Errorf("%w: a value has at most %d bytes", ErrTooLarge, MaxValue)
	case !r.Value.finite() || !r.Old.finite():
		return errors.New("a number that is infinite or none cannot be kept")
	case r.TTL < 0 || r.TTL > maxTTL:
		return fmt.Errorf("a value lasts for a time from 0 to %v, not for %v", maxTTL, r.TTL)
	case (r.Op == Set || r.Op == Add) && r.Value.Type == None:
		return errors.New("there is no value to be kept")
	case r.Op == Incr && r.Value.Type != Number:
		return ErrNotNumber
	}
	r.TTL = wholeMilliseconds(r.TTL)
	return nil
}

func (v Value) finite() bool { return !math.IsNaN(v.Number) && !math.IsInf(v.Number, 0) }

// wholeMilliseconds rounds a time to what all kinds can count, away from 0.
func wholeMilliseconds(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// Stats tells how a store does. Fields that a kind does not have are 0.
type Stats struct {
	Kind      string
	Entries   int    // values, those that have expired and take room still included
	Bytes     int64  // that they take
	Evictions uint64 // values that had to make room for others
	Waiting   int    // requests that have no answer yet
	Failures  uint64 // requests that ended by ErrBusy, ErrTimeout or ErrUnavailable
}

// Kind is a kind of store that a configuration can ask for.
type Kind struct {
	// Name is what the configuration calls it.
	Name string
	// Settings returns a pointer to a new settings struct, with the defaults in
	// place and `toml` tags.
	Settings func() any
	// New makes a store from decoded settings; paths in them start from dir. It
	// opens and starts nothing before the first request. What is wrong with the
	// settings it reports by check, and then the result is not used.
	New func(settings any, dir string, logger *slog.Logger, check strict.Checker) Store
}
