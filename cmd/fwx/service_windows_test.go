package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

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

// TestServiceRequests plays the service manager.
func TestServiceRequests(t *testing.T) {
	requests, status := make(chan svc.ChangeRequest), make(chan svc.Status, 8)
	ended := make(chan uint32, 1)
	s := &service{ctx: t.Context(), run: func(ctx context.Context) int {
		<-ctx.Done()
		return exitOK
	}}
	go func() {
		_, code := s.Execute(nil, requests, status)
		ended <- code
	}()
	expect := func(want svc.State) {
		t.Helper()
		select {
		case got := <-status:
			if got.State != want {
				t.Errorf("state %d, want %d", got.State, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no state, want %d", want)
		}
	}
	expect(svc.Running)
	requests <- svc.ChangeRequest{Cmd: svc.Interrogate}
	expect(svc.Running)
	requests <- svc.ChangeRequest{Cmd: svc.Stop}
	expect(svc.StopPending)
	expect(svc.StopPending)
	if code := <-ended; code != exitOK || s.code != exitOK {
		t.Errorf("exit code %d", code)
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
