package scripting

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"fwx/framework"
)

func TestFactory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good.lua": "return {}", "bad.lua": "local x\nx = = 1\n", "open.lua": "return {", "hash.lua": "#!/usr/bin/lua\nreturn {}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct{ settings, want string }{
		{`script = "good.lua"`, ""},
		{`script = "hash.lua"`, ""},
		{"script = \"good.lua\"\non_error = \"pass\"\nbudget = 1000\n[filter.config]\nx = 1\n[filter.allow]\nread = [\"lists/\", \"a.txt\"]", ""},
		{``, "filter.script: required key is missing"},
		{`script = "none.lua"`, "c.toml:4:1: filter.script: open "},
		{`script = "bad.lua"`, `c.toml:4:1: filter.script: bad.lua:2: syntax error near "="`},
		{`script = "open.lua"`, "filter.script: open.lua: syntax error at the end of the script"},
		{"script = \"good.lua\"\non_error = \"ignore\"", `c.toml:5:1: filter.on_error: unknown value "ignore"; expected close or pass`},
		{"script = \"good.lua\"\nbudget = 0", "c.toml:5:1: filter.budget: wants more than 0; leave the key out for 10000000"},
		{"script = \"good.lua\"\nevent_budget = 0", "c.toml:5:1: filter.event_budget: wants more than 0; leave the key out for 100000000"},
		{"script = \"good.lua\"\nmemory = 0", "c.toml:5:1: filter.memory: wants a size of at least 1048576, not 0; leave the key out for 64MiB"},
		{"script = \"good.lua\"\nbreaker_pause = \"0s\"", "c.toml:5:1: filter.breaker_pause: 0s could mean no time or no limit: leave the key out for 10s"},
		{"script = \"good.lua\"\nbreaker = 0", ""},
		{"script = \"good.lua\"\nbudget = -1", "c.toml:5:1: filter.budget: wants a positive number"},
		{"script = \"good.lua\"\nevent_budget = -1", "c.toml:5:1: filter.event_budget: wants a positive number"},
		{"script = \"good.lua\"\nscirpt = \"x\"", `filter.scirpt: unknown key; did you mean "script"?`},
		{"script = \"good.lua\"\n[filter.allow]\nread = [\"a\", \"../b\"]", `c.toml:6:14: filter.allow.read[1]: "../b" must be a relative path that does not lead out of the configuration's directory`},
		{"script = \"good.lua\"\n[filter.allow]\nwrite = [\"/etc\"]", `filter.allow.write[0]: "/etc" must be a relative path`},
		{"script = \"good.lua\"\n[filter.allow]\nconect = []", `unknown key`},
		{"script = \"good.lua\"\n[filter.allow]\nconnect = [\"10.0.0.0/8:443\", \"example.org:443\", \"unix:/run/x\"]\ndns = [\"*.example.org\"]\ninsecure_tls = true", ""},
		{"script = \"good.lua\"\n[filter.allow]\nconnect = [\"a:1\", \"example.org\"]", `c.toml:6:19: filter.allow.connect[1]: "example.org": wants "host:port"`},
		{"script = \"good.lua\"\n[filter.allow]\ndns = [\"a:1\"]", `filter.allow.dns[0]: "a:1": "a:1" is no host name`},
	} {
		text := "[[filter]]\nname = \"f\"\nkind = \"lua\"\n" + row.settings +
			"\n[[upstream]]\nname = \"u\"\nservers = [\"127.0.0.1:1\"]\n[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:0\"\nupstream = \"u\"\nfilters = [\"f\"]\n"
		config, err := framework.ParseConfig("c.toml", []byte(text))
		if err == nil {
			config.Filters[0].Dir = dir
			_, err = framework.New(config, framework.NewRegistry(Factory()))
		}
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.settings, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: %v; want %s", row.settings, err, row.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("making filters left %v, %v", left, err)
	}
}

func TestNew(t *testing.T) {
	for _, row := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Script: "x.lua", Source: "return {}"}, ""},
		{Settings{Name: "f", Script: "x.lua", Source: "return {", OnError: "close"}, `filter "f": script: x.lua: syntax error at the end of the script`},
		{Settings{Name: "f", Script: "x.lua", Source: "return {}", OnError: "x"}, `filter "f": on_error: unknown value "x"`},
		{Settings{Name: "f", Script: "x.lua", Source: "return {}", Interpreter: "plan"}, `filter "f": interpreter: unknown value "plan"; did you mean "plain"?`},
		{Settings{Name: "f", Script: "x.lua", Source: "return {}", Interpreter: InterpreterPlain}, ""},
		{Settings{Name: "f", Script: "none.lua", Dir: t.TempDir()}, syscall.ENOENT.Error()},
	} {
		_, err := New(row.settings)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%v; want %s", err, row.want)
		}
	}
}

func TestConfigTable(t *testing.T) {
	g := newGateway(t, anyBackend, `
		function M.on_init(config)
			fwx.log.info(config.s .. config.n .. tostring(config.b) .. table.concat(config.list, "+") .. config.table.x .. config.f)
		end`, func(s *Settings) {
		s.Config = map[string]any{
			"s": "text", "n": int64(7), "b": true, "f": 1.5, "list": []any{"a", int64(2)}, "table": map[string]any{"x": "y"},
		}
	}).start()
	g.logged("text7truea+2y1.5")
}

func TestAccessDirectories(t *testing.T) {
	g := newGateway(t, anyBackend, `
		function M.on_init()
			assert(fwx.file.write("made/deep/x", "1"))
			assert(fwx.file.write("one/file.txt", "2"))
			local ok, err, code = fwx.file.write("one/other.txt", "3")
			fwx.log.info("code " .. code)
			assert(not fwx.file.read("one/file.txt"))
		end`, func(s *Settings) { s.Allow = Allow{Write: []string{"made/deep/", "one/file.txt"}} }).start()
	g.logged("code denied")
	info, err := os.Stat(filepath.Join(g.dir, "made", "deep"))
	if err != nil || info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info, err)
	}
	missing := newGateway(t, anyBackend, ``, func(s *Settings) { s.Allow = Allow{Read: []string{"lists/"}} })
	if err := missing.fw.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "allow.read") {
		t.Errorf("started with %v", err)
	}
}
