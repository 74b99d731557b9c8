//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// bench has what all cases need.
type bench struct {
	settings
	dir     string // for the files of this run
	backend *backend

	certificate string // the file of one, with its key
}

func newBench(ctx context.Context, s settings) (*bench, error) {
	if err := raiseLimit(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "fwx-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: dir}
	if b.certificate, err = makeCertificate(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if b.backend, err = startBackend(ctx, net.ListenConfig{}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (b *bench) close() error {
	return errors.Join(b.backend.close(), os.RemoveAll(b.dir)) //nolint:gosec // our own folder
}

// Result is what the runs of a case came to.
type Result struct {
	Case     string     `json:"case"`
	About    string     `json:"about"`
	Baseline string     `json:"baseline,omitempty"`
	Rows     []Row      `json:"rows"`
	NotRun   []omission `json:"not_run,omitempty"`

	figures []Figure
}

// Row is the figures of one entry.
type Row struct {
	Entry   string             `json:"entry"`
	Figures map[Figure]summary `json:"figures"`
}

// omission is an entry that was not measured, and why.
type omission struct {
	Entry string `json:"entry"`
	Why   string `json:"why"`
}

// errIncomplete is the end of a run some of whose entries failed; why is in its output.
var errIncomplete = errors.New("not everything could be measured")

// measureAll measures the cases and prints what they came to.
func (b *bench) measureAll(ctx context.Context, cases []Case) error {
	report := struct {
		Conditions conditions `json:"conditions"`
		Results    []Result   `json:"results"`
	}{Conditions: currentConditions(ctx, b.settings)}
	if !b.json {
		fmt.Fprintln(os.Stdout, report.Conditions)
	}
	complete := true
	for _, c := range cases {
		result, ok := b.measure(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		complete = complete && ok
		report.Results = append(report.Results, result)
		if !b.json {
			fmt.Fprint(os.Stdout, "\n", result)
		}
	}
	if b.json {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return err
		}
	}
	if !complete {
		return errIncomplete
	}
	return nil
}

// measure takes the entries of a case in turn. It is complete if none has failed; one that
// misses a program has failed if FWX_REQUIRE is 1.
func (b *bench) measure(ctx context.Context, c Case) (result Result, complete bool) {
	result = Result{Case: c.Name, About: c.About, Baseline: c.Baseline, figures: c.Figures}
	complete = true
	var entries []Entry
	for _, e := range c.Entries {
		err := e.Missing()
		if err == nil {
			entries = append(entries, e)
			continue
		}
		result.NotRun = append(result.NotRun, omission{e.Name, err.Error()})
		_, isMissing := errors.AsType[missingError](err)
		complete = complete && (!isMissing || os.Getenv("FWX_REQUIRE") != "1")
	}
	samples := make([][]Sample, len(entries))
	failed := make([]bool, len(entries))
	for round := range b.rounds {
		for i, e := range entries {
			if failed[i] {
				continue
			}
			progress(os.Stderr, "%s, round %d of %d: %s", c.Name, round+1, b.rounds, e.Name)
			sample, err := e.Measure(ctx)
			if ctx.Err() != nil {
				return result, false
			}
			if err != nil {
				failed[i], complete = true, false
				result.NotRun = append(result.NotRun, omission{e.Name, err.Error()})
				continue
			}
			samples[i] = append(samples[i], sample)
		}
	}
	progress(os.Stderr, "")
	for i, e := range entries {
		if !failed[i] {
			result.Rows = append(result.Rows, Row{e.Name, summarizeAll(c.Figures, samples[i])})
		}
	}
	result.compare()
	return result, complete
}

func summarizeAll(figures []Figure, samples []Sample) map[Figure]summary {
	all := make(map[Figure]summary)
	for _, f := range figures {
		runs := make([]float64, len(samples))
		for i, sample := range samples {
			runs[i] = sample[f]
		}
		all[f] = summarize(runs)
	}
	return all
}

// compare puts the ratios to the baseline into the rows.
func (r *Result) compare() {
	var base map[Figure]summary
	for _, row := range r.Rows {
		if row.Entry == r.Baseline {
			base = row.Figures
		}
	}
	if base == nil {
		r.Baseline = ""
		return
	}
	for _, row := range r.Rows {
		for f, s := range row.Figures {
			if against := base[f].Median; against != 0 && !f.isPart() {
				s.Ratio = s.Median / against
				row.Figures[f] = s
			}
		}
	}
}

// progress shows on a terminal what is being done, in one line.
func progress(out *os.File, format string, args ...any) {
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		_, _ = io.WriteString(out, "\r\x1b[K"+fmt.Sprintf(format, args...)) // nothing depends on it
	}
}
