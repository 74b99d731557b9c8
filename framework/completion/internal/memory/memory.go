// Package memory is an operating system for tests: files, pipes and stream
// sockets in memory, by descriptors that no real system has. Nothing in it
// blocks or makes a system call, so a port on it runs inside testing/synctest.
package memory

import (
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// firstFD is above every descriptor of a real system, so that the numbers of
// both can be told apart.
const firstFD = 1 << 30

var (
	lastFD atomic.Int64
	open   sync.Map // of the descriptors that are open, by number
)

// Of returns the descriptor with a number; nil if it is not one of this package.
func Of(number int) *FD {
	if number < firstFD {
		return nil
	}
	if fd, ok := open.Load(number); ok {
		return fd.(*FD)
	}
	return nil
}

// Close closes a descriptor by its number; it reports whether it was one of
// this package.
func Close(number int) bool {
	if number < firstFD {
		return false
	}
	if fd := Of(number); fd != nil {
		fd.Close()
	}
	return true
}

// Address is that of a socket: of TCP, or the path of a unix socket.
type Address struct {
	AddrPort netip.AddrPort
	Path     string
}

// System is a file system and a network, apart from those of every other System.
type System struct {
	// Clock is its time; nil: the time of the real system.
	Clock *Clock
	// Home is where sockets connect from that are bound to no address; the zero
	// Addr: from the address that they connect to.
	Home netip.Addr

	mu        sync.Mutex
	nodes     map[string]*node
	listeners map[Address]*FD
	lastID    uint64
	lastPort  uint16
	faults    []fault
	watches   []*watch
	ways      map[Address]way // where connects do not do as usual
}

// New returns a system without files.
func New() *System {
	return &System{nodes: make(map[string]*node), listeners: make(map[Address]*FD), ways: make(map[Address]way), lastPort: 1 << 15}
}

// FD is an open file, an end of a pipe, a socket or a listener. Its methods
// answer EAGAIN instead of waiting.
type FD struct {
	system *System
	number int
	notify func() // called, with the system's lock held, when a wait may be over

	node    *node // of a file
	name    string
	flag    int
	written bool // to the file

	error error // that a connect ends with; nil: none
	mute  bool  // nobody answers a connect

	in, out       *stream // of a stream; nil for a direction that it has not
	socket        bool
	local, remote Address
	linger        bool

	backlog   []*FD // of a listener
	listening bool
	closed    bool
}

func (s *System) add(fd *FD) *FD {
	fd.system = s
	fd.number = firstFD + int(lastFD.Add(1))
	open.Store(fd.number, fd)
	return fd
}

// Number returns the descriptor's number, for Of.
func (fd *FD) Number() int { return fd.number }

// File returns a number for the file that fd has open; false if it is a stream.
func (fd *FD) File() (uint64, bool) {
	if fd.node == nil {
		return 0, false
	}
	return fd.node.id, true
}

// Local returns the address that a socket or listener is bound to.
func (fd *FD) Local() Address { return fd.local }

// Remote returns the address of a socket's peer.
func (fd *FD) Remote() Address { return fd.remote }

// Notify has f called whenever an operation that was answered EAGAIN may go on.
// f must not call back.
func (fd *FD) Notify(f func()) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	fd.notify = f
}

func (fd *FD) wake() {
	if fd != nil && fd.notify != nil {
		fd.notify()
	}
}

// SetLinger makes the coming Close a reset.
func (fd *FD) SetLinger() {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	fd.linger = true
}

// Close closes the descriptor. What the peer of a socket has been sent it can
// still receive; after a reset, or if data was left unread here, it is told
// ECONNRESET then.
func (fd *FD) Close() {
	s := fd.system
	s.mu.Lock()
	defer s.mu.Unlock()
	fd.close()
}

func (fd *FD) close() {
	if fd.closed {
		return
	}
	fd.closed, fd.notify = true, nil
	open.Delete(fd.number)
	if fd.written {
		fd.system.changed(fd.name)
	}
	if fd.listening {
		delete(fd.system.listeners, fd.local)
		for _, waiting := range fd.backlog {
			waiting.linger = true
			waiting.close()
		}
		return
	}
	reset := fd.linger || fd.socket && len(fd.in.data) > 0
	if fd.out != nil {
		fd.out.ended = true
		fd.out.reset = fd.out.reset || reset
		fd.out.reader.wake()
	}
	if fd.in != nil {
		fd.in.abandoned, fd.in.data = true, nil
		fd.in.reset = fd.in.reset || reset
		fd.in.writer.wake()
	}
}

// node is a file or a directory.
type node struct {
	id       uint64
	folder   bool
	size     int64
	modified time.Time
	pages    map[int64]*[pageSize]byte // those that were written to
}

const pageSize = 16 << 10

func (s *System) node(name string, folder bool) *node {
	s.lastID++
	n := &node{id: s.lastID, folder: folder, modified: s.Time(), pages: make(map[int64]*[pageSize]byte)}
	s.nodes[name] = n
	return n
}

// Time returns the time of day.
func (s *System) Time() time.Time {
	if s.Clock == nil {
		return time.Now()
	}
	return Epoch.Add(s.Clock.Now())
}

// WriteFile makes a file, and the directories above it. No fault touches it.
func (s *System) WriteFile(name string, data []byte) {
	name = filepath.Clean(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	for folder := filepath.Dir(name); s.find(folder) == nil; folder = filepath.Dir(folder) {
		s.node(folder, true)
	}
	n := s.nodes[name]
	if n == nil {
		n = s.node(name, false)
	}
	n.truncate()
	n.writeAt(data, 0)
	n.modified = s.Time()
	s.changed(name)
}

func (n *node) truncate() {
	n.size = 0
	clear(n.pages)
}

// ReadFile returns what a file has.
func (s *System) ReadFile(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[filepath.Clean(name)]
	if n == nil || n.folder {
		return nil, syscall.ENOENT
	}
	data := make([]byte, n.size)
	n.readAt(data, 0)
	return data, nil
}

// Open opens a file as os.OpenFile does.
func (s *System) Open(name string, flag int) (*FD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = filepath.Clean(name)
	n := s.find(name)
	if err := s.fault(OpOpen, name); err != nil {
		return nil, err
	}
	made := false
	switch above := s.find(filepath.Dir(name)); {
	case above == nil:
		return nil, syscall.ENOENT
	case !above.folder:
		return nil, syscall.ENOTDIR
	case n == nil && flag&os.O_CREATE == 0:
		return nil, syscall.ENOENT
	case n != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, syscall.EEXIST
	case n != nil && n.folder && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, syscall.EISDIR
	case n == nil:
		n, made = s.node(name, false), true
	case flag&os.O_TRUNC != 0:
		n.truncate()
		made = true
	}
	return s.add(&FD{node: n, name: name, flag: flag, written: made}), nil
}

// ReadAt reads from a file; 0 bytes is its end.
func (fd *FD) ReadAt(p []byte, offset int64) (int, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	switch {
	case fd.flag&(os.O_WRONLY|os.O_RDWR) == os.O_WRONLY:
		return 0, syscall.EBADF
	case fd.node.folder:
		return 0, syscall.EISDIR
	}
	if err := fd.system.fault(OpRead, fd.name); err != nil {
		return 0, err
	}
	return fd.node.readAt(p, offset), nil
}

// WriteAt writes all of p to a file.
func (fd *FD) WriteAt(p []byte, offset int64) (int, error) {
	fd.system.mu.Lock()
	defer fd.system.mu.Unlock()
	if fd.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return 0, syscall.EBADF
	}
	if err := fd.system.fault(OpWrite, fd.name); err != nil {
		return 0, err
	}
	fd.written = true
	fd.node.modified = fd.system.Time()
	if fd.flag&os.O_APPEND != 0 {
		offset = fd.node.size
	}
	return fd.node.writeAt(p, offset), nil
}

func (n *node) readAt(p []byte, offset int64) int {
	p = p[:max(0, min(int64(len(p)), n.size-offset))]
	for done := 0; done < len(p); {
		at := offset + int64(done)
		part := p[done:min(len(p), done+pageSize-int(at%pageSize))]
		if page := n.pages[at/pageSize]; page != nil {
			copy(part, page[at%pageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(p)
}

func (n *node) writeAt(p []byte, offset int64) int {
	for done := 0; done < len(p); {
		at := offset + int64(done)
		page := n.pages[at/pageSize]
		if page == nil {
			page = new([pageSize]byte)
			n.pages[at/pageSize] = page
		}
		done += copy(page[at%pageSize:], p[done:])
	}
	n.size = max(n.size, offset+int64(len(p)))
	return len(p)
}
