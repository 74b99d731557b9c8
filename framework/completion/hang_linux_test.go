//go:build !portable

package completion_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// TestHangingFile has far more reads on a file that hangs than there are threads,
// and works with another file meanwhile.
func TestHangingFile(t *testing.T) {
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) { hangingFile(t, backend) })
	}
}

func hangingFile(t *testing.T, backend string) {
	t.Helper()
	const reads, threads = 100, 8
	server := mountHanging(t)
	w := openWith(t, completion.Options{Backend: backend, Workers: 1, FileThreads: threads})
	ended := make(chan error, reads)
	hanging := openHandle(t, w, server.file)
	check(t, w.Call(func() {
		for range reads {
			o := overlappedFor(w, completion.CompletionFunc(func(_ bool, _ int, err error, _ *completion.Overlapped, _ any) { ended <- err }))
			ov, err := o.GetOverlapped()
			must(err)
			must(hanging.ReadFile(ov, make([]byte, 10)))
		}
	}))
	server.waitForRead(t)
	other := openHandle(t, w, filepath.Join(t.TempDir(), "other"))
	for range 3 {
		step(t, w, other.Sync)
		step(t, w, func(o *completion.Overlapped) error {
			ov, err := o.GetOverlapped()
			must(err)
			return other.WriteFile(ov, make([]byte, 1<<20))
		})
	}
	if n := len(ended); n > 0 {
		t.Errorf("%d reads of the file that hangs have ended: %v", n, <-ended)
	}
	if n := server.reading(); n > threads/4 {
		t.Errorf("%d reads of one file have a thread of %d", n, threads)
	}
	server.release()
	for range reads {
		if err := <-ended; err == nil {
			t.Error("a read of the file that hangs succeeded")
		}
	}
}

func openWith(t *testing.T, options completion.Options) *completion.Worker {
	t.Helper()
	p, err := completion.New(options)
	check(t, err)
	t.Cleanup(func() { check(t, p.Shutdown(context.Background())) })
	return p.Workers()[0]
}

// step does one operation and returns its value.
func step(t *testing.T, w *completion.Worker, start func(*completion.Overlapped) error) any {
	t.Helper()
	type result struct {
		value any
		err   error
	}
	done := make(chan result, 1)
	check(t, w.Call(func() {
		must(start(overlappedFor(w, completion.CompletionFunc(func(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
			done <- result{o.TakeValue(), err}
		}))))
	}))
	select {
	case r := <-done:
		check(t, r.err)
		return r.value
	case <-time.After(20 * time.Second):
		t.Fatal("timed out")
		return nil
	}
}

func openHandle(t *testing.T, w *completion.Worker, name string) *completion.Handle {
	t.Helper()
	h, ok := step(t, w, func(o *completion.Overlapped) error {
		return w.OpenFile(o, nil, name, os.O_CREATE|os.O_RDWR, 0o600)
	}).(*completion.Handle)
	if !ok {
		t.Fatal("no handle")
	}
	return h
}

// hangingServer is a file system with one file, of which no read is answered.
type hangingServer struct {
	file    string
	device  int
	release func()

	mu       sync.Mutex
	reads    []uint64
	first    chan struct{}
	released bool
}

// mountHanging mounts one; without the right to do so the test is skipped.
func mountHanging(t *testing.T) *hangingServer {
	t.Helper()
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(os.NewSyscallError("open of /dev/fuse", err))
	}
	dir := t.TempDir()
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := unix.Mount("fwx-test", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		_ = unix.Close(device)
		t.Skip(os.NewSyscallError("mount", err))
	}
	s := &hangingServer{file: filepath.Join(dir, "file"), device: device, first: make(chan struct{}, 1)}
	s.release = sync.OnceFunc(s.answerReads)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.serve()
	}()
	t.Cleanup(func() {
		s.release()
		check(t, unix.Unmount(dir, unix.MNT_DETACH|unix.MNT_FORCE)) // which ends the server's read
		<-ended
		check(t, unix.Close(device))
	})
	return s
}

// What the kernel asks of a FUSE server.
const (
	fuseLookup    = 1
	fuseForget    = 2
	fuseGetattr   = 3
	fuseOpen      = 14
	fuseRead      = 15
	fuseRelease   = 18
	fuseFlush     = 25
	fuseInit      = 26
	fuseInterrupt = 36
	fuseDestroy   = 38

	fuseRoot       = 1
	fuseFile       = 2
	fuseInHeader   = 40
	fuseOutHeader  = 16
	fuseMaxRequest = 1 << 17
	fuseDirectIO   = 1
)

func (s *hangingServer) serve() {
	buf := make([]byte, fuseMaxRequest)
	for {
		n, err := unix.Read(s.device, buf)
		if err != nil || n < fuseInHeader {
			return
		}
		order := binary.NativeEndian
		unique, node := order.Uint64(buf[8:]), order.Uint64(buf[16:])
		switch order.Uint32(buf[4:]) {
		case fuseInit:
			out := make([]byte, 64)
			order.PutUint32(out, 7)
			order.PutUint32(out[4:], 31)
			order.PutUint32(out[20:], 4096)
			s.answer(unique, 0, out)
		case fuseLookup:
			out := make([]byte, 40, 128)
			order.PutUint64(out, fuseFile)
			s.answer(unique, 0, append(out, fuseAttributes(fuseFile)...))
		case fuseGetattr:
			s.answer(unique, 0, append(make([]byte, 16, 104), fuseAttributes(node)...))
		case fuseOpen:
			out := make([]byte, 16)
			order.PutUint32(out[8:], fuseDirectIO)
			s.answer(unique, 0, out)
		case fuseRead:
			s.read(unique)
		case fuseRelease, fuseFlush, fuseDestroy:
			s.answer(unique, 0, nil)
		case fuseForget, fuseInterrupt:
		default:
			s.answer(unique, unix.ENOSYS, nil)
		}
	}
}

func fuseAttributes(node uint64) []byte {
	out := make([]byte, 88)
	binary.NativeEndian.PutUint64(out, node)
	binary.NativeEndian.PutUint64(out[8:], 1<<20)
	mode := uint32(unix.S_IFREG | 0o600)
	if node == fuseRoot {
		mode = unix.S_IFDIR | 0o700
	}
	binary.NativeEndian.PutUint32(out[60:], mode)
	binary.NativeEndian.PutUint32(out[64:], 1)
	return out
}

func (s *hangingServer) answer(unique uint64, errno unix.Errno, out []byte) {
	header := make([]byte, fuseOutHeader, fuseOutHeader+len(out))
	binary.NativeEndian.PutUint32(header, uint32(fuseOutHeader+len(out)))
	binary.NativeEndian.PutUint32(header[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(header[8:], unique)
	_, _ = unix.Write(s.device, append(header, out...)) // the request may have been interrupted
}

// read keeps a read until the release.
func (s *hangingServer) read(unique uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		s.answer(unique, unix.EIO, nil)
		return
	}
	s.reads = append(s.reads, unique)
	select {
	case s.first <- struct{}{}:
	default:
	}
}

func (s *hangingServer) reading() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reads)
}

func (s *hangingServer) waitForRead(t *testing.T) {
	t.Helper()
	select {
	case <-s.first:
	case <-time.After(20 * time.Second):
		t.Fatal("no read has come")
	}
}

func (s *hangingServer) answerReads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = true
	for _, unique := range s.reads {
		s.answer(unique, unix.EIO, nil)
	}
}
