package completion

import (
	"os"
	"runtime"
	"strings"
	"sync"
)

// processors are those of Go's scheduler: how many threads may run at a time. Workers
// have theirs besides those of all other goroutines, so that none of these misses one
// that a worker keeps while it waits. If the environment says how many there are, that is
// what there are.
var processors = struct {
	given bool // by the environment
	usual int  // before there was any port

	sync.Mutex
	workers int // of all ports
}{given: os.Getenv("GOMAXPROCS") != "", usual: runtime.GOMAXPROCS(0)}

// keepProcessor is whether a worker may keep its processor while it waits. Go's scheduler
// must then be able to interrupt the wait by a signal.
var keepProcessor = !processors.given && !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff=1")

// takeProcessors takes a processor for each of n workers. What one needs no more, it
// gives back by giveProcessor; that serves the next.
func takeProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	processors.workers += n
	if want := processors.usual + processors.workers; !processors.given && runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

func giveProcessor() {
	processors.Lock()
	defer processors.Unlock()
	processors.workers--
}
