package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestFewDescriptors gives the program 256 descriptors, which suffice for 110 clients and as
// many connections to servers, and three upstreams. Connections to servers that are idle make
// room for clients: every request is answered.
func TestFewDescriptors(t *testing.T) {
	const early, clients = 35, 110
	config := "[[listener]]\nname = \"web\"\nlisten = \"127.0.0.1:0\"\nprotocol = \"http\"\nupstream = \"up0\"\n"
	for i := range 3 {
		// The first requests are answered when all of them have come, so that each has a
		// connection of its own, which is idle afterwards.
		var together sync.WaitGroup
		together.Add(early)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "early") {
				together.Done()
				together.Wait()
			}
			_, _ = io.WriteString(w, "from "+r.URL.Path) //nolint:gosec // the client of the test tells; the gateway is there
		}))
		t.Cleanup(server.Close)
		config += fmt.Sprintf("[[listener.route]]\npath = \"/%d/\"\nupstream = \"up%d\"\n", i, i)
		config = fmt.Sprintf("[[upstream]]\nname = \"up%d\"\nservers = [%q]\n", i, server.Listener.Addr()) + config
	}
	dir := t.TempDir()
	write(t, dir+"/config.toml", config)
	g := startCommand(t, dir, "sh", "-c", `ulimit -n 256 && exec "$0" run`, self(t))
	defer g.stop()

	var connected []*client
	for len(connected) < early {
		connected = append(connected, dial(t, g.address))
	}
	ask(t, connected, "early")
	for len(connected) < clients {
		connected = append(connected, dial(t, g.address))
	}
	ask(t, connected, "late")
	if log := g.logged(); strings.Contains(log, "too many open files") || strings.Contains(log, "refused") {
		t.Errorf("the log says:\n%s", log)
	}
}

// ask has all clients ask the three upstreams in turn, at the same time.
func ask(t *testing.T, clients []*client, what string) {
	t.Helper()
	for i := range 3 {
		path := fmt.Sprintf("/%d/%s", i, what)
		var wait sync.WaitGroup
		for n, c := range clients {
			wait.Go(func() {
				_, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: web\r\n\r\n", path)
				var answer *http.Response
				if err == nil {
					answer, err = http.ReadResponse(c.answer, nil)
				}
				if err != nil {
					t.Errorf("client %d, %s: %v", n, path, err)
					return
				}
				defer answer.Body.Close()
				if body, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || string(body) != "from "+path {
					t.Errorf("client %d, %s: %s, %q, %v", n, path, answer.Status, body, err)
				}
			})
		}
		wait.Wait()
	}
}
