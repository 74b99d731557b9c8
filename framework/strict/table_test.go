package strict_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/strict"
)

const gateway = `[service]
workers = 4

[[upstream]]
name = "site"
servers = ["10.0.0.1:80",
           "10.0.0.1:80"]

  [[filter]]
  name = "audit"
  "odd name" = 1
  [filter.allow]
  write = ["var/"]
`

func TestErrorf(t *testing.T) {
	var config struct {
		Service  strict.Table   `toml:"service"`
		Upstream []strict.Table `toml:"upstream"`
		Filter   []strict.Table `toml:"filter"`
		Admin    strict.Table   `toml:"admin"`
	}
	root := parse(t, gateway)
	if err := root.Decode(&config); err != nil {
		t.Fatal(err)
	}
	upstream, filter := config.Upstream[0], config.Filter[0]
	for _, test := range []struct {
		table     strict.Table
		key, want string
	}{
		{root, "", "c.toml:1:1: wrong"},
		{root, "upstream", "c.toml:4:3: upstream: wrong"},
		{root, "upstream[0]", "c.toml:4:3: upstream[0]: wrong"},
		{root, "upstream[0].servers[1]", "c.toml:7:12: upstream[0].servers[1]: wrong"},
		{config.Service, "", "c.toml:1:1: service: wrong"},
		{config.Service, "workers", "c.toml:2:1: service.workers: wrong"},
		{config.Service, "drain", "c.toml:1:1: service.drain: wrong"},
		{upstream, "servers[0]", "c.toml:6:12: upstream.servers[0]: wrong"},
		{upstream, "servers[1]", "c.toml:7:12: upstream.servers[1]: wrong"},
		{upstream, "servers[2]", "c.toml:6:1: upstream.servers[2]: wrong"},
		{upstream, "servers[-1]", "c.toml:6:1: upstream.servers[-1]: wrong"},
		{upstream, "servers[x", "c.toml:4:1: upstream.servers[x: wrong"},
		{upstream, "servers]", "c.toml:4:1: upstream.servers]: wrong"},
		{filter, "", "c.toml:9:3: filter: wrong"},
		{filter, "name", "c.toml:10:3: filter.name: wrong"},
		{filter, "odd name", `c.toml:11:3: filter."odd name": wrong`},
		{filter, "allow", "c.toml:12:11: filter.allow: wrong"},
		{filter, "allow.write", "c.toml:13:3: filter.allow.write: wrong"},
		{filter, "allow.write[0]", "c.toml:13:12: filter.allow.write[0]: wrong"},
		{filter, "allow.read", "c.toml:12:11: filter.allow.read: wrong"},
		{filter, "kind", "c.toml:9:3: filter.kind: wrong"},
		{config.Admin, "listen", "c.toml:1:1: admin.listen: wrong"},
		{strict.Table{}, "a", "a: wrong"},
		{strict.Table{}, "", "wrong"},
	} {
		if got := test.table.Errorf(test.key, "%s", "wrong").Error(); got != test.want {
			t.Errorf("Errorf(%q) is %q, not %q", test.key, got, test.want)
		}
	}
}

func TestHas(t *testing.T) {
	root := parse(t, gateway)
	for key, want := range map[string]bool{"service": true, "filter": true, "admin": false, "": false} {
		if got := root.Has(key); got != want {
			t.Errorf("Has(%q) is %v", key, got)
		}
	}
	if (strict.Table{}).Has("service") {
		t.Error("the zero Table has a key")
	}
}

func TestIsZero(t *testing.T) {
	if !(strict.Table{}).IsZero() {
		t.Error("the zero Table is not zero")
	}
	if parse(t, "").IsZero() {
		t.Error("an empty document has no root table")
	}
}

func TestMap(t *testing.T) {
	root := parse(t, gateway)
	want := map[string]any{
		"service":  map[string]any{"workers": int64(4)},
		"upstream": []any{map[string]any{"name": "site", "servers": []any{"10.0.0.1:80", "10.0.0.1:80"}}},
		"filter": []any{map[string]any{
			"name": "audit", "odd name": int64(1), "allow": map[string]any{"write": []any{"var/"}},
		}},
	}
	got := root.Map()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got["service"].(map[string]any)["workers"] = "changed"
	delete(got, "filter")
	if diff := cmp.Diff(want, root.Map()); diff != "" {
		t.Errorf("a change to the copy went through: (-want +got)\n%s", diff)
	}
	if got := (strict.Table{}).Map(); got == nil || len(got) != 0 {
		t.Errorf("the zero Table has the map %v", got)
	}
}
