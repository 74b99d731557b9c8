//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// readByPort reads with one worker of the completion port, on a backend of it.
func (b *bench) readByPort(ctx context.Context, backend string, job fileJob) (sample Sample, err error) {
	path, err := b.dataFile()
	if err != nil {
		return nil, err
	}
	p, err := completion.New(completion.Options{Workers: 1, Backend: backend, Logger: slog.New(slog.DiscardHandler)}) //nolint:contextcheck // a port takes none
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Shutdown(context.WithoutCancel(ctx))) }() // to its end
	flags := unix.O_RDONLY | unix.O_CLOEXEC
	if job.direct {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(-1, 0, job.depth*readSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unix.Munmap(memory)) }()

	w := p.Workers()[0]
	r := &reader{blocks: uint64(b.fileSize() / readSize), seed: uint64(time.Now().UnixNano()), ended: make(chan error, 1)}
	startErr := error(nil)
	err = w.Call(func() {
		if r.file, startErr = w.HookToCompletionPort(fd); startErr == nil {
			startErr = r.start(w, memory, job.depth)
		}
	})
	if err = errors.Join(err, startErr); err != nil {
		return nil, err
	}
	count := func() (n int) {
		err = errors.Join(err, w.Call(func() { n = r.reads }))
		return n
	}
	first, begun, used := count(), time.Now(), cpuTime()
	waitErr := sleep(ctx, b.duration)
	last, took, now := count(), time.Since(begun), cpuTime()
	err = errors.Join(err, waitErr, w.Call(func() { r.stop = true }), <-r.ended)
	n := float64(last - first)
	return Sample{Reads: n / took.Seconds(), CPU: micros(now-used) / n}, err
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reader keeps reads of random blocks in flight.
type reader struct {
	file   *completion.Handle
	blocks uint64
	seed   uint64
	reads  int
	flying int
	stop   bool
	err    error
	ended  chan error
}

func (r *reader) start(w *completion.Worker, memory []byte, depth int) error {
	for i := range depth {
		o := w.CreateOverlapped()
		if err := o.SetNotificationInterface(r, memory[i*readSize:][:readSize]); err != nil {
			return err
		}
		r.flying++
		r.next(o, memory[i*readSize:][:readSize])
	}
	return r.err
}

// CompleteAsyncIO starts the next read.
func (r *reader) CompleteAsyncIO(_ bool, n int, err error, o *completion.Overlapped, user any) {
	buf, _ := user.([]byte)
	r.reads++
	if err == nil && n != len(buf) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		r.err, r.stop = err, true
	}
	r.next(o, buf)
}

func (r *reader) next(o *completion.Overlapped, buf []byte) {
	if !r.stop {
		err := r.read(o, buf)
		if err == nil {
			return
		}
		r.err, r.stop = err, true
	}
	if r.flying--; r.flying == 0 {
		r.ended <- r.err
	}
}

func (r *reader) read(o *completion.Overlapped, buf []byte) error {
	ov, err := o.GetOverlapped()
	if err != nil {
		return err
	}
	// xorshift
	r.seed ^= r.seed << 13
	r.seed ^= r.seed >> 7
	r.seed ^= r.seed << 17
	ov.Offset = int64(r.seed%r.blocks) * readSize
	return r.file.ReadFile(ov, buf)
}
