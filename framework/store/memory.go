package store

import (
	"container/heap"
	"container/list"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"fwx/framework/strict"
)

// MemorySettings are the settings of a store in memory.
type MemorySettings struct {
	// MaxSize bounds the memory that it takes, what each value costs besides its
	// own bytes included; 0 means 64 MiB.
	MaxSize strict.Size `toml:"max_size"`
	// MaxEntries bounds the number of values; 0 means that only MaxSize does.
	MaxEntries int `toml:"max_entries"`
}

func (s *MemorySettings) check(check strict.Checker) {
	check.Size("max_size", &s.MaxSize, minMaxSize, math.MaxInt64, defaultMaxSize)
	check.Count("max_entries", s.MaxEntries, math.MaxInt)
}

// KindMemory is the name of the kind that is in memory.
const KindMemory = "memory"

const (
	defaultMaxSize = 64 << 20
	minMaxSize     = 64 << 10
	// entryCost is about what a value takes besides its bytes and those of its key.
	entryCost = 200
	// shardSize is the part of the memory that one lock is for. The largest value
	// fits several times.
	shardSize = 4 * MaxValue
	maxShards = 64
)

// MemoryKind is the kind of store that is in memory.
func MemoryKind() Kind {
	return Kind{
		Name:     KindMemory,
		Settings: func() any { return &MemorySettings{} },
		New: func(settings any, _ string, _ *slog.Logger, check strict.Checker) Store {
			s := settings.(*MemorySettings)
			s.check(check)
			return makeMemory(*s)
		},
	}
}

// Memory is a store in the memory of the program. When it is full, what has
// expired makes room first, and then what has not been used for longest. It
// consists of shards with a lock each, so that workers rarely meet.
type Memory struct {
	shards []shard
	seed   maphash.Seed
	clock  func() time.Duration
}

// NewMemory makes a store in memory. The error is about the settings.
func NewMemory(s MemorySettings) (*Memory, error) {
	var mistakes strict.Errors
	s.check(strict.NewChecker(&mistakes))
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	return makeMemory(s), nil
}

// makeMemory makes a store from settings that have been checked.
func makeMemory(s MemorySettings) *Memory {
	n := 1
	for n < maxShards && int64(s.MaxSize)/int64(2*n) >= shardSize && (s.MaxEntries == 0 || s.MaxEntries/(2*n) >= minShardEntries) {
		n *= 2
	}
	m := &Memory{shards: make([]shard, n), seed: maphash.MakeSeed()}
	begun := time.Now()
	m.clock = func() time.Duration { return time.Since(begun) }
	for i := range m.shards {
		m.shards[i] = shard{maxBytes: int64(s.MaxSize) / int64(n), maxEntries: s.MaxEntries / n, entries: make(map[string]*entry)}
	}
	return m
}

// SetClock has values expire by another clock, which never goes backwards, than the
// system's. It is called before the first Do.
func (m *Memory) SetClock(clock func() time.Duration) { m.clock = clock }

// minShardEntries is the fewest values that a shard is made for.
const minShardEntries = 256

// Do carries out a request at once.
func (m *Memory) Do(r Request, _ Answerer) (Result, bool) {
	if err := r.Check(); err != nil {
		return Result{Err: err}, true
	}
	s := &m.shards[maphash.String(m.seed, r.Key)%uint64(len(m.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.do(&r, m.clock()), true
}

// Stats adds up the shards.
func (m *Memory) Stats() Stats {
	total := Stats{Kind: KindMemory}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		total.Entries += len(s.entries)
		total.Bytes += s.bytes
		total.Evictions += s.evictions
		s.mu.Unlock()
	}
	return total
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// shard is a part of the keys.
type shard struct {
	mu         sync.Mutex
	entries    map[string]*entry
	used       list.List // of *entry; what was used last is in front
	expiring   expiring  // those that do not last for ever
	bytes      int64
	maxBytes   int64
	maxEntries int // 0: no bound
	evictions  uint64
}

// entry is a value under its key.
type entry struct {
	key     string
	value   Value
	expires time.Duration // on the clock of the store; 0: never
	use     *list.Element // in used
	place   int           // in expiring
}

func (e *entry) cost() int64 { return int64(entryCost + len(e.key) + len(e.value.Text)) }

// do carries out a request; the shard is locked.
func (s *shard) do(r *Request, now time.Duration) Result {
	s.expire(now, 1)
	e := s.find(r.Key, now)
	switch r.Op {
	case Get:
		if e == nil {
			return Result{}
		}
		return Result{Value: e.value}
	case Set:
		return Result{OK: true, Err: s.put(e, r, r.Value, deadline(now, r.TTL), now)}
	case Add:
		if e != nil {
			return Result{}
		}
		return done(s.put(nil, r, r.Value, deadline(now, r.TTL), now))
	case Incr:
		return s.incr(e, r, now)
	case CompareAndSet:
		return s.compareAndSet(e, r, now)
	case Expire:
		if e != nil {
			s.schedule(e, deadline(now, r.TTL))
		}
		return Result{OK: e != nil}
	default: // Delete: the others have been checked
		if e != nil {
			s.remove(e)
		}
		return Result{OK: e != nil}
	}
}

func done(err error) Result { return Result{OK: err == nil, Err: err} }

// deadline returns when a time that begins now ends; 0 is never.
func deadline(now, ttl time.Duration) time.Duration {
	if ttl == 0 {
		return 0
	}
	return now + ttl
}

func (s *shard) incr(e *entry, r *Request, now time.Duration) Result {
	sum, expires := r.Value.Number, deadline(now, r.TTL)
	if e != nil {
		if e.value.Type != Number {
			return Result{Err: ErrNotNumber}
		}
		sum, expires = e.value.Number+sum, e.expires
	}
	if math.IsInf(sum, 0) {
		return Result{Err: ErrNotNumber}
	}
	if err := s.put(e, r, NumberValue(sum), expires, now); err != nil {
		return Result{Err: err}
	}
	return Result{Value: NumberValue(sum)}
}

func (s *shard) compareAndSet(e *entry, r *Request, now time.Duration) Result {
	var old Value
	var expires time.Duration
	if e != nil {
		old, expires = e.value, e.expires
	}
	if old != r.Old {
		return Result{}
	}
	if r.Value.Type == None {
		if e != nil {
			s.remove(e)
		}
		return Result{OK: true}
	}
	return done(s.put(e, r, r.Value, expires, now))
}

// find returns the entry of a key, which has been used thereby; nil if there is none.
func (s *shard) find(key string, now time.Duration) *entry {
	e := s.entries[key]
	if e == nil {
		return nil
	}
	if e.expires != 0 && e.expires <= now {
		s.remove(e)
		return nil
	}
	s.used.MoveToFront(e.use)
	return e
}

// put keeps a value, in the entry e if there is one.
func (s *shard) put(e *entry, r *Request, v Value, expires, now time.Duration) error {
	if cost := int64(entryCost + len(r.Key) + len(v.Text)); cost > s.maxBytes {
		return fmt.Errorf("%w: max_size has no room for a value of %d bytes", ErrTooLarge, len(v.Text))
	}
	if e == nil {
		e = &entry{key: strings.Clone(r.Key), place: noPlace} // it may be a part of something large
		s.entries[e.key] = e
		e.use = s.used.PushFront(e)
	} else {
		s.bytes -= e.cost()
	}
	v.Text = strings.Clone(v.Text)
	e.value = v
	s.bytes += e.cost()
	s.schedule(e, expires)
	s.makeRoom(e, now)
	return nil
}

// makeRoom removes entries until the shard is as small as it should be. The one
// that has just been used stays.
func (s *shard) makeRoom(latest *entry, now time.Duration) {
	over := func() bool { return s.bytes > s.maxBytes || s.maxEntries > 0 && len(s.entries) > s.maxEntries }
	for over() {
		if s.expire(now, 1) > 0 {
			continue
		}
		oldest, _ := s.used.Back().Value.(*entry)
		if oldest == latest {
			return
		}
		s.remove(oldest)
		s.evictions++
	}
}

// expire removes up to n entries that have expired and returns how many it did.
func (s *shard) expire(now time.Duration, n int) (removed int) {
	for removed < n && len(s.expiring) > 0 && s.expiring[0].expires <= now {
		s.remove(s.expiring[0])
		removed++
	}
	return removed
}

func (s *shard) remove(e *entry) {
	s.schedule(e, 0)
	s.used.Remove(e.use)
	delete(s.entries, e.key)
	s.bytes -= e.cost()
}

// schedule sets when an entry expires.
func (s *shard) schedule(e *entry, expires time.Duration) {
	e.expires = expires
	switch {
	case expires != 0 && e.place == noPlace:
		heap.Push(&s.expiring, e)
	case expires != 0:
		heap.Fix(&s.expiring, e.place)
	case e.place != noPlace:
		heap.Remove(&s.expiring, e.place)
	}
}

// expiring is a heap of entries, the first to expire on top.
type expiring []*entry

// noPlace is the place of an entry that is not in the heap.
const noPlace = -1

func (h expiring) Len() int           { return len(h) }
func (h expiring) Less(i, j int) bool { return h[i].expires < h[j].expires }

func (h expiring) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is of heap.Interface.
func (h *expiring) Push(x any) {
	e, _ := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop is of heap.Interface.
func (h *expiring) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.place = noPlace
	return e
}
