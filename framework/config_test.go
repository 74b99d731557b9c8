package framework

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kindWords is a kind of filter with settings, for configurations.
func kindWords() Factory {
	type settings struct {
		Words []string      `toml:"words,required"`
		Every time.Duration `toml:"every"`
	}
	return Factory{
		Kind: "words", Summary: "does nothing with some words",
		Settings: func() any { return &settings{Every: time.Second} },
		New: func(config FilterConfig, s any) (Filter, error) {
			for _, word := range s.(*settings).Words {
				if word == "bad" {
					return nil, config.Errorf("words", "%q is not allowed", word)
				}
			}
			return &testFilter{}, nil
		},
	}
}

// good is a configuration without a mistake, in numbered lines.
const good = `[service]
workers = 1
[[upstream]]
name = "out"
servers = ["127.0.0.1:80", "[::1]:80", "example.com:80", "unix:a.sock", "builtin:demo"]
[[filter]]
name = "f"
kind = "words"
words = ["a"]
[[listener]]
name = "in"
listen = "127.0.0.1:0"
upstream = "out"
filters = ["f"]
`

func TestMistakes(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // what is changed in good
		want     string
	}{
		{"none", "", "", ""},
		{"unknown key", "workers = 1", "wokers = 1", `c.toml:2:1: service.wokers: unknown key; did you mean "workers"?`},
		{"unknown table", "[service]", "[servce]", `c.toml:1:2: servce: unknown key; did you mean "service"?`},
		{"wrong type", "workers = 1", `workers = "1"`, `c.toml:2:1: service.workers: wants an integer, not a string`},
		{"negative count", "workers = 1", `workers = -1`, `c.toml:2:1: service.workers: wants a number from 0 to 4096, not -1`},
		{"negative count of connections", "workers = 1", `max_connections = -1`, `c.toml:2:1: service.max_connections: wants a number from 0 to 10000000, not -1`},
		{"negative drain", "workers = 1", `drain = "-1s"`, `c.toml:2:1: service.drain: wants a positive duration, not -1s`},
		{"unknown backend", "workers = 1", `backend = "aut"`, `c.toml:2:1: service.backend: unknown backend "aut"; did you mean "auto"?`},
		{"missing name", `name = "out"`, "", `c.toml:3:1: upstream.name: required key is missing
c.toml:13:1: listener.upstream: unknown upstream "out"`},
		{"empty name", `name = "in"`, `name = ""`, `c.toml:11:1: listener.name: must not be empty`},
		{"missing servers", `servers =`, `connect_timeout = "1s" #`, `c.toml:3:1: upstream.servers: wants at least one server`},
		{"no servers", `servers =`, `servers = [] #`, `c.toml:5:1: upstream.servers: wants at least one server`},
		{"servers of a wrong type", `servers =`, `servers = "a:80" #`, `c.toml:5:1: upstream.servers: wants an array of strings, not a string`},
		{"bad server", `"[::1]:80"`, `"[::1]"`, `c.toml:5:28: upstream.servers[1]: "[::1]": wants host:port, [ipv6]:port, unix:/path or builtin:name`},
		{"bad port", `"[::1]:80"`, `"[::1]:0"`, `c.toml:5:28: upstream.servers[1]: "[::1]:0": port "0": wants a number from 1 to 65535`},
		{"unknown builtin", `"builtin:demo"`, `"builtin:dmo"`, `c.toml:5:73: upstream.servers[4]: "builtin:dmo": unknown builtin server "dmo"; did you mean "demo"?`},
		{"negative timeout", `servers =`, "connect_timeout = \"-1s\"\nservers =", `c.toml:5:1: upstream.connect_timeout: wants a positive duration, not -1s`},
		{"a server twice", `"[::1]:80"`, `"127.0.0.1:80"`, `c.toml:5:28: upstream.servers[1]: server "127.0.0.1:80" is there already`},
		{"a server twice, in two ways", "[[filter]]", "[[upstream.server]]\naddress = \"[::1]:80\"\n[[filter]]", `c.toml:7:1: upstream.server.address: server "[::1]:80" is there already`},
		{"a server without an address", "[[filter]]", "[[upstream.server]]\nweight = 2\n[[filter]]", `c.toml:6:1: upstream.server.address: required key is missing`},
		{"a bad address", "[[filter]]", "[[upstream.server]]\naddress = \"a\"\n[[filter]]", `c.toml:7:1: upstream.server.address: "a": wants host:port, [ipv6]:port, unix:/path or builtin:name`},
		{"a weight of nothing", "[[filter]]", "[[upstream.server]]\naddress = \"a:1\"\nweight = 0\n[[filter]]", `c.toml:8:1: upstream.server.weight: wants a number from 1 to 256, not 0`},
		{"a weight too large", "[[filter]]", "[[upstream.server]]\naddress = \"a:1\"\nweight = 257\n[[filter]]", `c.toml:8:1: upstream.server.weight: wants a number from 1 to 256, not 257`},
		{"unknown key of a server", "[[filter]]", "[[upstream.server]]\naddress = \"a:1\"\nwight = 2\n[[filter]]", `c.toml:8:1: upstream.server.wight: unknown key; did you mean "weight"?`},
		{"unknown balance", `servers =`, "balance = \"round-robin\"\nservers =", `c.toml:5:1: upstream.balance: unknown way to choose a server "round-robin"; did you mean "round_robin"?`},
		{"negative idle time", `servers =`, "idle_timeout = \"-1s\"\nservers =", `c.toml:5:1: upstream.idle_timeout: wants a positive duration, not -1s`},
		{"negative requests", `servers =`, "max_requests = -1\nservers =", `c.toml:5:1: upstream.max_requests: wants a number from 0 to 10000000, not -1`},
		{"negative slow start", `servers =`, "slow_start = \"-1s\"\nservers =", `c.toml:5:1: upstream.slow_start: wants a positive duration, not -1s`},
		{"negative maximum", `servers =`, "max_connections = -1\nservers =", `c.toml:5:1: upstream.max_connections: wants a number from 0 to 10000000, not -1`},
		{"unknown kind of check", "[[filter]]", "[upstream.check]\nkind = \"htp\"\n[[filter]]", `c.toml:7:1: upstream.check.kind: unknown kind of check "htp"; did you mean "http"?`},
		{"a path for a check by TCP", "[[filter]]", "[upstream.check]\npath = \"/\"\n[[filter]]", `c.toml:7:1: upstream.check.path: is for kind = "http"`},
		{"a bad path", "[[filter]]", "[upstream.check]\nkind = \"http\"\npath = \"health z\"\n[[filter]]", `c.toml:8:1: upstream.check.path: "health z": wants a path that begins with / and has neither spaces nor control characters`},
		{"a bad host", "[[filter]]", "[upstream.check]\nkind = \"http\"\nhost = \"a\\r\\nb\"\n[[filter]]", `c.toml:8:1: upstream.check.host: "a\r\nb": wants a host without spaces and control characters`},
		{"a bad status", "[[filter]]", "[upstream.check]\nkind = \"http\"\nstatus = [200, 20]\n[[filter]]", `c.toml:8:16: upstream.check.status[1]: wants a number from 100 to 599, not 20`},
		{"a rise of nothing", "[[filter]]", "[upstream.check]\nrise = 0\n[[filter]]", `c.toml:7:1: upstream.check.rise: wants a number from 1 to 1000, not 0`},
		{"unknown key of a check", "[[filter]]", "[upstream.check]\nintervall = \"1s\"\n[[filter]]", `c.toml:7:1: upstream.check.intervall: unknown key; did you mean "interval"?`},
		{"a check of a wrong type", `servers =`, "check = true\nservers =", `c.toml:5:1: upstream.check: wants a table, not a boolean`},
		{"a share too large", "[[filter]]", "[upstream.eject]\nmax_share = 101\n[[filter]]", `c.toml:7:1: upstream.eject.max_share: wants a number from 1 to 100, not 101`},
		{"times of an ejection", "[[filter]]", "[upstream.eject]\ntime = \"1m\"\nmax_time = \"10s\"\n[[filter]]", `c.toml:8:1: upstream.eject.max_time: wants at least the 1m0s of time, not 10s`},
		{"two upstreams", "[[filter]]", "[[upstream]]\nname = \"out\"\nservers = [\"unix:b\"]\n[[filter]]", `c.toml:7:1: upstream.name: there are two upstreams "out"`},
		{"two filters", "[[listener]]", "[[filter]]\nname = \"f\"\nkind = \"words\"\nwords = []\n[[listener]]", `c.toml:11:1: filter.name: there are two filters "f"`},
		{"two listeners", "[[upstream]]", "[[listener]]\nname = \"in\"\nlisten = \"127.0.0.1:0\"\nupstream = \"out\"\n[[upstream]]", `c.toml:15:1: listener.name: there are two listeners "in"`},
		{"unknown kind", `kind = "words"`, `kind = "word"`, `c.toml:8:1: filter.kind: unknown kind of filter "word"; did you mean "words"?`},
		{"missing kind", `kind = "words"`, ``, `c.toml:6:1: filter.kind: required key is missing`},
		{"empty kind", `kind = "words"`, `kind = ""`, `c.toml:8:1: filter.kind: neither a kind nor a filter`},
		{"unknown class", `kind = "words"`, "kind = \"words\"\nclass = \"inside\"", `c.toml:9:1: filter.class: unknown priority class "inside"; expected emulation, external, internal, middle, nat, post-trust or pre-trust`},
		{"unknown setting", `words =`, "word = 1\nwords =", `c.toml:9:1: filter.word: unknown key; did you mean "words"?`},
		{"missing setting", `words =`, "#", `c.toml:6:1: filter.words: required key is missing`},
		{"bad setting", `["a"]`, `["bad"]`, `c.toml:9:1: filter.words: "bad" is not allowed`},
		{"bad listen", `"127.0.0.1:0"`, `"localhost:0"`, `c.toml:12:1: listener.listen: address "localhost:0": wants ip:port, [ipv6]:port or unix:/path`},
		{"unknown protocol", `filters =`, "protocol = \"tpc\"\nfilters =", `c.toml:14:1: listener.protocol: unknown protocol "tpc"; did you mean "tcp"?`},
		{"unknown upstream", `upstream = "out"`, `upstream = "uot"`, `c.toml:13:1: listener.upstream: unknown upstream "uot"; did you mean "out"?`},
		{"unknown filter", `filters = ["f"]`, `filters = ["f", "gg"]`, `c.toml:14:17: listener.filters[1]: unknown filter "gg"; expected f`},
		{"a filter twice", `filters = ["f"]`, `filters = ["f", "f"]`, `c.toml:14:17: listener.filters[1]: filter "f" is in the list already`},
		{"negative idle timeout", `filters =`, "idle_timeout = \"-1m\"\nfilters =", `c.toml:14:1: listener.idle_timeout: wants a positive duration, not -1m0s`},
		{"unknown kind of store", "[service]", "[store]\nkind = \"memry\"\n[service]", `c.toml:2:1: store.kind: unknown kind of store "memry"; did you mean "memory"?`},
		{"unknown setting of the store", "[service]", "[store]\naddress = \"x\"\n[service]", `c.toml:2:1: store.address: unknown key; expected max_entries or max_size`},
		{"a store of nothing", "[service]", "[store]\nmax_size = 0\n[service]", `c.toml:2:1: store.max_size: wants a size of at least 65536, not 0; leave the key out for 64MiB`},
		{"bad setting of the store", "[service]", "[store]\nmax_size = 5\n[service]", `c.toml:2:1: store.max_size: wants a size of at least 65536, not 5`},
		{"store of a wrong type", "[service]", "[store]\nmax_size = \"5 apples\"\n[service]", `c.toml:2:1: store.max_size: "5 apples" is not a size; write "64KiB", "10MB" or a number of bytes`},
		{"admin without an address", "[service]", "[admin]\n[service]", `c.toml:1:1: admin.listen: required key is missing`},
		{"admin for others", "[service]", "[admin]\nlisten = \"0.0.0.0:9901\"\n[service]", `c.toml:2:1: admin.listen: "0.0.0.0:9901" is reachable from other machines, which could then read all of the admin data; set allow_remote = true to allow it`},
		{"admin at a name", "[service]", "[admin]\nlisten = \"localhost:9901\"\n[service]", `c.toml:2:1: admin.listen: address "localhost:9901": wants ip:port, [ipv6]:port or unix:/path`},
		{"unknown key of admin", "[service]", "[admin]\nlisten = \"127.0.0.1:0\"\nremote = true\n[service]", `c.toml:3:1: admin.remote: unknown key; expected allow_remote, console or listen`},
		{"no listener", good[strings.Index(good, "[[listener]]"):], "", `the configuration has no [[listener]]: there is nothing to do`},
		{"no TOML", "[service]", "[service", `c.toml:1:`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(good, test.old) {
				t.Fatal("the test changes nothing")
			}
			text := mistakesOf(strings.Replace(good, test.old, test.new, 1))
			if test.name == "no TOML" {
				text = text[:min(len(text), len(test.want))]
			}
			if diff := cmp.Diff(test.want, text); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// mistakesOf returns what New has to say about a configuration.
func mistakesOf(text string) string {
	config, err := ParseConfig("c.toml", []byte(text))
	if err == nil {
		config.Builtin = map[string]string{"demo": ""}
		_, err = New(config, NewRegistry(kindWords()))
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestManyMistakes sees that mistakes are reported together, in their order.
func TestManyMistakes(t *testing.T) {
	text := must(os.ReadFile(filepath.Join("testdata", "mistakes.toml")))(t)
	want := must(os.ReadFile(filepath.Join("testdata", "mistakes.txt")))(t)
	if diff := cmp.Diff(string(want), mistakesOf(string(text))+"\n"); diff != "" {
		t.Error(diff)
	}
}

// TestProgramMistakes sees that a configuration that a program has made is
// checked like one of a file.
func TestProgramMistakes(t *testing.T) {
	config := Config{
		Service:   ServiceConfig{Workers: -1, Backend: "autoo"},
		Upstreams: []UpstreamConfig{{Name: "a"}, {Servers: []string{"nothing"}}, {Name: "a", Servers: []string{"unix:x"}}},
		Filters:   []FilterConfig{{Name: "f"}, {Name: "g", Kind: "none"}, {Name: "f", Filter: &testFilter{}}},
		Listeners: []ListenerConfig{{Filters: []string{""}, IdleTimeout: -1}},
	}
	want := `service: backend: unknown backend "autoo"; did you mean "auto"?
service: workers: wants a number from 0 to 4096, not -1
upstream "a": servers: wants at least one server
upstream "": name: must not be empty
upstream "": servers[0]: "nothing": wants host:port, [ipv6]:port, unix:/path or builtin:name
upstream "a": name: there are two upstreams "a"
filter "f": name: there are two filters "f"
listener "": name: must not be empty
listener "": listen: must not be empty
listener "": upstream: must not be empty
listener "": filters[0]: unknown filter ""; expected f or g
listener "": idle_timeout: wants a positive duration, not -1ns
filter "f": kind: neither a kind nor a filter
filter "g": kind: unknown kind of filter "none"`
	_, err := New(config, nil)
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	nothing := Factory{Kind: "nothing", New: func(FilterConfig, any) (Filter, error) { return nil, nil }}
	config = gatewayConfig("", "127.0.0.1:1")
	config.Filters = []FilterConfig{{Name: "n", Kind: "nothing"}}
	if _, err := New(config, NewRegistry(nothing)); err == nil || err.Error() != `filter "n": kind "nothing" made no filter` {
		t.Errorf("a factory that makes nothing: %v", err)
	}
}

// TestLoadConfig sees what becomes of a good configuration.
func TestLoadConfig(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	check(t, os.WriteFile(path, []byte(good), 0o600))
	config := must(LoadConfig(path))(t)
	config.Builtin = map[string]string{"demo": "127.0.0.1:1"}
	fw := must(New(config, NewRegistry(kindWords())))(t)
	if config.Service.Drain != 0 || config.Listeners[0].IdleTimeout != 0 || config.Upstreams[0].ConnectTimeout != 0 {
		t.Error("New has changed the configuration that it was given")
	}
	g := fw.current.Load()
	l, u, f := g.listeners[0].config, g.upstreams[0].config, g.filters[0].config
	got := []any{
		g.config.Service.Workers, g.config.Service.Drain, u.Name, len(u.Servers), u.ConnectTimeout,
		f.Name, f.Kind, f.Class, f.Dir, l.Name, l.Listen, l.Upstream, l.Filters, l.IdleTimeout,
	}
	want := []any{
		1, 10 * time.Second, "out", 5, 5 * time.Second,
		"f", "words", ClassMiddle, dir, "in", "127.0.0.1:0", "out",
		[]string{"f"},
		10 * time.Minute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := LoadConfig(filepath.Join(dir, "none.toml")); err == nil || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	factory := kindWords()
	other := factory
	other.Kind = "other"
	kinds := make([]string, 0, 2)
	for _, f := range NewRegistry(factory, other).Factories() {
		kinds = append(kinds, f.Kind)
	}
	if diff := cmp.Diff([]string{"other", "words"}, kinds); diff != "" {
		t.Error(diff)
	}
	for name, factories := range map[string][]Factory{
		"twice": {factory, factory}, "no kind": {{New: factory.New}}, "no New": {{Kind: "x"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			NewRegistry(factories...)
		}()
	}
}

func TestNames(t *testing.T) {
	var b bytes.Buffer
	for _, v := range []Verdict{Pass, Replace(nil), Drop, Deny(""), Hold, Fail("")} {
		b.WriteString(v.String() + " ")
	}
	for _, o := range []Outcome{Passed, Denied, Failed} {
		b.WriteString(o.String() + " ")
	}
	for c := range PriorityClass(8) {
		b.WriteString(c.String() + " ")
	}
	want := "pass replace drop deny hold fail pass deny fail nat internal post-trust middle pre-trust external emulation unknown "
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
}
