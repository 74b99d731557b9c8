package scripting

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// The interpreter does not count what it allocates, so what a script holds has to be
// found out by looking: a census goes through all that its state can reach. It is
// taken when it can matter, which is when Go's collector has run and what it
// left alive, of the whole program, is more than one state may hold. A script
// that allocates fast makes the collector run often, so it is stopped soon.

// DefaultMemory is how many bytes the state of a script may hold on each worker.
const DefaultMemory = 64 << 20

// minMemory is what the state of an empty script holds, with room to spare.
const minMemory = 1 << 20

// memoryError ends a handler of a script that holds too much.
type memoryError struct{ holds, limit int64 }

func (e *memoryError) Error() string {
	return fmt.Sprintf("the script holds more than its memory: %d KiB of %d KiB", e.holds>>10, e.limit>>10)
}

// collections are the runs of Go's collector.
var collections struct {
	watch sync.Once
	count atomic.Int64
	alive atomic.Int64 // bytes of the program that the last one left
}

// watchCollections begins to count the runs of the collector.
func watchCollections() {
	collections.watch.Do(func() { runtime.AddCleanup(new(sentinel), collected, 0) })
}

// collected is called after a run of the collector, which has found the object that
// it is attached to; a new one is for the next.
func collected(int) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		collections.alive.Store(int64(sample[0].Value.Uint64()))
	}
	collections.count.Add(1)
	runtime.AddCleanup(new(sentinel), collected, 0)
}

// sentinel is an object for the collector to find, too large to share its memory with others.
type sentinel [64]byte

// memory is what a state knows of what its script holds.
type memory struct {
	holds   int64     // at the last census
	alive   int64     // of all the program, the least since
	counted time.Time // when that was
	over    error     // not nil: too much; no handler runs but on_close, which may give some back
}

// recountAfter is how long a script that holds too much is not counted again,
// unless a handler has ended.
const recountAfter = time.Second

// weigh is called by the meter when the collector has run. It returns an error if
// the script holds too much.
func (s *state) weigh() error {
	m := &s.memory
	alive := collections.alive.Load()
	m.alive = min(m.alive, alive)
	// It cannot hold more than all of the program does, nor, as a rule, have grown by more.
	if alive <= s.filter.settings.Memory || m.holds > 0 && m.holds+max(alive-m.alive, 0) <= s.filter.settings.Memory {
		return nil
	}
	s.count()
	return m.over
}

// count takes a census.
func (s *state) count() {
	m, limit := &s.memory, s.filter.settings.Memory
	m.holds, m.alive, m.counted, m.over = s.census(limit), collections.alive.Load(), time.Now(), nil
	if m.holds > limit {
		m.over = &memoryError{m.holds, limit}
	}
}

// refill lets a fiber run so many instructions; none if the script holds too much.
func (s *state) refill(f *fiber, instructions int64) {
	s.meter.set(instructions)
	if s.memory.over == nil || f.task.name == handlerClose || s.closing { // then it has little left to run
		return
	}
	if time.Since(s.memory.counted) > recountAfter {
		s.count()
	}
	if s.memory.over != nil {
		s.meter.stop(s.memory.over)
	}
}

// census counts the bytes that the script holds; what is beyond a limit it does not go
// through. The count is an estimate: of the interpreter's structures as they
// are on 64-bit systems, without what the allocator adds.
func (s *state) census(limit int64) int64 {
	c := census{limit: limit, seen: make(map[unsafe.Pointer]struct{}), next: s.next}
	c.add(s.L.G.Registry, s.L.G.Global, s.L, s.module)
	for _, f := range s.idle {
		c.own(f.thread)
	}
	for f := range s.active {
		if c.fiber(f); c.bytes > limit {
			break
		}
	}
	if s.running != nil {
		c.fiber(s.running)
	}
	for t := range s.timers {
		c.userValue(t)
	}
	for p := range s.posted {
		c.userValue(p)
	}
	for v := range s.started {
		c.userValue(v)
	}
	for cn := range s.conns {
		c.userValue(cn)
	}
	for _, list := range s.clients {
		for _, idle := range list {
			c.userValue(idle)
		}
	}
	for _, m := range s.modules {
		c.add(m.value)
	}
	for r := range s.resources {
		c.userValue(r)
	}
	if s.decoding != nil {
		c.userValue(s.decoding)
	}
	for _, r := range s.regexps {
		c.add(r)
	}
	c.run()
	c.compact()
	return c.bytes
}

// holder is an object of the host that keeps values of the script, or memory for it.
type holder interface {
	// count adds them.
	count(c *census)
}

// census goes through the values that a script can reach.
type census struct {
	limit int64
	bytes int64
	seen  map[unsafe.Pointer]struct{}
	todo  []lua.LValue

	next     *lua.LFunction           // by which tables are gone through
	passed   map[*lua.LTable]struct{} // that are, perhaps
	loosened []*lua.LTable            // that hold more removed keys than others
}

// What the structures of the interpreter take.
const (
	valueBytes    = 16
	tableBytes    = 96
	entryBytes    = 112 // of the hash part: key, value, and the order of both; of a removed key too
	functionBytes = 64
	upvalueBytes  = 64
	userdataBytes = 48
	threadBytes   = 512
	// fiberBytes is what a function takes that waits, with its stacks.
	fiberBytes = 8 << 10
	// lookedUpString is from which length on a string is counted once, however many
	// values share it. Looking up the shorter ones would take more than they do.
	lookedUpString = 64
)

func (c *census) add(values ...lua.LValue) {
	for _, v := range values {
		switch v := v.(type) {
		case lua.LString:
			c.text(string(v))
		case *lua.LTable:
			c.object(unsafe.Pointer(v), v)
		case *lua.LFunction:
			c.object(unsafe.Pointer(v), v)
		case *lua.LUserData:
			c.object(unsafe.Pointer(v), v)
		case *lua.LState:
			c.object(unsafe.Pointer(v), v)
		}
	}
}

func (c *census) text(text string) {
	if len(text) < lookedUpString || c.first(unsafe.Pointer(unsafe.StringData(text))) {
		c.bytes += int64(len(text))
	}
}

// buffer counts memory that the host has for the script.
func (c *census) buffer(b []byte) {
	if cap(b) > 0 && c.first(unsafe.Pointer(unsafe.SliceData(b))) {
		c.bytes += int64(cap(b))
	}
}

func (c *census) object(p unsafe.Pointer, v lua.LValue) {
	if p != nil && c.first(p) {
		c.todo = append(c.todo, v)
	}
}

// first reports whether p has not been seen before.
func (c *census) first(p unsafe.Pointer) bool {
	before := len(c.seen)
	c.seen[p] = struct{}{}
	return len(c.seen) > before
}

// run goes through what there is to do, until the limit is passed.
func (c *census) run() {
	for len(c.todo) > 0 && c.bytes <= c.limit {
		last := len(c.todo) - 1
		v := c.todo[last]
		c.todo = c.todo[:last]
		switch v := v.(type) {
		case *lua.LTable:
			c.table(v)
		case *lua.LFunction:
			c.function(v)
		case *lua.LUserData:
			c.bytes += userdataBytes
			c.add(v.Metatable)
			c.userValue(v.Value)
		case *lua.LState:
			c.thread(v)
		}
	}
}

func (c *census) table(t *lua.LTable) {
	c.bytes += tableBytes
	if parts.known {
		p := parts.table(t)
		c.bytes += valueBytes*int64(cap(*p.array)) + entryBytes*int64(len(*p.strings)+len(*p.others))
		if p.removed() > len(*p.keys)/2+fewRemoved {
			c.loosened = append(c.loosened, t) // its removed keys are counted if they stay
		} else {
			c.removed(p)
		}
	}
	if c.bytes > c.limit {
		return
	}
	c.add(t.Metatable)
	t.ForEach(func(key, value lua.LValue) { c.add(key, value) })
}

func (c *census) function(f *lua.LFunction) {
	c.bytes += functionBytes + upvalueBytes*int64(len(f.Upvalues))
	if f.Env != nil {
		c.add(f.Env)
	}
	for _, u := range f.Upvalues {
		if u != nil {
			c.add(u.Value())
		}
	}
}

func (c *census) thread(t *lua.LState) {
	stack := parts.stack(t)
	c.bytes += threadBytes + valueBytes*int64(cap(stack))
	c.stack(stack)
}

// stack counts what is on a stack. A table there that next has been called with is perhaps
// gone through just now, and is to keep its removed keys: one of them may be where the script is.
func (c *census) stack(values []lua.LValue) {
	c.add(values...)
	for i := range len(values) - 1 {
		if fn, ok := values[i].(*lua.LFunction); !ok || fn != c.next {
			continue
		}
		if t, ok := values[i+1].(*lua.LTable); ok {
			if c.passed == nil {
				c.passed = make(map[*lua.LTable]struct{})
			}
			c.passed[t] = struct{}{}
		}
	}
}

// removed counts the keys of a table that were removed.
func (c *census) removed(t tableParts) {
	if t.removed() == 0 {
		return
	}
	c.bytes += entryBytes * int64(t.removed())
	for _, key := range *t.keys {
		if text, ok := key.(lua.LString); ok && len(text) >= lookedUpString {
			c.text(string(text)) // once, if it is there still
		}
	}
}

// fewRemoved is how many removed keys of a table do not matter.
const fewRemoved = 64

// compact has the tables made anew that hold more removed keys than others, except those
// that are gone through. It needs to have seen all stacks.
func (c *census) compact() {
	complete := c.bytes <= c.limit
	for _, t := range c.loosened {
		p := parts.table(t)
		if _, passed := c.passed[t]; passed || !complete {
			c.removed(p)
			continue
		}
		p.compact()
	}
}

// own counts the thread of a fiber, which is the host's as far as every fiber has one.
func (c *census) own(t *lua.LState) {
	if c.first(unsafe.Pointer(t)) {
		stack := parts.stack(t)
		c.bytes += valueBytes * int64(max(cap(stack)-initialRegistry, 0))
		c.stack(stack)
	}
}

// fiber counts what a task keeps, and the fiber too if it is one of the script's own: of
// those there may be any number.
func (c *census) fiber(f *fiber) {
	c.own(f.thread)
	if f.task.conn == nil {
		c.bytes += fiberBytes
	}
	if f.op != nil {
		c.buffer(f.op.Kept())
	}
	c.add(f.result)
	c.add(f.args...)
	if f.current != nil {
		c.add(f.current)
	}
}

// userValue counts what an object of the host keeps, once however many ways lead to it.
func (c *census) userValue(v any) {
	switch v := v.(type) {
	case started:
		c.userValue(v.overlapped)
	case addrSet:
		c.bytes += int64(cap(v)) * int64(unsafe.Sizeof(ipRange{}))
	case receivedHeaders:
		for name, values := range v {
			c.bytes += entryBytes + int64(len(name))
			for _, value := range values {
				c.bytes += valueBytes + int64(len(value))
			}
		}
	case holder:
		if c.first(reflect.ValueOf(v).UnsafePointer()) { // all are pointers
			v.count(c)
		}
	}
}

// count counts what the handlers of a connection have left with it.
func (c *conn) count(n *census) {
	if c.ctx != nil {
		n.add(c.ctx)
	}
	if c.flows == nil {
		return
	}
	for i := range c.flows {
		for _, fs := range c.flows[i].frames {
			n.add(fs.framer.fn)
			n.buffer(fs.kept)
			n.buffer(fs.before)
		}
	}
}
