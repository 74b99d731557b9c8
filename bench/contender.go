//go:build linux

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/template"

	"fwx/framework/completion"
)

// Contender is a proxy that is measured.
type Contender struct {
	Name  string
	files int  // that it opens for each connection
	tls   bool // it terminates TLS
	// script is what its Lua does in cases that do not say; empty means look.
	script string
	// missing tells why it cannot be started here, nil if it can.
	missing func() error
	// command returns the command line that starts it, whose files it has written.
	command func(Setup) ([]string, error)
}

// Setup is what a contender is started with.
type Setup struct {
	Listen      string // the address to listen on
	Server      string // the address of the server behind it
	Dir         string // a folder of its own
	Connections int    // at a time, that it must be able to take
	Script      string // what its Lua does, if it has one: a name such as "look"; empty: what the contender says
	Work        string // what the script "work" does: a name such as "compute"
	Certificate string // the file of a certificate and its key, to terminate TLS with
	Chain       int    // how many data filters in Go fwx has, one behind the other
}

// Most is how many connections a configuration allows: a few more than there are, for
// those that begin before others have ended.
func (s Setup) Most() int { return s.Connections + s.Connections/10 + 64 }

// SeesAnswers reports whether the script is entered for the bodies of answers.
func (s Setup) SeesAnswers() bool { return s.Script != header && s.Work == "" }

// Descriptors is how many files a process may need for them.
func (s Setup) Descriptors() int { return 2*s.Most() + 64 }

// threads is how many threads or processes each contender works with.
const threads = 2

// The backends of fwx's completion port.
const (
	uring = "io_uring"
	epoll = "epoll"
)

// The Lua scripts. Each contender has its own form of each.
const (
	look    = "look"     // searches what passes for a text that is not there
	rewrite = "rewrite"  // replaces a word in answers
	logging = "log"      // writes a line for each request to a file
	waiting = "wait"     // reads a file, for requests that ask for it
	header  = "header"   // reads a header of each request and adds one
	body    = "body"     // replaces a word in the bodies of answers
	work    = "work"     // does the work of the setup for each request
	workOwn = "work-own" // the same by what fwx has of its own
)

// hostileFilter is the script that attacks aim at, which only fwx has.
const hostileFilter = "hostile"

//go:embed conf
var conf embed.FS

// need is a file that must be there, a program of the PATH or an absolute path, and the
// Debian package that has it.
type need struct{ file, pkg string }

// missingError says what is not installed.
type missingError struct{ need }

func (e missingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian's package %s has it)", e.file, e.pkg)
}

// installed returns a check of what must be installed.
func installed(needs ...need) func() error {
	return func() error {
		for _, n := range needs {
			_, err := os.Stat(n.file)
			if !filepath.IsAbs(n.file) {
				_, err = exec.LookPath(n.file)
			}
			if err != nil {
				return missingError{n}
			}
		}
		return nil
	}
}

// contenders returns all of them.
func contenders() []Contender {
	const modules = "/usr/lib/nginx/modules/"
	server, stream, lua := need{"nginx", "nginx"},
		need{modules + "ngx_stream_module.so", "libnginx-mod-stream"},
		need{modules + "ngx_http_lua_module.so", "libnginx-mod-http-lua"}
	all := []Contender{ //nolint:prealloc // a list to read
		haproxy("haproxy-tcp"), haproxy("haproxy-http"), haproxy("haproxy-lua"), haproxy("haproxy-http-lua"),
		nginx("nginx-stream", server, stream), nginx("nginx-http", server), nginx("nginx-lua", server, lua),
		ours(host{Name: "go-copy"}), ours(host{Name: "go-reverse"}),
		fwx("fwx-uring", ""), fwx("fwx-epoll", ""),
		fwx("fwx-uring-go", "go"), fwx("fwx-epoll-go", "go"),
		fwx("fwx-uring-lua", "lua"), fwx("fwx-epoll-lua", "lua"),
		fwx("fwx-uring-http", "http"), fwx("fwx-epoll-http", "http"),
		fwx("fwx-uring-http-lua", "http-lua"), fwx("fwx-epoll-http-lua", "http-lua"),
	}
	for i, c := range all {
		if strings.HasSuffix(c.Name, "-http-lua") {
			all[i].script = header // its Lua is called for requests, not for data
		}
	}
	for _, c := range []Contender{haproxy("haproxy-tls"), ours(host{Name: "go-copy-tls"}), fwx("fwx-uring-tls", "tls"), fwx("fwx-epoll-tls", "tls")} {
		c.tls = true
		all = append(all, c)
	}
	return all
}

func haproxy(name string) Contender {
	return Contender{Name: name, files: 2, missing: installed(need{"haproxy", "haproxy"}), command: func(s Setup) ([]string, error) {
		file, err := configure(name+".cfg", s)
		return []string{"haproxy", "-db", "-f", file}, err
	}}
}

func nginx(name string, needs ...need) Contender {
	return Contender{Name: name, files: 2, missing: installed(needs...), command: func(s Setup) ([]string, error) {
		file, err := configure(name+".conf", s)
		return []string{"nginx", "-p", s.Dir, "-c", file, "-e", "stderr"}, err
	}}
}

// fwx is the framework on a backend of the completion port, with one kind of filter, or
// with protocol "http".
func fwx(name, filter string) Contender {
	backend := uring
	if strings.HasPrefix(name, "fwx-epoll") {
		backend = epoll
	}
	c := ours(host{Name: name, Backend: backend, Filter: filter})
	c.missing = func() error { return refused(backend) }
	return c
}

// ours is a proxy in this program, as a process of its own.
func ours(h host) Contender {
	return Contender{Name: h.Name, files: h.files(), missing: installed(), command: func(s Setup) ([]string, error) {
		h.Setup = s
		if script := h.script(); script != "" {
			if _, err := configure(script, s); err != nil {
				return nil, err
			}
		}
		text, err := json.Marshal(h)
		if err != nil {
			return nil, err
		}
		program, err := self()
		return []string{program, hostCommand, string(text)}, err
	}}
}

var probe = sync.OnceValue(completion.Probe)

// refused tells why the system refuses a backend of the completion port, nil if it does not.
func refused(backend string) error {
	for _, p := range probe() {
		if p.Backend == backend {
			return p.Err
		}
	}
	return errors.New("not on this system")
}

// scriptFile is the name of a script in the form of one kind of contender.
func scriptFile(kind, script string) string { return kind + "-" + script + ".lua" }

// configure writes the file of a name from the folder conf into the contender's folder,
// with the settings in their places, and returns its path.
func configure(name string, s Setup) (string, error) {
	text, err := template.New(name).Funcs(template.FuncMap{
		"threads": func() int { return threads },
		"text":    func() string { return string(smallText) },
		"file":    func(name string) (string, error) { return configure(name, s) },
		"work": func() (string, error) { // writes what a script does, and is the name of its module
			name := "work-" + s.Work
			_, err := configure("json.lua", s)
			if err == nil {
				_, err = configure(name+".lua", s)
			}
			return name, err
		},
		"script": func(kind string) (string, error) { // writes it, and is its path
			return configure(scriptFile(kind, s.Script), s)
		},
	}).ParseFS(conf, "conf/"+name)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := text.Execute(&out, s); err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o600)
}
