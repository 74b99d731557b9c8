package strict_test

import (
	"fmt"
	"time"

	"fwx/framework/strict"
)

func Example() {
	const document = `[service]
worker = 4
drain = 10

[[listener]]
name = "web"
port = 80800

[[listener]]
name = "web"
port = 8443
`
	type Listener struct {
		Name   string       `toml:"name,required"`
		Port   uint16       `toml:"port,required"`
		Source strict.Table `toml:"."`
	}
	config := struct {
		Service struct {
			Workers int           `toml:"workers"`
			Drain   time.Duration `toml:"drain"`
		} `toml:"service"`
		Listeners []Listener `toml:"listener"`
	}{}

	root, err := strict.Parse("gateway.toml", []byte(document))
	if err != nil {
		fmt.Println(err)
		return
	}
	var mistakes strict.Errors
	mistakes.Add(root.Decode(&config))
	seen := make(map[string]bool)
	for _, l := range config.Listeners {
		if seen[l.Name] {
			mistakes.Add(l.Source.Errorf("name", "%q is taken", l.Name))
		}
		seen[l.Name] = true
	}
	fmt.Println(mistakes.Err())
	// Output:
	// gateway.toml:2:1: service.worker: unknown key; did you mean "workers"?
	// gateway.toml:3:1: service.drain: a duration needs a unit: write "10s"
	// gateway.toml:7:1: listener.port: 80800 is out of range (0 to 65535)
	// gateway.toml:10:1: listener.name: "web" is taken
}

// A table that somebody else knows is kept, and decoded over defaults when its
// kind is known.
func ExampleTable_Decode() {
	const document = `
[[filter]]
kind = "limit"
burst = 20
`
	var config struct {
		Filters []strict.Table `toml:"filter"`
	}
	root, err := strict.Parse("gateway.toml", []byte(document))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := root.Decode(&config); err != nil {
		fmt.Println(err)
		return
	}
	limit := struct {
		Kind  string      `toml:"kind"`
		Rate  int         `toml:"rate"`
		Burst int         `toml:"burst"`
		Body  strict.Size `toml:"body"`
	}{Rate: 10, Burst: 10, Body: 1 << 20}
	fmt.Println(config.Filters[0].Decode(&limit), limit)
	// Output: <nil> {limit 10 20 1MiB}
}

func ExampleSuggest() {
	fmt.Println("no filter \"audti\"" + strict.Suggest("audti", []string{"audit", "block"}))
	fmt.Println("no filter \"cache\"" + strict.Suggest("cache", []string{"audit", "block"}))
	// Output:
	// no filter "audti"; did you mean "audit"?
	// no filter "cache"; expected audit or block
}
