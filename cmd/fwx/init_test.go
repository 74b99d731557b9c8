package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInitRuns starts the project that fwx init writes.
func TestInitRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "project")
	printed := &output{}
	p := program{out: printed, err: printed}
	if code := p.main(t.Context(), []string{"init", dir}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, printed)
	}
	path := filepath.Join(dir, "config.toml")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	free := strings.ReplaceAll(string(config), "127.0.0.1:8080\"", "127.0.0.1:0\"")
	if err := os.WriteFile(path, []byte(free), 0o600); err != nil { //nolint:gosec // a file of the test
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := make(chan int, 1)
	go func() { code <- p.main(ctx, []string{"run", "-c", path}) }()
	address := printed.address(t)
	body := download(t, "http://"+address+"/")
	if !strings.Contains(body, "fwx") {
		t.Errorf("the page is %q", body)
	}
	cancel()
	select {
	case c := <-code:
		if c != exitOK {
			t.Errorf("exit code %d: %s", c, printed)
		}
	case <-time.After(time.Minute):
		t.Error("the program does not end")
	}
	if _, err := os.Stat(filepath.Join(dir, "var", "refused.log")); err != nil {
		t.Error(err)
	}
}

// download returns the body of a page.
func download(tb testing.TB, url string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %v", response.Status, err)
	}
	return string(body)
}
