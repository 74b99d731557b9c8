package framework

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// Config is what a firewall is made from: read from a file by LoadConfig, or
// made by a host program, or both.
type Config struct {
	Service   ServiceConfig
	Upstreams []UpstreamConfig
	Filters   []FilterConfig
	Listeners []ListenerConfig

	// Dir is the directory that relative paths start from; empty: the working directory.
	Dir string
	// Builtin has the addresses of the servers that an upstream may name as
	// "builtin:NAME".
	Builtin map[string]string
	// Logger gets what the firewall has to say; nil means slog.Default().
	Logger *slog.Logger

	mistakes strict.Errors // found by LoadConfig, reported by New with its own
}

// ServiceConfig is the settings of the service as a whole.
type ServiceConfig struct {
	// Workers is the number of workers; 0 means one for each CPU.
	Workers int `toml:"workers"`
	// Backend of the completion port: "auto", "io_uring" or "epoll".
	Backend string `toml:"backend"`
	// Drain is how long Shutdown lets connections finish; 0 means 10 s.
	Drain time.Duration `toml:"drain"`
	// MaxConnections bounds the connections at a time; further ones wait in the
	// listeners' backlogs. 0 means as many as the limit of open files allows.
	MaxConnections int `toml:"max_connections"`

	table strict.Table
}

// UpstreamConfig is a set of servers.
type UpstreamConfig struct {
	// Name is what listeners and logs call it.
	Name string `toml:"name,required"`
	// Servers are taken in turn: "host:port", "[ipv6]:port", "unix:/path" or "builtin:NAME".
	Servers []string `toml:"servers,required"`
	// ConnectTimeout bounds each attempt to connect; 0 means 5 s.
	ConnectTimeout time.Duration `toml:"connect_timeout"`

	Table strict.Table `toml:"."`
}

// ListenerConfig is an address on which clients are accepted.
type ListenerConfig struct {
	// Name is what logs call it.
	Name string `toml:"name,required"`
	// Listen is the address: "127.0.0.1:8080", "[::]:80" or "unix:/path".
	Listen string `toml:"listen,required"`
	// Protocol is "tcp".
	Protocol string `toml:"protocol"`
	// Filters are the names of the filters that see its connections, in order.
	Filters []string `toml:"filters"`
	// Upstream is the name of the upstream that its connections go to.
	Upstream string `toml:"upstream,required"`
	// IdleTimeout ends a connection on which nothing moves; 0 means 10 minutes.
	IdleTimeout time.Duration `toml:"idle_timeout"`

	Table strict.Table `toml:"."`
}

const (
	defaultDrain          = 10 * time.Second
	defaultConnectTimeout = 5 * time.Second
	defaultIdleTimeout    = 10 * time.Minute
	protocolTCP           = "tcp"
)

// filterKeys are the keys of a filter's table that do not belong to its kind.
var filterKeys = []string{"name", "kind", "class"}

type filterHeader struct {
	Name  string        `toml:"name,required"`
	Kind  string        `toml:"kind,required"`
	Class PriorityClass `toml:"class"`
}

// LoadConfig reads a configuration file. The error is about a file that cannot
// be read or is no TOML; what else is wrong with it is reported by New,
// together with everything that New finds.
func LoadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator says which file
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	config, err := ParseConfig(path, text)
	if err != nil {
		return Config{}, err
	}
	config.Dir = filepath.Dir(path)
	for i := range config.Filters {
		config.Filters[i].Dir = config.Dir
	}
	return config, nil
}

// ParseConfig is LoadConfig for text at hand; file is its name in errors.
func ParseConfig(file string, text []byte) (Config, error) {
	root, err := strict.Parse(file, text)
	if err != nil {
		return Config{}, err
	}
	var f struct {
		Service  strict.Table     `toml:"service"`
		Upstream []UpstreamConfig `toml:"upstream"`
		Filter   []strict.Table   `toml:"filter"`
		Listener []ListenerConfig `toml:"listener"`
	}
	var config Config
	config.mistakes.Add(root.Decode(&f))
	config.mistakes.Add(f.Service.Decode(&config.Service))
	config.Service.table = f.Service
	config.Upstreams, config.Listeners = f.Upstream, f.Listener
	for _, table := range f.Filter {
		header := filterHeader{Class: ClassMiddle}
		config.mistakes.Add(table.Only(filterKeys...).Decode(&header))
		config.Filters = append(config.Filters, FilterConfig{
			Name: header.Name, Kind: header.Kind, Class: header.Class, Table: table.Without(filterKeys...),
		})
	}
	return config, nil
}

// check reports what is wrong with the settings, apart from filters.
func (c *Config) check(mistakes *strict.Errors) {
	c.checkService(mistakes)
	c.checkUpstreams(mistakes)
	c.checkListeners(mistakes)
}

func (c *Config) checkService(mistakes *strict.Errors) {
	s := &c.Service
	known := append([]string{"", "auto"}, completion.Backends()...)
	if !contains(known, s.Backend) {
		mistakes.Add(s.table.Errorf("backend", "%v", &UnknownNameError{What: "backend", Name: s.Backend, Known: known[1:]}))
	}
	for key, n := range map[string]int{"workers": s.Workers, "max_connections": s.MaxConnections} {
		if n < 0 || n > maxCount {
			mistakes.Add(s.table.Errorf(key, "wants a number from 0 to %d, not %d", maxCount, n))
		}
	}
	if s.Drain < 0 {
		mistakes.Add(s.table.Errorf("drain", "wants a positive duration, not %v", s.Drain))
	}
	setDefault(&s.Drain, defaultDrain)
}

// maxCount is a bound for counts that is beyond any sense.
const maxCount = 10_000_000

func (c *Config) checkUpstreams(mistakes *strict.Errors) {
	names := make(map[string]bool)
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		unique(mistakes, names, u.Table, "upstream", u.Name)
		if len(u.Servers) == 0 && u.Table.Has("servers") {
			mistakes.Add(u.Table.Errorf("servers", "wants at least one server"))
		}
		for j, server := range u.Servers {
			if err := c.checkServer(server); err != nil {
				mistakes.Add(u.Table.Errorf(fmt.Sprintf("servers[%d]", j), "%q: %v", server, err))
			}
		}
		if u.ConnectTimeout < 0 {
			mistakes.Add(u.Table.Errorf("connect_timeout", "wants a positive duration, not %v", u.ConnectTimeout))
		}
		setDefault(&u.ConnectTimeout, defaultConnectTimeout)
	}
}

// checkServer looks at the form of an address; nothing is looked up.
func (c *Config) checkServer(server string) error {
	if name, ok := strings.CutPrefix(server, builtinPrefix); ok {
		if _, ok := c.Builtin[name]; !ok {
			return &UnknownNameError{What: "builtin server", Name: name, Known: sortedKeys(c.Builtin)}
		}
		return nil
	}
	if _, err := completion.ParseAddress(server); err == nil {
		return nil
	}
	_, _, err := splitServer(server)
	return err
}

func (c *Config) checkListeners(mistakes *strict.Errors) {
	names := make(map[string]bool)
	filters := make(map[string]bool)
	for _, f := range c.Filters {
		filters[f.Name] = true
	}
	if len(c.Listeners) == 0 {
		mistakes.Add(fmt.Errorf("the configuration has no [[listener]]: there is nothing to do"))
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		unique(mistakes, names, l.Table, "listener", l.Name)
		if _, err := completion.ParseAddress(l.Listen); err != nil && l.Listen != "" {
			mistakes.Add(l.Table.Errorf("listen", "%v", err))
		}
		if l.Protocol != "" && l.Protocol != protocolTCP {
			mistakes.Add(l.Table.Errorf("protocol", "%v", &UnknownNameError{What: "protocol", Name: l.Protocol, Known: []string{protocolTCP}}))
		}
		if c.upstream(l.Upstream) < 0 && l.Upstream != "" {
			mistakes.Add(l.Table.Errorf("upstream", "there is no upstream %q", l.Upstream))
		}
		for j, name := range l.Filters {
			if !filters[name] {
				mistakes.Add(l.Table.Errorf(fmt.Sprintf("filters[%d]", j), "there is no filter %q", name))
			}
		}
		if l.IdleTimeout < 0 {
			mistakes.Add(l.Table.Errorf("idle_timeout", "wants a positive duration, not %v", l.IdleTimeout))
		}
		setDefault(&l.IdleTimeout, defaultIdleTimeout)
	}
}

// unique reports a name that an earlier table has already.
func unique(mistakes *strict.Errors, names map[string]bool, table strict.Table, what, name string) {
	if names[name] && name != "" {
		mistakes.Add(table.Errorf("name", "there are two %ss %q", what, name))
	}
	names[name] = true
}

// upstream returns the index of the upstream of a name, -1 if there is none.
func (c *Config) upstream(name string) int {
	for i := range c.Upstreams {
		if c.Upstreams[i].Name == name {
			return i
		}
	}
	return -1
}

func setDefault(v *time.Duration, value time.Duration) {
	if *v <= 0 {
		*v = value
	}
}
