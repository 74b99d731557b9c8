//go:build !windows

package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"fwx/framework"
)

// supervised runs f, and tells systemd how it does if that has started the program
// and wants to know (Type=notify).
func supervised(ctx context.Context, f func(context.Context, statusFunc) int) int {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return f(ctx, func(framework.ServiceStatus) {})
	}
	return f(ctx, func(s framework.ServiceStatus) {
		if err := notify(ctx, path, notification(s)); err != nil {
			fmt.Fprintf(os.Stderr, "fwx: the service manager cannot be told that the service is %v: %v\n", s, err)
		}
	})
}

// notification is a status in systemd's words.
func notification(s framework.ServiceStatus) string {
	switch {
	case s.State == framework.StateRunning:
		return "READY=1\n"
	case s.Wait <= 0:
		return "STOPPING=1\n"
	default:
		return fmt.Sprintf("STOPPING=1\nEXTEND_TIMEOUT_USEC=%d\n", s.Wait.Microseconds())
	}
}

// notify sends a notification to the socket of the service manager; one that begins
// with "@" is in no directory.
func notify(ctx context.Context, path, text string) error {
	var d net.Dialer
	c, err := d.DialContext(context.WithoutCancel(ctx), "unixgram", path)
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(text))
	_ = c.Close() // all was sent, or not
	return err
}
