//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 20 * time.Second // until a contender answers
	stopTimeout  = 3 * time.Second  // until it is killed
)

// process is a running contender: a process and those that it has started, which
// make up a session, as a service's do. The system shares out the processors between
// sessions (by "autogroups") before it does between processes.
type process struct {
	address string // that it listens on
	server  server // behind it
	cmd     *exec.Cmd
	log     tail
	ended   chan struct{} // closed after it has ended
}

var errEnded = errors.New("it has ended")

// start starts a contender and waits until it passes a request on to the server.
func (b *bench) start(ctx context.Context, c Contender, s Setup, to server) (*process, error) {
	dir, err := os.MkdirTemp(b.dir, c.Name+"-")
	if err != nil {
		return nil, err
	}
	s.Dir, s.Server, s.Certificate = dir, to.address(), b.certificate
	s.Script = cmp.Or(s.Script, c.script, look)
	p, err := launchAnywhere(ctx, c, s)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	p.server = to
	return p, nil
}

// launchAnywhere launches it on a free address.
func launchAnywhere(ctx context.Context, c Contender, s Setup) (p *process, err error) {
	const attempts = 3 // somebody else may take the port in between
	for range attempts {
		if s.Listen, err = freeAddress(); err == nil {
			p, err = launch(ctx, c, s)
		}
		if !errors.Is(err, errEnded) {
			break
		}
	}
	return p, err
}

func launch(ctx context.Context, c Contender, s Setup) (*process, error) {
	argv, err := c.command(s)
	if err != nil {
		return nil, err
	}
	p := &process{address: s.Listen, ended: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // the contender's program; stop ends it
	p.cmd.Dir = s.Dir
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // that it has ended says enough
		close(p.ended)
	}()
	if err := p.awaitAnswer(ctx, c.scheme()); err != nil {
		p.stop()
		return nil, p.explain(err)
	}
	return p, nil
}

// awaitAnswer waits for the answer to a request.
func (p *process) awaitAnswer(ctx context.Context, scheme string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		_, err := get(ctx, scheme+"://"+p.address+"/")
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// get makes one request on a connection of its own, for an answer that is short.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: clientTLS()}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // what has been read was enough
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 4<<10))
}

// stop ends the contender.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what is left of the group
	<-p.ended
}

func (p *process) usage() (usage, error) {
	return groupUsage(p.cmd.Process.Pid)
}

func (p *process) memory() (int64, error) {
	return groupMemory(p.cmd.Process.Pid)
}

// explain adds what the contender has said to an error.
func (p *process) explain(err error) error {
	if said := p.log.String(); err != nil && said != "" {
		return fmt.Errorf("%w; it says:\n%s", err, said)
	}
	return err
}

// freeAddress returns an address of 127.0.0.1 that nobody listens on, below the ports
// that outgoing connections get.
func freeAddress() (string, error) {
	for range 100 {
		address := "127.0.0.1:" + strconv.Itoa(20000+rand.IntN(12000)) //nolint:gosec // no secret
		l, err := net.Listen("tcp", address)                           //nolint:noctx // it comes back at once
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port found")
}

// tail keeps the end of what is written to it.
type tail struct {
	mutex sync.Mutex
	text  []byte
}

const (
	tailSize  = 4 << 10
	tailLines = 5
)

func (t *tail) Write(text []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text = append(t.text, text...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(text), nil
}

// String returns the last lines.
func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	lines := bytes.SplitAfter(bytes.TrimSpace(t.text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-tailLines):], nil))
}

// self returns the path of this program.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
