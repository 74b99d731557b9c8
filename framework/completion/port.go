package completion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fwx/framework/completion/internal/memory"
)

// Options are the settings of a port. The zero value is usable.
type Options struct {
	// Workers is the number of workers; 0 means one for each CPU that Go uses.
	Workers int
	// Backend is "auto" (or empty), or the name of a backend that this system
	// has: "io_uring", "epoll" or "poll" on Linux, "iocp" on Windows, "poll" on
	// macOS and the BSDs.
	Backend string
	// MaxOperations bounds the operations in flight on each worker; 0 means 65,536.
	MaxOperations int
	// BufferSize is the size of a receive buffer in bytes; 0 means 64 KiB. Only
	// the part of a buffer that was ever filled takes memory.
	BufferSize int
	// MaxBuffers bounds the receive buffers of each worker; 0 means 4,096.
	// When all are in use, receives wait for one.
	MaxBuffers int
	// FileThreads bounds the threads that do what the operating system cannot
	// do asynchronously; 0 means 64. No file gets more than a quarter of them. On
	// io_uring the kernel has as many again for each worker; what occupies
	// none of them is bounded to 128 operations on a file at a time.
	FileThreads int
	// AppendQueue bounds the bytes that wait to be appended to one file; 0
	// means 1 MiB.
	AppendQueue int
	// Logger gets what the port has to say; nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultMaxOperations = 64 << 10
	defaultBufferSize    = 64 << 10
	defaultMaxBuffers    = 4 << 10
	maxMaxBuffers        = 64 << 10 // the kernel names a provided buffer by 16 bits
	defaultFileThreads   = 64
	defaultAppendQueue   = 1 << 20
)

func (o Options) withDefaults() Options {
	setDefault(&o.Workers, processors.usual)
	setDefault(&o.MaxOperations, defaultMaxOperations)
	setDefault(&o.BufferSize, defaultBufferSize)
	setDefault(&o.MaxBuffers, defaultMaxBuffers)
	setDefault(&o.FileThreads, defaultFileThreads)
	setDefault(&o.AppendQueue, defaultAppendQueue)
	o.MaxBuffers = min(o.MaxBuffers, maxMaxBuffers)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func setDefault(v *int, value int) {
	if *v <= 0 {
		*v = value
	}
}

// Port is a completion port: the queue on which all I/O of a service
// completes, and the workers that take completions off it.
type Port struct {
	options Options
	info    Info
	start   time.Time
	workers []*Worker
	pool    *pool
	turns   atomic.Uint32 // tasks posted to any worker
	names   names
	clock   *memory.Clock // of a test; nil: the system's

	mu        sync.Mutex
	appenders appenders
	closed    bool
}

// Info tells which backend a port uses and why.
type Info struct {
	Backend string // "io_uring", "epoll", "poll" or "iocp"
	Reason  string // why this one
	Workers int
}

// New makes a port and starts its workers. An unknown or unusable backend is
// an error; "auto" always finds one.
func New(options Options) (*Port, error) {
	options = options.withDefaults()
	choice, err := choose(options.Backend)
	if err != nil {
		return nil, err
	}
	return newPort(options, choice)
}

func newPort(options Options, choice backendChoice) (*Port, error) {
	p := &Port{
		options:   options,
		info:      Info{Backend: choice.name, Reason: choice.reason, Workers: options.Workers},
		pool:      newPool(options.FileThreads),
		appenders: make(appenders),
		names:     systemNames{},
		clock:     choice.clock,
	}
	if choice.memory != nil {
		p.names = memoryNames{choice.memory}
	}
	p.start = p.Time()
	takeProcessors(options.Workers)
	started := make(chan error, options.Workers)
	for i := range options.Workers {
		w := &Worker{port: p, index: i, logger: options.Logger, done: make(chan struct{})}
		w.buffers.init(w, options.BufferSize, options.MaxBuffers)
		p.workers = append(p.workers, w)
		go w.run(choice.open, started)
	}
	var errs []error
	for range p.workers {
		if err := <-started; err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(fmt.Errorf("completion port on %s: %w", choice.name, errs[0]), p.Shutdown(context.Background()))
	}
	return p, nil
}

// Info returns which backend the port uses, and why.
func (p *Port) Info() Info { return p.info }

// Time returns the time of day. A port for tests may have a time of its own.
func (p *Port) Time() time.Time {
	if p.clock != nil {
		return memory.Epoch.Add(p.clock.Now())
	}
	return time.Now()
}

// Uptime returns the time since the port began, which never goes backwards.
func (p *Port) Uptime() time.Duration {
	if p.clock != nil {
		return p.Time().Sub(p.start)
	}
	return time.Since(p.start)
}

// Go runs f on a goroutine of its own, for what waits long and needs no thread of
// the port's pool. A port for tests knows of it.
func (p *Port) Go(f func()) {
	if p.clock == nil {
		go f()
		return
	}
	p.clock.Enter()
	go func() {
		defer p.clock.Leave()
		f()
	}()
}

// Idle tells a port for tests that a goroutine of Go waits for something that happens on
// the port, and Busy that it has, so that the goroutine works again: whoever ends the
// wait calls that, before it stops working itself.
func (p *Port) Idle() {
	if p.clock != nil {
		p.clock.Leave()
	}
}

// Busy ends what Idle has begun.
func (p *Port) Busy() {
	if p.clock != nil {
		p.clock.Enter()
	}
}

// Workers returns the workers of the port.
func (p *Port) Workers() []*Worker { return p.workers }

// Shutdown ends the port: no new starts or tasks, everything in flight is
// cancelled, and every notification is delivered before the workers end. What
// the operating system does not give back before ctx ends is left alone, its
// memory too, and reported by an error that is ErrLeaked.
// On a worker of the port it is ErrOnWorker, and does nothing.
func (p *Port) Shutdown(ctx context.Context) error {
	if p.OnWorker() {
		return ErrOnWorker
	}
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if !again {
		p.stopAppenders()
		for _, w := range p.workers {
			_ = w.Post(w.shutdown) // an error means that its backend never opened
		}
	}
	defer p.eachAppender((*Appender).reportLoss)
	for _, w := range p.workers {
		if err := waitFor(ctx, w.done); err != nil {
			return fmt.Errorf("shutdown of the completion port: worker %d: %w", w.index, err)
		}
	}
	return p.pool.shutdown(ctx)
}

// OnWorker reports whether it is called on a worker's thread, as far as the system
// tells.
func (p *Port) OnWorker() bool {
	thread := osThread()
	return slices.ContainsFunc(p.workers, func(w *Worker) bool {
		return thread != 0 && w.heavy.home == thread && !w.hasEnded() // else it is another's thread
	})
}

// Panics returns how many handlers have panicked.
func (p *Port) Panics() (n uint64) {
	for _, w := range p.workers {
		n += w.panics.Load()
	}
	return n
}
