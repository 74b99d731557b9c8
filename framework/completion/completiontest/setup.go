package completiontest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"fwx/framework/completion"
	"fwx/framework/completion/internal/memory"
	"fwx/framework/completion/internal/seam"
)

// FakeBackend is the backend in memory, for tests only: no configuration can
// choose it.
const FakeBackend = "fake"

// Setup is a backend to be tested, and how.
type Setup struct {
	Backend string // one of completion.Backends, or FakeBackend
	Faults  bool   // inject faults, by Seed
	Bubble  bool   // run each row inside testing/synctest; FakeBackend only
}

// String returns the name of the setup's row in the table.
func (s Setup) String() string {
	name := s.Backend
	if s.Bubble {
		name += ", synctest"
	}
	if s.Faults {
		name += ", faults"
	}
	return name
}

// Setups returns every setup that this system can have.
func Setups() (all []Setup) {
	for _, backend := range completion.Backends() {
		all = append(all, Setup{Backend: backend}, Setup{Backend: backend, Faults: true})
	}
	return append(
		all,
		Setup{Backend: FakeBackend},
		Setup{Backend: FakeBackend, Bubble: true},
		Setup{Backend: FakeBackend, Faults: true, Bubble: true},
	)
}

const seedVariable = "FWX_FAULTS_SEED"

var seedFlag = flag.Uint64("faults.seed", 0, "seed of the injected faults; 0: that of $"+seedVariable+", or 1")

// Seed returns what the injected faults are drawn from: the flag -faults.seed
// or the variable FWX_FAULTS_SEED, otherwise 1. A failure tells it.
func Seed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	if n, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil && n != 0 {
		return n
	}
	return 1
}

// NewFake makes a port on the fake backend, which the test has to shut down.
// Its files, pipes and addresses are apart from those of every other port. Its time is
// that of package time, so it is for tests inside testing/synctest; package fake has a
// machine with a time of its own.
func NewFake(options completion.Options) (*Fake, error) {
	m := memory.New()
	p, err := completion.NewForTest(options, seam.Hooks{Memory: m})
	if err != nil {
		return nil, err
	}
	return &Fake{Port: p, memory: m}, nil
}

// Fake is a port whose files, pipes and sockets are in memory. It makes no
// system call for I/O, and runs inside testing/synctest.
type Fake struct {
	*completion.Port
	memory *memory.System
}

// WriteFile makes a file for Worker.OpenFile.
func (f *Fake) WriteFile(name string, data []byte) { f.memory.WriteFile(name, data) }

// ReadFile returns what a file has.
func (f *Fake) ReadFile(name string) ([]byte, error) { return f.memory.ReadFile(name) }

// Pipe returns the two ends of a pipe, for Worker.HookToCompletionPort.
func (f *Fake) Pipe() (read, write int) {
	r, w := f.memory.Pipe()
	return r.Number(), w.Number()
}

// Run runs the suite on the setup and enters the result in the table.
func (s Setup) Run(t *testing.T, table *Table) {
	t.Helper()
	for _, row := range allRows() {
		t.Run(row.name, func(t *testing.T) {
			if s.Bubble {
				synctest.Test(t, func(t *testing.T) { s.row(t, row, table) })
				return
			}
			s.row(t, row, table)
		})
	}
}

func (s Setup) row(t *testing.T, row row, table *Table) {
	t.Helper()
	t.Cleanup(func() { table.enter(s.String(), row.name, t.Failed(), t.Skipped()) }) // after all others
	k := &kit{setup: s, firm: row.firm}
	if s.Backend == FakeBackend {
		k.system = memory.New()
	}
	kits.Store(t, k)
	t.Cleanup(func() { kits.Delete(t) })
	if s.Faults {
		seed := Seed()
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the faults were those of seed %d: -faults.seed=%d or %s=%d brings them back", seed, seed, seedVariable, seed)
			}
		})
	}
	row.test(newRig(t, k.open, row.options))
}

// kit is what a row on a Setup has.
type kit struct {
	setup  Setup
	system *memory.System
	firm   bool
	port   *completion.Port // that of the row
	plans  []*plan          // of its workers
	script seam.Faults
	names  int
}

// kits finds the kit of a test.
var kits sync.Map

func kitOf(tb testing.TB) *kit {
	tb.Helper()
	if k, ok := kits.Load(tb); ok {
		return k.(*kit) //nolint:forcetypeassert // nothing else is in it
	}
	return nil
}

// open makes the port of a row.
func (k *kit) open(tb testing.TB, options completion.Options) *completion.Port {
	tb.Helper()
	p, err := k.newPort(options)
	if err != nil {
		tb.Fatal(err)
	}
	if k.port == nil {
		k.port = p
	}
	return p
}

func (k *kit) newPort(options completion.Options) (*completion.Port, error) {
	hooks := seam.Hooks{Memory: k.system}
	options.Backend = k.setup.Backend
	switch {
	case k.script != nil:
		hooks.Faults = func(int) seam.Faults { return k.script }
	case k.setup.Faults:
		hooks.RingEntries = 16
		if options.MaxBuffers == 0 {
			options.MaxBuffers = 64 // so that they run out
		}
		plans := make([]*plan, max(options.Workers, 1))
		for i := range plans {
			plans[i] = newPlan(Seed(), i, suiteChances)
		}
		hooks.Faults = func(worker int) seam.Faults { return plans[worker] }
		if k.port == nil {
			k.plans = plans
		}
	}
	return completion.NewForTest(options, hooks)
}

func (k *kit) faulty() bool { return k != nil && k.setup.Faults }

func (k *kit) memory() *memory.System {
	if k == nil {
		return nil
	}
	return k.system
}

// planOf returns the plan of a worker of the row's port; nil without.
func (k *kit) planOf(w *completion.Worker) *plan {
	if k == nil || k.port != w.Port() || len(k.plans) == 0 {
		return nil
	}
	return k.plans[w.Index()]
}

// refusing begins an operation. A start that is refused for want of room, which
// a fault may pretend, is made again without.
func (k *kit) refusing(o *completion.Overlapped, begin func(*completion.Overlapped) error) error {
	p := k.planOf(o.Worker())
	if p == nil || k.firm {
		return begin(o)
	}
	p.refusing, p.refused = true, false
	err := begin(o)
	p.refusing = false
	if p.refused && err != nil {
		err = begin(o)
	}
	return err
}

// retries accepts the outcome that a fault has given to an operation on a file,
// and starts the operation again, so that the row sees how it ends without.
func (p *op) retries(n int, err error) bool {
	plan := p.r.kit.planOf(p.o.Worker())
	if plan == nil {
		return false
	}
	fate, ok := plan.given[p.user]
	if !ok {
		return false
	}
	delete(plan.given, p.user)
	switch {
	case fate.Err != nil && err != fate.Err: //nolint:errorlint // it must be handed on as it is
		return false // it failed otherwise, or was cancelled
	case n > fate.Limit:
		p.r.Errorf("%d bytes, with %v, of at most %d", n, err, fate.Limit)
	case fate.Err == nil && err == nil && n != fate.Limit && n >= fate.size:
		p.r.Errorf("a short read has %d bytes of %d", n, fate.Limit)
	case fate.Err == nil && n < fate.Limit:
		return false // the end of the file came first
	}
	plan.spare = true
	startErr := p.start(p.last)
	plan.spare = false
	return startErr == nil
}

// needsSystem skips a row that is about something that a fake has not.
func (r *rig) needsSystem(what string) {
	r.Helper()
	if r.kit.memory() != nil {
		r.Skip("the fake has not: " + what)
	}
}

// TempDir returns a directory for the row's files.
func (r *rig) TempDir() string {
	m := r.kit.memory()
	if m == nil {
		return r.TB.TempDir()
	}
	r.kit.names++
	name := filepath.Join(string(filepath.Separator), "memory", strconv.Itoa(r.kit.names))
	if err := m.Mkdir(name); err != nil {
		r.Fatal(err)
	}
	return name
}

func (r *rig) write(name string, data []byte) error {
	if m := r.kit.memory(); m != nil {
		m.WriteFile(name, data)
		return nil
	}
	return os.WriteFile(name, data, 0o600)
}

func (r *rig) read(name string) ([]byte, error) {
	if m := r.kit.memory(); m != nil {
		return m.ReadFile(name)
	}
	return os.ReadFile(name) //nolint:gosec // the test's own file
}

// Table gathers how the rows of the suite ended on each setup.
type Table struct {
	mu      sync.Mutex
	setups  []string
	results map[string]*tally
}

type tally struct {
	pass, skip int
	failed     []string
}

func (t *Table) enter(setup, row string, failed, skipped bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.results == nil {
		t.results = make(map[string]*tally)
	}
	r := t.results[setup]
	if r == nil {
		r = &tally{}
		t.results[setup] = r
		t.setups = append(t.setups, setup)
	}
	switch {
	case failed:
		r.failed = append(r.failed, row)
	case skipped:
		r.skip++
	default:
		r.pass++
	}
}

// String returns the table.
func (t *Table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %5s %5s %5s\n", "backend", "pass", "fail", "skip")
	for _, setup := range t.setups {
		r := t.results[setup]
		fmt.Fprintf(&b, "%-24s %5d %5d %5d\n", setup, r.pass, len(r.failed), r.skip)
		for _, row := range r.failed {
			fmt.Fprintf(&b, "    failed: %s\n", row)
		}
	}
	return b.String()
}
