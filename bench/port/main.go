//go:build linux

// Command port measures the completion port's file path against fio on the same
// file: random reads of 4 KiB, one worker against one job, in alternating runs.
//
//	go run ./bench/port [-short] [-tuned] [-dir folder] [-backend io_uring]
//
// The page cache is warm for the first rows; the others read with O_DIRECT. A ratio
// of 1 is as many reads a second as fio, more is better.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

const blockSize = 4096

var depths = []int{1, 8, 32, 128}

// settings are what a comparison is made with.
type settings struct {
	backend string
	dir     string
	size    int64
	rounds  int
	time    time.Duration
	depths  []int
	direct  []bool
	tuned   bool
}

func main() {
	s := settings{size: 256 << 20, rounds: 5, time: 2 * time.Second, depths: depths, direct: []bool{false, true}}
	short := flag.Bool("short", false, "take a few seconds, with less precise results")
	depth := flag.Int("depth", 0, "measure this queue depth only")
	mode := flag.String("mode", "", "measure \"cached\" or \"direct\" only")
	flag.StringVar(&s.backend, "backend", "auto", "the port's backend")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where the file is made; its file system is what is measured")
	flag.IntVar(&s.rounds, "rounds", s.rounds, "how many runs each median is of")
	flag.DurationVar(&s.time, "time", s.time, "how long a run takes")
	flag.BoolVar(&s.tuned, "tuned", false, "let fio submit in batches, with registered files and buffers")
	flag.Parse()
	if *short {
		s.size, s.rounds, s.time = 64<<20, 1, 300*time.Millisecond
	}
	if *depth > 0 {
		s.depths = []int{*depth}
	}
	switch *mode {
	case "":
	case "cached":
		s.direct = []bool{false}
	case "direct":
		s.direct = []bool{true}
	default:
		fail(fmt.Errorf("mode %q: there are cached, direct", *mode))
	}
	if err := run(context.Background(), os.Stdout, s); err != nil {
		fail(err)
	}
}

func fail(err error) {
	say(os.Stderr, "port: %v\n", err)
	os.Exit(1)
}

func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format, args...) // to a terminal, which nothing can be done about
}

func run(ctx context.Context, out io.Writer, s settings) error {
	fio, err := exec.LookPath("fio")
	if err != nil {
		say(out, "fio is not installed: the port is measured alone, and there is nothing to compare it with.\n")
	}
	dir, err := os.MkdirTemp(s.dir, "fwx-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a temporary folder
	name := filepath.Join(dir, "data")
	if err := makeFile(name, s.size); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	say(table, "reads\tdepth\tport/s\tµs CPU\tfio/s\tµs CPU\tratio\t\n")
	for _, direct := range s.direct {
		for _, depth := range s.depths {
			if err := compare(ctx, table, s, fio, name, depth, direct); err != nil {
				return errors.Join(err, table.Flush())
			}
		}
	}
	return table.Flush()
}

// compare measures both in turn and adds the medians to the table.
func compare(ctx context.Context, table io.Writer, s settings, fio, name string, depth int, direct bool) error {
	var ours, theirs []measurement
	for range s.rounds {
		m, err := measurePort(s, name, depth, direct) //nolint:contextcheck // a port takes none
		if err != nil {
			return err
		}
		ours = append(ours, m)
		if fio == "" {
			continue
		}
		if m, err = measureFio(ctx, fio, s, name, depth, direct); err != nil {
			return err
		}
		theirs = append(theirs, m)
	}
	kind := "cached"
	if direct {
		kind = "direct"
	}
	a := median(ours)
	say(table, "%s\t%d\t%.0f\t%.2f\t", kind, depth, a.rate, a.cpu)
	if fio == "" {
		say(table, "-\t-\t-\t\n")
		return nil
	}
	b := median(theirs)
	say(table, "%.0f\t%.2f\t%.2f\t\n", b.rate, b.cpu, a.rate/b.rate)
	return nil
}

// measurement is reads a second and the CPU time of each in microseconds.
type measurement struct{ rate, cpu float64 }

func median(all []measurement) measurement {
	slices.SortFunc(all, func(a, b measurement) int { return int(a.rate - b.rate) })
	return all[len(all)/2]
}

func makeFile(name string, size int64) error {
	f, err := os.Create(name) //nolint:gosec // the program's own file
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for written := int64(0); written < size && err == nil; written += int64(len(block)) {
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func measureFio(ctx context.Context, fio string, s settings, name string, depth int, direct bool) (measurement, error) {
	args := []string{
		"--name=port", "--ioengine=io_uring", "--rw=randread", "--bs=4k", "--norandommap", "--randrepeat=0",
		"--invalidate=0", "--gtod_reduce=1", "--thread", "--time_based", "--output-format=json",
		"--filename=" + name, "--size=" + strconv.FormatInt(s.size, 10), "--iodepth=" + strconv.Itoa(depth),
		"--runtime=" + strconv.FormatInt(s.time.Milliseconds(), 10) + "ms",
	}
	if direct {
		args = append(args, "--direct=1")
	}
	if s.tuned {
		batch := strconv.Itoa(max(1, depth/2))
		args = append(args, "--registerfiles", "--fixedbufs", "--iodepth_batch_submit="+batch,
			"--iodepth_batch_complete_min=1", "--iodepth_batch_complete_max="+strconv.Itoa(depth))
	}
	text, err := exec.CommandContext(ctx, fio, args...).Output() //nolint:gosec // fio, wherever it is installed
	if err != nil {
		return measurement{}, fmt.Errorf("fio: %w", err)
	}
	var report struct {
		Jobs []struct {
			Read struct {
				IOPS float64 `json:"iops"`
			} `json:"read"`
			User   float64 `json:"usr_cpu"`
			System float64 `json:"sys_cpu"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return measurement{}, fmt.Errorf("the report of fio: %w", err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Read.IOPS == 0 {
		return measurement{}, errors.New("fio has read nothing")
	}
	j := report.Jobs[0]
	return measurement{rate: j.Read.IOPS, cpu: (j.User + j.System) / 100 / j.Read.IOPS * 1e6}, nil
}

func measurePort(s settings, name string, depth int, direct bool) (m measurement, err error) {
	p, err := completion.New(completion.Options{Workers: 1, Backend: s.backend})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, p.Shutdown(context.Background())) }()
	flags := unix.O_RDONLY | unix.O_CLOEXEC
	if direct {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Open(name, flags, 0)
	if err != nil {
		return m, err
	}
	memory, err := unix.Mmap(-1, 0, depth*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, unix.Munmap(memory)) }()

	w := p.Workers()[0]
	r := &reader{blocks: uint64(s.size / blockSize), seed: uint64(time.Now().UnixNano()), ended: make(chan error, 1)}
	startErr := error(nil)
	err = w.Call(func() {
		if r.file, startErr = w.HookToCompletionPort(fd); startErr == nil {
			startErr = r.start(w, memory, depth)
		}
	})
	if err = errors.Join(err, startErr); err != nil {
		return m, err
	}
	count := func() (n int) {
		err = errors.Join(err, w.Call(func() { n = r.reads }))
		return n
	}
	first, begun, used := count(), time.Now(), cpuTime()
	time.Sleep(s.time)
	last, took, now := count(), time.Since(begun), cpuTime()
	err = errors.Join(err, w.Call(func() { r.stop = true }), <-r.ended)
	n := float64(last - first)
	return measurement{rate: n / took.Seconds(), cpu: float64((now - used).Microseconds()) / n}, err
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
		if err := o.SetNotificationInterface(r, memory[i*blockSize:][:blockSize]); err != nil {
			return err
		}
		r.flying++
		r.next(o, memory[i*blockSize:][:blockSize])
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
	ov.Offset = int64(r.seed%r.blocks) * blockSize
	return r.file.ReadFile(ov, buf)
}
