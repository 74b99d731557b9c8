package framework

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fwx/framework/completion"
	"fwx/framework/store"
	"fwx/framework/strict"
	"fwx/framework/wire/coding"
)

// Config is what a firewall is made from. LoadConfig reads it from a file, or a host program
// fills it in, or both.
type Config struct {
	Service   ServiceConfig
	Admin     AdminConfig
	Store     StoreConfig
	Upstreams []UpstreamConfig
	Filters   []FilterConfig
	Listeners []ListenerConfig

	// Dir is the directory to which relative paths refer; empty: the working directory.
	Dir string
	// Builtin has the addresses of the servers that an upstream may name as
	// "builtin:NAME".
	Builtin map[string]string
	// StoreKinds are the kinds of store that Store may name besides "memory".
	StoreKinds []store.Kind
	// Codings are the content codings that bodies can be decoded from besides gzip and
	// deflate, see Exchange.DecodeBody.
	Codings coding.Codings
	// Logger receives the firewall's log; nil means slog.Default(). Workers call it, so it
	// must not block: package fwx/framework/logqueue makes a logger that does not.
	Logger *slog.Logger
	// OnStatus is called with the state of the service, for a supervisor; nil: it is not
	// reported. Start, Shutdown or UpdateServiceStatus waits until it returns.
	OnStatus func(ServiceStatus)
	// OnAlert is called with what an operator wants to know at once; nil: alerts are not
	// reported. It is called on a worker, whose connections wait until it returns.
	OnAlert func(Alert)
	// OpenPort makes the completion port; nil means completion.New. A test can use that of a
	// machine in memory, see package fwx/framework/completion/fake.
	OpenPort func(completion.Options) (*completion.Port, error)

	mistakes strict.Errors // found by LoadConfig, returned by New with those that it finds
}

// ServiceConfig is the settings of the service as a whole.
type ServiceConfig struct {
	// Workers is the number of workers; 0 means one for each CPU.
	Workers int `toml:"workers"`
	// Backend of the completion port: "auto", "io_uring", "epoll", "poll" or "iocp".
	Backend string `toml:"backend"`
	// Drain is how long Shutdown lets connections finish; 0 means 10 s.
	Drain time.Duration `toml:"drain"`
	// MaxConnections bounds the connections at a time; further ones wait in the listeners'
	// backlogs. 0 means as many as the limit of open files allows.
	MaxConnections int `toml:"max_connections"`
	// BodyMemory bounds the memory that the HTTP exchanges of a worker use together, apart
	// from receive buffers: whole bodies, decoders, messages of WebSockets, pieces of files.
	// Beyond it, an exchange that needs more is answered with 503, and a WebSocket closed
	// with 1013. 0 means 256 MiB.
	BodyMemory strict.Size `toml:"body_memory"`
	// Watch asks the program that runs the firewall to call Reload when one of its files is
	// saved. It is true for a file that does not set it. The firewall itself watches nothing.
	Watch bool `toml:"watch"`

	Table strict.Table `toml:"."`
}

func (s *ServiceConfig) check(check strict.Checker) {
	known := append([]string{"auto"}, completion.Backends()...)
	if s.Backend != "" {
		check.Known("backend", "backend", s.Backend, known)
	}
	check.Count("workers", s.Workers, maxWorkers)
	check.Count("max_connections", s.MaxConnections, maxCount)
	check.Duration("drain", &s.Drain, defaultDrain)
	check.Size("body_memory", &s.BodyMemory, 1<<20, math.MaxInt64, defaultBodyMemory)
}

// AdminConfig is the settings of the admin listener, which package admin serves.
type AdminConfig struct {
	// Listen is the address: "127.0.0.1:9901" or "unix:/path"; empty: no admin listener.
	Listen string `toml:"listen,required"`
	// AllowRemote allows an address that other machines can reach. They can read, and change
	// nothing.
	AllowRemote bool `toml:"allow_remote"`
	// Console allows the console to evaluate Lua.
	Console bool `toml:"console"`

	Table strict.Table `toml:"."`
}

func (c *Config) checkAdmin(check strict.Checker) {
	if c.Admin.Table.IsZero() && c.Admin.Listen == "" {
		return
	}
	check.Text("listen", c.Admin.Listen)
	if c.Admin.Listen == "" {
		return
	}
	address, err := c.address(c.Admin.Listen)
	switch {
	case err != nil:
		check.Errorf("listen", "%v", err)
	case !address.IsUnix() && !address.Addr().IsLoopback() && !c.Admin.AllowRemote:
		check.Errorf("listen", "%q is reachable from other machines, which could then read all of the admin data; set allow_remote = true to allow it", c.Admin.Listen)
	default:
		c.Admin.Listen = address.String()
	}
}

// StoreConfig is the store that filters share: either a Kind with its settings, or a ready
// Store. Neither means the kind "memory" with its defaults.
type StoreConfig struct {
	// Kind is "memory" or one of Config.StoreKinds.
	Kind string
	// Table is the store's part of the configuration file.
	Table strict.Table
	// Store is the store itself, if a host program has made it; Kind and Table are not used
	// then. The firewall closes it at its end.
	Store store.Store
}

const (
	defaultDrain          = 10 * time.Second
	defaultBodyMemory     = 256 << 20
	defaultConnectTimeout = 5 * time.Second
	defaultIdleTimeout    = 10 * time.Minute
	protocolTCP           = "tcp"
	protocolHTTP          = "http"
)

// filterKeys are the keys of a filter's table that are common to all kinds.
var filterKeys = []string{"name", "kind", "class"}

type filterHeader struct {
	Name  string        `toml:"name,required"`
	Kind  string        `toml:"kind,required"`
	Class PriorityClass `toml:"class"`
}

// LoadConfig reads a configuration file. It returns an error if the file cannot be read or is
// not TOML. Other mistakes in it are returned by New, together with those that New finds.
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
		Admin    strict.Table     `toml:"admin"`
		Store    strict.Table     `toml:"store"`
		Upstream []UpstreamConfig `toml:"upstream"`
		Filter   []strict.Table   `toml:"filter"`
		Listener []ListenerConfig `toml:"listener"`
	}
	var config Config
	config.mistakes.Add(root.Decode(&f))
	config.Service.Watch = true
	config.mistakes.Add(f.Service.Decode(&config.Service))
	if !f.Admin.IsZero() {
		config.mistakes.Add(f.Admin.Decode(&config.Admin))
	}
	config.Store.read(f.Store, &config.mistakes)
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

// limit returns the maximum number of connections.
func (s ServiceConfig) limit() int64 {
	if s.MaxConnections == 0 {
		return defaultConnectionLimit()
	}
	return int64(s.MaxConnections)
}

// upstream returns the index of the upstream with a name; -1 if there is none.
func (c *Config) upstream(name string) int {
	return slices.IndexFunc(c.Upstreams, func(u UpstreamConfig) bool { return u.Name == name })
}

// path returns a path of the configuration, made to start from its directory.
func (c *Config) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}
