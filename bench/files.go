//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const readSize = 4 << 10 // of each read of a file

// fileJob is reads of random places of a file.
type fileJob struct {
	depth  int  // how many are in flight
	direct bool // past the page cache
}

// files is the completion port reading a file, beside fio.
func (b *bench) files() []Case {
	depths := []int{1, 8, 32, 128}
	cases := make([]Case, 0, 2*len(depths))
	for _, direct := range []bool{false, true} {
		for _, depth := range depths {
			cases = append(cases, b.reads(fileJob{depth, direct}))
		}
	}
	return cases
}

func (b *bench) reads(job fileJob) Case {
	kind, missing := "cached", func() error { return nil }
	if job.direct {
		kind, missing = "direct", b.directIO
	}
	entry := func(name string, check func() error, measure func(context.Context, fileJob) (Sample, error)) Entry {
		return Entry{
			Name:    name,
			Missing: func() error { return errors.Join(check(), missing()) },
			Measure: func(ctx context.Context) (Sample, error) { return measure(ctx, job) },
		}
	}
	port := func(name, backend string) Entry {
		return entry(name, func() error { return refused(backend) }, func(ctx context.Context, job fileJob) (Sample, error) {
			return b.readByPort(ctx, backend, job)
		})
	}
	fio := installed(need{"fio", "fio"})
	return Case{
		Name:     fmt.Sprintf("file-%s-%d", kind, job.depth),
		About:    fmt.Sprintf("reads of 4 KiB at random places of a file, %s, %d in flight, one thread", kind, job.depth),
		Figures:  []Figure{Reads, CPU},
		Baseline: "fio",
		Entries: []Entry{
			entry("fio", fio, func(ctx context.Context, job fileJob) (Sample, error) { return b.readByFio(ctx, job) }),
			entry("fio-tuned", fio, func(ctx context.Context, job fileJob) (Sample, error) {
				batch := strconv.Itoa(max(1, job.depth/2))
				return b.readByFio(ctx, job, "--registerfiles", "--fixedbufs", "--iodepth_batch_submit="+batch,
					"--iodepth_batch_complete_min=1", "--iodepth_batch_complete_max="+strconv.Itoa(job.depth))
			}),
			port("port-uring", uring), port("port-epoll", epoll),
		},
	}
}

func (b *bench) fileSize() int64 {
	if b.short {
		return 16 << 20
	}
	return 256 << 20
}

// dataFile returns the path of the file that is read. It makes it when it is first asked.
func (b *bench) dataFile() (string, error) {
	path := filepath.Join(b.dir, "data")
	if _, err := os.Stat(path); err == nil { //nolint:gosec // our own file
		return path, nil
	}
	file, err := os.Create(path) //nolint:gosec // our own file
	if err != nil {
		return "", err
	}
	for written := int64(0); written < b.fileSize() && err == nil; written += blockSize {
		_, err = file.Write(block)
	}
	return path, errors.Join(err, file.Sync(), file.Close())
}

// directIO tells why the file cannot be read past the page cache, nil if it can.
func (b *bench) directIO() error {
	path := filepath.Join(b.dir, "direct")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_DIRECT, 0o600)
	if err != nil {
		return fmt.Errorf("the file system of %s knows no direct I/O (-dir names another): %w", b.settings.dir, err)
	}
	return errors.Join(unix.Close(fd), os.Remove(path))
}

// readByFio lets fio read with io_uring.
func (b *bench) readByFio(ctx context.Context, job fileJob, options ...string) (Sample, error) {
	path, err := b.dataFile()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--name=port", "--ioengine=io_uring", "--rw=randread", "--bs=4k", "--norandommap", "--randrepeat=0",
		"--invalidate=0", "--gtod_reduce=1", "--thread", "--time_based", "--output-format=json",
		"--filename=" + path, "--size=" + strconv.FormatInt(b.fileSize(), 10), "--iodepth=" + strconv.Itoa(job.depth),
		"--runtime=" + strconv.FormatInt(b.duration.Milliseconds(), 10) + "ms",
	}, options...)
	if job.direct {
		args = append(args, "--direct=1")
	}
	text, err := exec.CommandContext(ctx, "fio", args...).Output() //nolint:gosec // fio, wherever it is installed
	if err != nil {
		return nil, fmt.Errorf("fio: %w", err)
	}
	return parseFio(text)
}

// parseFio reads the report of fio.
func parseFio(text []byte) (Sample, error) {
	var report struct {
		Jobs []struct {
			Read struct {
				IOPS float64 `json:"iops"`
			} `json:"read"`
			User   float64 `json:"usr_cpu"` // percent
			System float64 `json:"sys_cpu"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("the report of fio: %w", err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Read.IOPS == 0 {
		return nil, errors.New("fio has read nothing")
	}
	j := report.Jobs[0]
	return Sample{Reads: j.Read.IOPS, CPU: (j.User + j.System) / 100 / j.Read.IOPS * 1e6}, nil
}
