package framework_test

import (
	"bytes"
	"context"
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fwx/framework"
	"fwx/framework/completion"
	"fwx/framework/fwxtest"
)

// TestFTP has curl get a file from a server behind the gateway, and put one, with
// the data connection from the client (passive) and from the server (active).
func TestFTP(t *testing.T) {
	curl := fwxtest.Require(t, "curl")
	const file = "contents of the file"
	tests := map[string]struct {
		args  []string
		stdin string
	}{
		"get, passive": {[]string{"--disable-epsv"}, ""},
		"get, active":  {[]string{"--ftp-port", "127.0.0.1", "--disable-eprt"}, ""},
		"put, passive": {[]string{"--disable-epsv", "--upload-file", "-"}, "what is put"},
		"put, active":  {[]string{"--ftp-port", "127.0.0.1", "--disable-eprt", "--upload-file", "-"}, "what is put"},
	}
	for _, backend := range completion.Backends() {
		t.Run(backend, func(t *testing.T) {
			stored := make(chan string, 1)
			server := ftpServer(file, func(s string) { stored <- s })
			defer server.Close()
			var connections atomic.Int64
			helper := ftpHelper{established: func(*framework.Connection) { connections.Add(1) }}
			fw, err := framework.New(framework.Config{
				Logger:    slog.New(slog.DiscardHandler),
				Service:   framework.ServiceConfig{Backend: backend, Workers: 2},
				Upstreams: []framework.UpstreamConfig{{Name: "files", Servers: []string{server.Addr().String()}}},
				Filters:   []framework.FilterConfig{{Name: "ftp", Filter: helper}},
				Listeners: []framework.ListenerConfig{{Name: "ftp", Listen: "127.0.0.1:0", Upstream: "files", Filters: []string{"ftp"}}},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := fw.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := fw.Shutdown(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					before := connections.Load()
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					url := "ftp://" + fw.ListenAddress("ftp").String() + "/file"
					command := exec.CommandContext(ctx, curl, append(test.args, "-sS", url)...)
					var complaints bytes.Buffer
					command.Stdin, command.Stderr = strings.NewReader(test.stdin), &complaints
					got, err := command.Output()
					if err != nil {
						t.Fatal(err, complaints.String())
					}
					if test.stdin != "" {
						if put := <-stored; put != test.stdin {
							t.Errorf("put %q", put)
						}
					} else if string(got) != file {
						t.Errorf("got %q", got)
					}
					if n := connections.Load() - before; n != 1 {
						t.Errorf("%d data connections came through the gateway", n)
					}
				})
			}
		})
	}
}
