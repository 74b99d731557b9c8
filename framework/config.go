package framework

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

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
	// Backend of the completion port: "auto", "io_uring", "epoll" or "iocp".
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
			Name: header.Name, Kind: header.Kind, Class: header.Class, Table: table,
		})
	}
	return config, nil
}

// upstream returns the index of the upstream of a name, -1 if there is none.
func (c *Config) upstream(name string) int {
	return slices.IndexFunc(c.Upstreams, func(u UpstreamConfig) bool { return u.Name == name })
}
