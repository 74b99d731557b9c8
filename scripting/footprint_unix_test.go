//go:build unix

package scripting

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// TestSuspendedHandlers has a handler wait on each of many connections, and looks how
// much memory a connection takes then: all of it that is on Go's heap or a stack, the
// connection itself and its filter included. The third decision says what it is made of.
func TestSuspendedHandlers(t *testing.T) {
	if fwxtest.RaceEnabled {
		t.Skip("the race detector has memory of its own for everything")
	}
	for _, row := range []struct {
		handler string
		files   int // of this process, for each connection
		most    int64
	}{{handlerConnect, 2, 4 << 10}, {handlerData, 4, 6 << 10}} {
		for _, backend := range backends {
			t.Run(row.handler+"/"+backend, func(t *testing.T) {
				n := connectionsToTry(t, row.files)
				sockets := newRawSockets(t, row.files*(n+100))
				config := framework.Config{Service: framework.ServiceConfig{Backend: backend, Workers: 1, MaxConnections: 2 * n}}
				g := newGatewayFrom(t, sockets.address, config, "function M."+row.handler+"() fwx.sleep(3600) end").start()
				gateway := netip.MustParseAddrPort(g.fw.ListenAddress("web").String())
				begin := func(count int) {
					t.Helper()
					for range count {
						client := sockets.connect(gateway)
						if row.handler == handlerData {
							sockets.accept()
							_, err := unix.Write(client, []byte("x"))
							sockets.must(err)
						}
					}
				}
				begin(100) // what there is but once
				fwxtest.Eventually(t, patience, "the first handlers wait", func() bool { return g.waiting() == 100 })
				heap, stacks := memoryInUse()
				begin(n)
				fwxtest.Eventually(t, patience, "all handlers wait", func() bool { return g.waiting() == 100+n })
				heapThen, stacksThen := memoryInUse()
				heap, stacks = (heapThen-heap)/int64(n), (stacksThen-stacks)/int64(n)
				each := heap + stacks
				t.Logf("%d connections with a handler that waits take %d bytes each: %d on the heap, %d of stacks", n, each, heap, stacks)
				if each >= row.most {
					t.Errorf("%d bytes for each connection, %d or more", each, row.most)
				}
			})
		}
	}
}

// connectionsToTry is 10,000 if long tests are asked for and 2,000 otherwise, or as many as the
// limit of open files has room for.
func connectionsToTry(t *testing.T, files int) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const first, others, fewest = 100, 200, 100
	wanted := 2000
	if fwxtest.Long() {
		wanted = 10_000
	}
	n := int(min(uint64(limit.Cur), uint64(files*(wanted+first)+others))-others)/files - first //nolint:unconvert // it is signed on some systems
	if n < fewest {
		t.Fatalf("a limit of %d open files is too low", limit.Cur)
	}
	return n
}

// memoryInUse returns the bytes on the heap and of stacks, without garbage.
func memoryInUse() (heap, stacks int64) {
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// rawSockets are sockets of which the process knows nothing but their numbers.
type rawSockets struct {
	t        *testing.T
	all      []int
	listener int
	address  string // of the listener
}

func newRawSockets(t *testing.T, room int) *rawSockets {
	t.Helper()
	r := &rawSockets{t: t, all: make([]int, 0, room)}
	t.Cleanup(func() {
		for _, fd := range r.all {
			_ = unix.Close(fd)
		}
	})
	r.listener = r.open(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	r.must(unix.Bind(r.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	r.must(unix.Listen(r.listener, 128))
	name, err := unix.Getsockname(r.listener)
	r.must(err)
	at, _ := name.(*unix.SockaddrInet4)
	r.address = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String()
	return r
}

func (r *rawSockets) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rawSockets) open(fd int, err error) int {
	r.t.Helper()
	r.must(err)
	r.all = append(r.all, fd)
	return fd
}

// accept takes a connection to the listener.
func (r *rawSockets) accept() {
	r.t.Helper()
	fd, _, err := unix.Accept(r.listener)
	r.open(fd, err)
}

func (r *rawSockets) connect(to netip.AddrPort) int {
	r.t.Helper()
	fd := r.open(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	r.must(unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	return fd
}
