package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// TestService has the service manager start and stop the program.
func TestService(t *testing.T) {
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("Wine's service manager runs in session 1, so that a service is not known as one")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	config := filepath.Join(t.TempDir(), "config.toml")
	write(t, config, `
[[upstream]]
name = "none"
servers = ["127.0.0.1:1"]
[[listener]]
name = "in"
listen = "`+address+`"
upstream = "none"
`)
	m, err := mgr.Connect()
	if err != nil {
		t.Skip("no service manager to be used: ", err)
	}
	defer func() { _ = m.Disconnect() }()
	s, err := m.CreateService("fwx-test", self, mgr.Config{}, "run", "-c", config)
	if err != nil {
		t.Skip("no service can be made: ", err)
	}
	defer func() { _ = s.Close() }()
	defer func() { _ = s.Delete() }() // it was made here
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, time.Minute, "the service listens", func() bool {
		c, err := net.Dial("tcp", address) //nolint:noctx // loopback
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if _, err := s.Control(svc.Stop); err != nil {
		t.Fatal(err)
	}
	fwxtest.Eventually(t, time.Minute, "the service has stopped", func() bool {
		status, err := s.Query()
		return err == nil && status.State == svc.Stopped
	})
	if status, err := s.Query(); err != nil || status.Win32ExitCode != 0 || status.ServiceSpecificExitCode != exitOK {
		t.Errorf("it ended with %+v, %v", status, err)
	}
}

// manager plays the service manager.
type manager struct {
	testing.TB
	service  *service
	requests chan svc.ChangeRequest
	status   chan svc.Status
	ended    chan uint32 // the exit code
}

// serve starts "run" with a configuration as a service.
func serve(tb testing.TB, config string) (*manager, *output) {
	tb.Helper()
	path, printed := filepath.Join(tb.TempDir(), "config.toml"), &output{}
	write(tb, path, config)
	m := &manager{
		TB: tb, requests: make(chan svc.ChangeRequest), status: make(chan svc.Status), ended: make(chan uint32, 1),
		service: &service{ctx: tb.Context(), run: func(ctx context.Context, _ statusFunc) int {
			return program{out: printed, err: printed}.main(ctx, []string{"run", "-c", path})
		}},
	}
	go func() {
		specific, code := m.service.Execute(nil, m.requests, m.status)
		if !specific {
			tb.Error("the exit code is not said to be the service's own")
		}
		m.ended <- code
	}()
	return m, printed
}

// expect waits for a state. Requests that end the service are accepted in the
// state "running" only.
func (m *manager) expect(want svc.State) {
	m.Helper()
	accepts := svc.Accepted(0)
	if want == svc.Running {
		accepts = svc.AcceptStop | svc.AcceptShutdown
	}
	select {
	case got := <-m.status:
		if got.State != want || got.Accepts != accepts {
			m.Errorf("state %d, accepting %b; want %d, %b", got.State, got.Accepts, want, accepts)
		}
	case <-time.After(time.Minute):
		m.Fatalf("no state, want %d", want)
	}
}

func (m *manager) request(cmd svc.Cmd) { m.requests <- svc.ChangeRequest{Cmd: cmd} }

// exits waits for the end of the service.
func (m *manager) exits(want uint32) {
	m.Helper()
	m.expect(svc.StopPending)
	select {
	case code := <-m.ended:
		if code != want || m.service.code != int(want) {
			m.Errorf("exit code %d, and %d of the process; want %d", code, m.service.code, want)
		}
	case <-time.After(time.Minute):
		m.Fatal("the service does not end")
	}
}

// TestServiceRequests sees what the service manager is told while it asks, stops
// a service that has a connection open, and shuts the system down.
func TestServiceRequests(t *testing.T) {
	for name, end := range map[string]svc.Cmd{"stop": svc.Stop, "shutdown": svc.Shutdown} {
		t.Run(name, func(t *testing.T) {
			m, printed := serve(t, `
[service]
drain = "1m"
[[upstream]]
name = "demo"
servers = ["builtin:demo"]
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "demo"
`)
			m.expect(svc.Running)
			client, err := net.Dial("tcp", printed.address(t)) //nolint:noctx // loopback
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }() // it may be closed already
			fmt.Fprint(client, "GET /bytes/1 HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := io.ReadFull(client, make([]byte, 12)); err != nil {
				t.Fatal(err)
			}
			m.request(svc.Interrogate)
			m.expect(svc.Running)
			m.request(svc.Pause) // is not accepted, so nothing comes of it
			m.request(end)
			m.expect(svc.StopPending)
			m.request(svc.Interrogate) // the connection is still open
			m.expect(svc.StopPending)
			_ = client.Close()
			m.exits(exitOK)
		})
	}
}

// TestServiceFails sees that the service manager is told of a start that fails.
func TestServiceFails(t *testing.T) {
	m, printed := serve(t, `listener = 1`)
	m.expect(svc.Running)
	m.exits(exitError)
	if !strings.Contains(printed.String(), "config.toml:1") {
		t.Errorf("printed %q", printed)
	}
}

// TestServiceStatus sees that the service manager is told how long the end may take.
func TestServiceStatus(t *testing.T) {
	status := make(chan svc.Status)
	s := &service{ctx: t.Context(), run: func(_ context.Context, status statusFunc) int {
		status(framework.ServiceStatus{State: framework.StateRunning})
		status(framework.ServiceStatus{State: framework.StateStopping}) // for how long is not known
		status(framework.ServiceStatus{State: framework.StateStopping, Wait: 2 * time.Minute})
		status(framework.ServiceStatus{State: framework.StateStopping, Wait: time.Second})
		return exitOK
	}}
	go s.Execute(nil, nil, status)
	for i, want := range []svc.Status{
		{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown},
		{State: svc.StopPending, CheckPoint: 1, WaitHint: 120_000},
		{State: svc.StopPending, CheckPoint: 2, WaitHint: 1000},
		{State: svc.StopPending},
	} {
		if got := <-status; got != want {
			t.Errorf("status %d is %+v, want %+v", i, got, want)
		}
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends at once
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it has served
	return l.Addr().String()
}
