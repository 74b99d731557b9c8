package framework

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"fwx/framework/balance"
	"fwx/framework/strict"
)

// zeros are what a written zero means, by section and key: "" where it is taken, and means what
// docs/reference/config.md says, otherwise what the mistake says.
var zeros = map[string]map[string]string{
	"service": {"workers": "", "max_connections": "", "drain": "leave the key out for 10s", "body_memory": "wants a size of at least 1048576, not 0"},
	"upstream": {
		"connect_timeout": "leave the key out for 5s", "max_connections": "", "slow_start": "",
		"idle_timeout": "leave the key out for 30s", "max_idle": "wants a number from 1 to 10000000, not 0", "max_requests": "",
	},
	"upstream.server": {"weight": "wants a number from 1 to 256, not 0"},
	"upstream.check": {
		"interval": "leave the key out for 5s", "timeout": "leave the key out for 2s", "rise": "wants a number from 1 to 1000, not 0", "fall": "wants a number from 1 to 1000, not 0",
	},
	"upstream.eject": {
		"failures": "wants a number from 1 to 1000, not 0", "time": "leave the key out for 30s", "max_time": "leave the key out for 5m0s", "max_share": "wants a number from 1 to 100, not 0",
	},
	"listener":     {"idle_timeout": "leave the key out for 10m0s"},
	"listener.tls": {"handshake_timeout": "leave the key out for 10s"},
	"listener.http": {
		"header_timeout": "leave the key out for 10s", "body_timeout": "leave the key out for 20s", "body_rate": "wants a number from 1 to 10000000, not 0",
		"send_timeout": "leave the key out for 20s", "send_rate": "wants a number from 1 to 10000000, not 0",
		"response_timeout": "leave the key out for 1m0s", "keep_alive": "leave the key out for 1m0s", "max_body": "leave the key out for no bound",
		"max_decoded": "wants a size of at least 1, not 0", "max_message": "wants a number from 64 to 67108864, not 0", "max_request_line": "wants a number from 64 to 1048576, not 0",
		"max_header": "wants a number from 64 to 1048576, not 0", "max_fields": "wants a number from 1 to 10000, not 0",
	},
	"listener.http.spool": {"max_body": "wants a size of at least 1, not 0", "max_total": "wants a size of at least 1, not 0"},
	"listener.route":      {"status": "wants a number from 200 to 599, not 0"},
}

// TestZeros writes a zero for each number, size and duration that there is.
func TestZeros(t *testing.T) {
	sections := map[string]any{
		"service": ServiceConfig{}, "upstream": UpstreamConfig{}, "upstream.server": ServerConfig{}, "upstream.check": balance.CheckConfig{},
		"upstream.eject": balance.EjectConfig{}, "listener": ListenerConfig{}, "listener.tls": ListenerTLS{}, "listener.http": HTTPConfig{},
		"listener.http.spool": SpoolConfig{}, "listener.route": RouteConfig{},
	}
	tables := map[string]string{"upstream.server": "[[upstream.server]]\naddress = \"a:1\"", "listener.route": "[[listener.route]]"}
	for section, value := range sections {
		known := len(zeros[section])
		for field := range reflect.TypeOf(value).Fields() {
			key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
			if key == "" || key == "." {
				continue
			}
			zero := "0"
			switch field.Type {
			case reflect.TypeFor[time.Duration]():
				zero = `"0s"`
			case reflect.TypeFor[int](), reflect.TypeFor[strict.Size]():
			default:
				continue
			}
			want, listed := zeros[section][key]
			if !listed {
				t.Errorf("%s.%s: what a zero means is not in the table", section, key)
				continue
			}
			known--
			t.Run(section+"."+key, func(t *testing.T) {
				header := "[" + section + "]"
				if tables[section] != "" {
					header = tables[section]
				}
				setting := header + "\n" + key + " = " + zero + "\n"
				text := "[service]\n[[upstream]]\nname = \"out\"\nservers = [\"127.0.0.1:1\"]\n[[listener]]\nname = \"in\"\nlisten = \"127.0.0.1:0\"\nupstream = \"out\"\n"
				if strings.HasPrefix(section, "listener.http") || section == "listener.route" {
					text += "protocol = \"http\"\n"
				}
				switch {
				case section == "service", section == "upstream", section == "listener":
					at := strings.Index(text, header) + len(header)
					at += strings.Index(text[at:], "\n") + 1
					text = text[:at] + key + " = " + zero + "\n" + text[at:]
				case strings.HasPrefix(section, "upstream."):
					text = strings.Replace(text, "[[listener]]", setting+"[[listener]]", 1)
				default:
					text += setting
				}
				if section == "listener.tls" { // there is a mistake without certificates
					text += "mode = \"passthrough\"\n"
				}
				got := mistakesOf(text)
				if want == "" && got != "" || !strings.Contains(got, want) || want != "" && !strings.Contains(got, section+"."+key+":") {
					t.Errorf("%s\ngot %q, want %q", text, got, want)
				}
			})
		}
		if known > 0 {
			t.Errorf("%s: the table has %d keys that are not there", section, known)
		}
	}
}

// TestPlaces sees that addresses which cannot be listened on together are mistakes.
func TestPlaces(t *testing.T) {
	dir := must(os.MkdirTemp("", "fwx"))(t)     //nolint:usetesting // the path of T.TempDir is too long for a socket
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is of the system's temporary files
	for _, tt := range []struct {
		admin, one, two string
		clash           bool
	}{
		{"", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"", "127.0.0.1:8080", "127.0.0.1:8081", false},
		{"", "127.0.0.1:8080", "127.0.0.2:8080", false},
		{"", "127.0.0.1:0", "127.0.0.1:0", false},
		{"", "0.0.0.0:8080", "127.0.0.1:8080", true},
		{"", "127.0.0.1:8080", "0.0.0.0:8080", true},
		{"", "[::]:8080", "127.0.0.1:8080", true},
		{"", "[::]:8080", "0.0.0.0:8080", true},
		{"", "[::]:8080", "[::1]:8080", true},
		{"", "0.0.0.0:8080", "[::1]:8080", false},
		{"", "[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", true},
		{"", "unix:a.sock", "unix:a.sock", true},
		{"", "unix:a.sock", "unix:./b/../a.sock", true},
		{"", "unix:a.sock", "unix:" + filepath.Join(dir, "a.sock"), true},
		{"", "unix:a.sock", "unix:b.sock", false},
		{"127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8081", true},
		{"127.0.0.1:8080", "127.0.0.1:8081", "0.0.0.0:8080", true},
		{"unix:a.sock", "unix:a.sock", "unix:b.sock", true},
	} {
		t.Run(tt.admin+" "+tt.one+" "+tt.two, func(t *testing.T) {
			config := gatewayConfig(backends[0], "127.0.0.1:1")
			config.Dir, config.Admin.Listen = dir, tt.admin
			config.Listeners[0].Listen = tt.one
			config.Listeners = append(config.Listeners, ListenerConfig{Name: "two", Listen: tt.two, Upstream: "out"})
			_, err := New(config, nil)
			if clash := err != nil && strings.Contains(err.Error(), "only one can listen on an address"); clash != tt.clash || !clash && err != nil {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// TestAddressMistakes sees that what cannot be bound, connected or looked up is known before.
func TestAddressMistakes(t *testing.T) {
	long := "unix:" + strings.Repeat("x", 200)
	for _, tt := range []struct {
		name, old, new, want string
	}{
		{"a long path to listen on", `"127.0.0.1:0"`, `"` + long + `"`, `c.toml:12:1: listener.listen: address "` + long + `": the path has 200 bytes, and that of a unix socket has `},
		{"a long path of a server", `"unix:a.sock"`, `"` + long + `"`, `c.toml:5:58: upstream.servers[3]: "` + long + `": address "` + long + `": the path has 200 bytes, and that of a unix socket has `},
		{"a long path for the operator", "[service]", "[admin]\nlisten = \"" + long + "\"\n[service]", `c.toml:2:1: admin.listen: address "` + long + `": the path has 200 bytes, and that of a unix socket has `},
		{"a path with a NUL", `"127.0.0.1:0"`, `"unix:a\u0000b"`, `c.toml:12:1: listener.listen: address "unix:a\x00b": a path has no NUL`},
		{"a missing path", `"unix:a.sock"`, `"unix:"`, `c.toml:5:58: upstream.servers[3]: "unix:": address "unix:": the path of the unix socket is missing`},
		{"a space in a name", `"example.com:80"`, `"host name:80"`, `c.toml:5:40: upstream.servers[2]: "host name:80": "host name" is neither the name of a host nor an IP address`},
		{"a space behind a name", `"example.com:80"`, `"example.com :80"`, `c.toml:5:40: upstream.servers[2]: "example.com :80": "example.com " is neither the name of a host nor an IP address`},
		{"a URL", `"example.com:80"`, `"http://example.com:80"`, `c.toml:5:40: upstream.servers[2]: "http://example.com:80": wants host:port`},
		{"an empty label", `"example.com:80"`, `"example..com:80"`, `c.toml:5:40: upstream.servers[2]: "example..com:80": "example..com" is neither`},
		{"a long label", `"example.com:80"`, `"` + long[5:69] + `.com:80"`, `is neither the name of a host nor an IP address`},
		{"a name with a dot at its end", `"example.com:80"`, `"example.com.:80"`, ""},
		{"a name with an underscore", `"example.com:80"`, `"my_app.local:80"`, ""},
		{"an interface", `"[::1]:80"`, `"[fe80::1%lo]:80"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(good, tt.old) {
				t.Fatal("the test changes nothing")
			}
			got := mistakesOf(strings.Replace(good, tt.old, tt.new, 1))
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestCheckPaths sees that Check tells where a unix socket could not be made, as Start would.
func TestCheckPaths(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, tt := range []struct{ listen, want string }{
		{"unix:a.sock", ""},
		{"unix:missing/a.sock", "listener.listen: no unix socket can be created there: "},
		{"unix:file", "file is a file that is not a socket"},
		{"unix:" + dir, "is a file that is not a socket"},
		{"127.0.0.1:0", ""},
	} {
		text := fmt.Sprintf("[[upstream]]\nname = \"a\"\nservers = [\"127.0.0.1:1\"]\n[[listener]]\nname = \"b\"\nlisten = %q\nupstream = \"a\"\n", tt.listen)
		config := must(ParseConfig(filepath.Join(dir, "c.toml"), []byte(text)))(t)
		config.Dir = dir
		err := must(New(config, nil))(t).Check(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), ":6:1: ")) {
			t.Errorf("%s: %v, want %q", tt.listen, err, tt.want)
		}
	}
}
