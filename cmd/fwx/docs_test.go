package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fwx/framework/fwxtest"
)

// TestDocs follows the README and the pages of the guide as a reader would, from top to
// bottom: it saves the files, runs the commands and looks at what they print.
func TestDocs(t *testing.T) {
	fwxtest.Require(t, "curl")
	fwxtest.Require(t, "sh")
	pages, err := filepath.Glob(filepath.Join(repository, "docs", "guide", "*.md"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("pages %q, %v", pages, err)
	}
	for _, path := range append(pages, filepath.Join(repository, "README.md")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text := readFile(t, path)
			if strings.Contains(text, "\nlogrotate ") {
				fwxtest.Require(t, "logrotate")
			}
			r := &reader{t: t, dir: newDirectory(t)}
			for _, block := range fencedBlock.FindAllStringSubmatch(text, -1) {
				r.read(block[1], block[2])
			}
			r.leave()
		})
	}
}

// reader is somebody who follows a page.
type reader struct {
	t       *testing.T
	dir     string
	gateway *gateway // that runs; nil: none does
	printed string   // by the last commands
	looking string   // the last commands, if they only look at what there is
}

var (
	// fencedBlock is a block of code, with its language.
	fencedBlock = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```\n")
	// fileName is the first line of one that is a file.
	fileName = regexp.MustCompile(`^(?:--|#) (\w+\.(?:lua|toml|conf))\n`)
	// looks matches commands that may be run again.
	looks = regexp.MustCompile(`^(?:(?:curl -s http|cat|ls) .*\n)+$`)
	// comment is what stands behind a command.
	comment = regexp.MustCompile(`(^|\s+)# .*$`)
)

func (r *reader) read(language, text string) {
	r.t.Helper()
	switch language {
	case "sh":
		r.printed, r.looking = "", ""
		for line := range strings.Lines(text) {
			r.run(strings.TrimSpace(comment.ReplaceAllString(strings.TrimRight(line, "\n"), "")))
		}
		if commands := lookingLines(text); looks.MatchString(commands) {
			r.looking = commands
		}
	case "text":
		for deadline := time.Now().Add(time.Minute); ; {
			missing := r.missing(text)
			if missing == "" {
				return
			}
			if r.looking == "" || time.Now().After(deadline) {
				r.t.Errorf("%q is not in what was printed:\n%s", missing, r.printed)
				return
			}
			r.printed = ""
			for line := range strings.Lines(r.looking) {
				r.shell(line)
			}
		}
	case "lua", "toml", "conf":
		r.save(text)
	case "go":
		if !strings.Contains(readFile(r.t, filepath.Join(repository, "examples/hosts/minimal/main.go")), text) {
			r.t.Errorf("this is not in examples/hosts/minimal/main.go:\n%s", text)
		}
	default:
		r.t.Errorf("a block in %q, which nobody follows:\n%s", language, text)
	}
}

// lookingLines returns the commands after those that change something: what follows from
// the change may take a moment to be seen.
func lookingLines(commands string) string {
	lines := slices.Collect(strings.Lines(commands))
	for i := len(lines); i > 0; i-- {
		if !looks.MatchString(lines[i-1]) {
			return strings.Join(lines[i:], "")
		}
	}
	return commands
}

// missing returns a line of a text that was not printed; empty: all were.
func (r *reader) missing(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "…" && !strings.Contains(r.printed, line) {
			return line
		}
	}
	return ""
}

// here puts the directory in the place of the one in the pages, and the program in that of its service.
func (r *reader) here(text string) string {
	text = strings.ReplaceAll(text, "/srv/fwx", r.dir)
	if r.gateway != nil {
		text = strings.ReplaceAll(text, "systemctl reload fwx", "kill -HUP "+strconv.Itoa(r.gateway.process.Process.Pid))
	}
	return text
}

// save saves a file, and has it looked at: a test is run, the others are checked.
func (r *reader) save(text string) {
	r.t.Helper()
	m := fileName.FindStringSubmatch(text)
	if m == nil {
		r.t.Errorf("a file whose first line is not its name:\n%s", text)
		return
	}
	name := m[1]
	write(r.t, filepath.Join(r.dir, name), r.here(text))
	switch {
	case strings.HasSuffix(name, ".conf"): // of another program
	case strings.HasSuffix(name, "_test.lua"):
		r.run("fwx test " + name)
	case strings.HasSuffix(name, ".toml"):
		r.run("fwx check -c " + name)
	default:
		write(r.t, filepath.Join(r.dir, "checked.toml"), "[[upstream]]\nname = \"site\"\nservers = [\"builtin:demo\"]\n"+
			"[[filter]]\nname = \"it\"\nkind = \"lua\"\nscript = \""+name+"\"\n"+
			"[[listener]]\nname = \"web\"\nlisten = \"127.0.0.1:0\"\nupstream = \"site\"\n") // not used, so that it is only compiled: its settings come with a configuration
		r.run("fwx check -c checked.toml")
	}
}

// run runs a command.
func (r *reader) run(command string) {
	r.t.Helper()
	command = strings.Replace(command, "go run ./cmd/fwx", "fwx", 1)
	arguments := strings.Fields(command)
	switch {
	case len(arguments) == 0 || strings.HasPrefix(command, "go test"):
	case arguments[0] == "cd":
		r.dir = filepath.Join(r.dir, arguments[1])
	case strings.HasPrefix(command, "fwx run"):
		r.leave()
		r.freePorts()
		r.gateway = start(r.t, r.dir, arguments[1:]...)
	default:
		r.shell(command)
	}
}

func (r *reader) shell(command string) {
	r.t.Helper()
	command = r.here(command)
	if r.gateway != nil {
		command = strings.ReplaceAll(command, "127.0.0.1:8080", r.gateway.address)
		if strings.Contains(r.gateway.logged(), "msg=admin") {
			command = strings.ReplaceAll(command, "127.0.0.1:9901", r.gateway.admin())
			command = strings.Replace(command, "fwx console", "fwx console -a "+r.gateway.admin(), 1)
		}
	}
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	shell := exec.CommandContext(r.t.Context(), "sh", "-ec", "fwx() { "+actAsProgram+"=1 '"+self+"' \"$@\"; }\n"+command)
	shell.Dir = r.dir
	printed, err := shell.CombinedOutput()
	r.printed += string(printed)
	if err != nil {
		r.t.Errorf("%s: %v\n%s", command, err, printed)
	}
}

// freePorts has the configurations listen on free ports.
func (r *reader) freePorts() {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, "*.toml"))
	if err != nil {
		r.t.Fatal(err)
	}
	ports := regexp.MustCompile(`"127\.0\.0\.1:(8080|8443|9901)"`)
	for _, path := range paths {
		write(r.t, path, ports.ReplaceAllString(readFile(r.t, path), `"127.0.0.1:0"`))
	}
}

// leave ends the gateway that runs.
func (r *reader) leave() {
	r.t.Helper()
	if r.gateway != nil {
		r.gateway.stop()
		r.gateway = nil
	}
}
