package testkit

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report writes what became of tests for people: files as they end, and with verbose
// each test.
type Report struct {
	out     io.Writer
	verbose bool
	files   []File
}

// NewReport returns a report without files.
func NewReport(out io.Writer, verbose bool) *Report { return &Report{out: out, verbose: verbose} }

// Add adds a file.
func (r *Report) Add(f File) {
	r.files = append(r.files, f)
	if f.Err != nil {
		fmt.Fprintf(r.out, "FAIL  %s\n%s\n", f.Path, indented(f.Err.Error()))
		return
	}
	for _, t := range f.Tests {
		if t.Failure != "" || r.verbose {
			fmt.Fprintf(r.out, "%s  %s: %s%s\n%s", word(t.Failure == ""), f.Path, t.Name, r.took(t.Took), indentedText(t.Failure, t.Output))
		}
	}
	if len(f.Tests) > 0 && f.Failed() == 0 && !r.verbose {
		fmt.Fprintf(r.out, "ok    %s (%d)\n", f.Path, len(f.Tests))
	}
}

// Empty reports whether nothing was run, and nothing has failed.
func (r *Report) Empty() bool {
	return !slices.ContainsFunc(r.files, func(f File) bool { return f.Err != nil || len(f.Tests) > 0 })
}

// End writes how many have passed, and reports whether all have.
func (r *Report) End() bool {
	tests, failed := 0, 0
	for _, f := range r.files {
		tests += len(f.Tests)
		failed += f.Failed()
		if f.Err != nil {
			tests++
		}
	}
	switch {
	case failed > 0:
		fmt.Fprintf(r.out, "%d of %d tests failed\n", failed, tests)
	case tests == 1:
		fmt.Fprintln(r.out, "1 test passed")
	default:
		fmt.Fprintf(r.out, "%d tests passed\n", tests)
	}
	return failed == 0
}

func (r *Report) took(d time.Duration) string {
	if !r.verbose {
		return ""
	}
	return fmt.Sprintf(" (%v)", d.Round(time.Millisecond/10))
}

func word(passed bool) string {
	if passed {
		return "ok  "
	}
	return "FAIL"
}

// indented puts each line of a text a little to the right.
func indented(text string) string {
	return "      " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ")
}

// indentedText is indented for texts that may be empty; each ends its line.
func indentedText(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		if text != "" {
			b.WriteString(indented(text) + "\n")
		}
	}
	return b.String()
}

// The elements of JUnit's XML, as far as its readers agree on them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes what became of the tests as XML, as JUnit does.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{}
	for _, f := range r.files {
		s := junitOf(f)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitOf(f File) junitSuite {
	class := strings.TrimSuffix(f.Path, ".lua")
	s := junitSuite{Name: f.Path, Tests: len(f.Tests)}
	var took time.Duration
	if f.Err != nil {
		s.Tests, s.Errors = s.Tests+1, 1
		s.Cases = append(s.Cases, junitCase{Name: f.Path, Class: class, File: f.Path, Time: seconds(0), Error: message(f.Err.Error())})
	}
	for _, t := range f.Tests {
		c := junitCase{Name: t.Name, Class: class, File: f.Path, Time: seconds(t.Took), Output: t.Output}
		if t.Failure != "" {
			s.Failures++
			c.Failure = message(t.Failure)
		}
		took += t.Took
		s.Cases = append(s.Cases, c)
	}
	s.Time = seconds(took)
	return s
}

func message(text string) *junitMessage {
	first, _, _ := strings.Cut(text, "\n")
	return &junitMessage{first, text}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
