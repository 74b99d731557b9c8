package framework

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fwx/framework/fwxtest"
)

// curl runs curl with arguments and returns what it writes to its standard output.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), fwxtest.Require(t, "curl"), append([]string{"-sS", "--max-time", "30"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %q: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

func TestHTTPCurl(t *testing.T) {
	t.Parallel()
	fwxtest.Require(t, "curl")
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, random(300_000), 0o600))
	server := httpServerOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			http.ServeFile(w, r, file)
			return
		}
		mirror(w, r)
	})
	g := startHTTP(t, server, nil)
	url := "http://" + g.ListenAddress("in").String()
	whole := string(random(300_000))
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a download", []string{url + "/file"}, whole},
		{"chunks", []string{url + "/?chunked&size=100000"}, string(random(100_000))},
		{"HTTP/1.0", []string{"-0", url + "/?chunked&size=100000"}, string(random(100_000))},
		{"a range", []string{"-r", "1000-1999", url + "/file"}, whole[1000:2000]},
		{"two on one connection", []string{"-w", "%{num_connects}", url + "/?size=0", url + "/?size=0"}, "10"},
		{"HEAD", []string{"-I", "-o", os.DevNull, "-w", "%{http_code} %header{content-length}", url + "/file"}, "200 300000"},
		{"an upload that waits for 100", []string{"-H", "Expect: 100-continue", "-T", file, url + "/"}, whole},
		{"an upload in chunks", []string{"-H", "Transfer-Encoding: chunked", "-T", file, url + "/"}, whole},
		{"a form", []string{"-d", "a=b", url + "/"}, "a=b"},
		{"a proxy's target", []string{"-x", url, "http://example.com/?size=3"}, string(random(3))},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := curl(t, test.args...); got != test.want {
				t.Errorf("%d bytes %.100q, want %d bytes %.100q", len(got), got, len(test.want), test.want)
			}
		})
	}
}

// wrk makes as many requests as it can on connections that it keeps: each is answered.
func TestHTTPWrk(t *testing.T) {
	t.Parallel()
	wrk := fwxtest.Require(t, "wrk")
	g := startHTTP(t, httpServerOf(t, mirror), nil)
	out, err := exec.CommandContext(t.Context(), wrk, "-t", "1", "-c", "16", "-d", "1s", "--timeout", "30s", "http://"+g.ListenAddress("in").String()+"/?size=1000").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("requests in")) || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// ncat sends what it is given as it is.
func TestHTTPNcat(t *testing.T) {
	t.Parallel()
	ncat := fwxtest.Require(t, "ncat")
	g := startHTTP(t, httpServerOf(t, mirror), nil)
	address := g.ListenAddress("in")
	for _, test := range []struct{ text, begins, ends string }{
		{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "HTTP/1.1 200 OK\r\n", "\r\n\r\nabc"},
		{"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"},
		{"GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 Bad Request\r\n", "</html>\n"},
		{"hello\r\n", "HTTP/1.1 400 Bad Request\r\n", "</html>\n"},
	} {
		cmd := exec.CommandContext(t.Context(), ncat, "--no-shutdown", address.Addr().String(), strconv.Itoa(int(address.Port())))
		cmd.Stdin = strings.NewReader(test.text)
		out, err := cmd.Output()
		if got := string(out); err != nil || !strings.HasPrefix(got, test.begins) || !strings.HasSuffix(got, test.ends) {
			t.Errorf("%q: %v, %q", test.text, err, got)
		}
	}
}

// startNginx runs nginx with settings of its server and a file, and returns its address.
func startNginx(t *testing.T, settings string, file []byte) string {
	t.Helper()
	nginx := fwxtest.Require(t, "nginx")
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	check(t, os.MkdirAll(filepath.Join(dir, "www"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "www", "file"), file, 0o600))
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`daemon off; master_process off; %s pid %[2]s/pid; error_log stderr;
events {}
http {
	access_log off; client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/f; uwsgi_temp_path %[2]s/u; scgi_temp_path %[2]s/s2;
	server {
		listen unix:%[3]s;
		root %[2]s/www;
		%[4]s
	}
}
`, user, dir, socket, settings)
	path := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(path, []byte(config), 0o600))
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), nginx, "-p", dir, "-c", path, "-e", "stderr")
	cmd.Stderr = &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // the test waits for its end
		_ = cmd.Wait()         // it was killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	eventually(t, "nginx listens", func() bool { _, err := os.Stat(socket); return err == nil })
	return "unix:" + socket
}

// nginx compresses, and the filter decodes.
func TestHTTPNginxGzip(t *testing.T) {
	fwxtest.Require(t, "curl")
	text := strings.Repeat("words that nginx compresses; ", 20_000)
	address := startNginx(t, "gzip on; gzip_types *; gzip_proxied any;", []byte(text))
	for _, limit := range []int{0, 1 << 20} {
		g := startHTTP(t, address, nil, attaching(decoding(true, limit)))
		url := "http://" + g.ListenAddress("in").String() + "/file"
		if got := curl(t, "--compressed", url); got != strings.ToUpper(text) {
			t.Errorf("limit %d: %d bytes, %.100q", limit, len(got), got)
		}
		if got := curl(t, "--compressed", "-o", os.DevNull, "-w", "%header{content-encoding} %header{etag}", url); !strings.HasPrefix(got, ` W/"`) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	g := startHTTP(t, address, nil)
	if got := curl(t, "-H", "Accept-Encoding: gzip", "-o", os.DevNull, "-w", "%header{content-encoding}", "http://"+g.ListenAddress("in").String()+"/file"); got != "gzip" {
		t.Errorf("without a filter: %q", got)
	}
}

// nginx is a server that closes idle connections when it likes, and sends files.
func TestHTTPNginx(t *testing.T) {
	g := startHTTP(t, startNginx(t, "keepalive_requests 3; location /moved { return 301 /file; }", random(500_000)), nil)
	client, url := g.httpClient(t)
	for i := range 20 {
		path, status, size := "/file", 200, 500_000
		switch i % 4 {
		case 1:
			path, status, size = "/none", 404, -1
		case 2:
			path, status, size = "/moved", 301, -1
		}
		p := must(client.Do(must(http.NewRequestWithContext(t.Context(), "GET", url+path, nil))(t)))(t)
		body := must(io.ReadAll(p.Body))(t)
		check(t, p.Body.Close())
		if p.StatusCode != status || size >= 0 && !bytes.Equal(body, random(size)) {
			t.Errorf("%s: %s, %d bytes", path, p.Status, len(body))
		}
	}
}
