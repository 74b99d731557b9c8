package balance

import (
	"fmt"
	"slices"
	"time"

	"fwx/framework/completion"
	"fwx/framework/strict"
)

// The ways to choose a server, for Config.Balance.
const (
	// RoundRobin takes the servers in turn, each as often as its weight says.
	RoundRobin = "round_robin"
	// LeastConnections takes the one with the fewest connections for its weight.
	LeastConnections = "least_connections"
	// Hash takes the same one for the same key as long as it can be had.
	Hash = "hash"
)

// Balances are the ways to choose a server.
func Balances() []string { return []string{RoundRobin, LeastConnections, Hash} }

// The kinds of check, for CheckConfig.Kind.
const (
	// CheckTCP connects, and with Upstream.Secure makes the handshake.
	CheckTCP = "tcp"
	// CheckHTTP makes a request and looks at the status.
	CheckHTTP = "http"
)

// CheckKinds are the kinds of check.
func CheckKinds() []string { return []string{CheckTCP, CheckHTTP} }

// Config is how one of an upstream's servers is chosen.
type Config struct {
	// Name is what logs call the upstream.
	Name string
	// Balance is RoundRobin, LeastConnections or Hash.
	Balance string
	// MaxConnections bounds the connections to each server; 0: nothing does.
	MaxConnections int
	// SlowStart is how long a server that joins or comes back takes to get its whole
	// share; 0: it has it at once.
	SlowStart time.Duration
	// Check has the servers checked; nil: they are not.
	Check *CheckConfig
	// Eject leaves servers out for a while that keep failing; nil: it does not.
	Eject *EjectConfig
}

// CheckConfig is how servers are checked.
type CheckConfig struct {
	// Kind is CheckTCP or CheckHTTP; empty means CheckTCP.
	Kind string `toml:"kind"`
	// Path is what CheckHTTP asks for; empty means "/".
	Path string `toml:"path"`
	// Host is the host that CheckHTTP names; empty: the server's own.
	Host string `toml:"host"`
	// Status are the answers to CheckHTTP that are good; none: 200 to 399.
	Status []int `toml:"status"`
	// Interval is the time between two checks of a server; 0 means 5 s.
	Interval time.Duration `toml:"interval"`
	// Timeout bounds a check; 0 means 2 s.
	Timeout time.Duration `toml:"timeout"`
	// Rise is how many checks in a row bring a server up; 0 means 2.
	Rise int `toml:"rise"`
	// Fall is how many failures in a row take it down; 0 means 3.
	Fall int `toml:"fall"`

	Table strict.Table `toml:"."`
}

// Check reports what is wrong with the settings, and fills in the defaults.
func (c *CheckConfig) Check(check strict.Checker) {
	check.OneOf("kind", &c.Kind, "kind of check", CheckKinds())
	if c.Kind == CheckTCP {
		for key, set := range map[string]bool{"path": c.Path != "", "host": c.Host != "", "status": len(c.Status) > 0} {
			if set {
				check.Errorf(key, "is for kind = %q", CheckHTTP)
			}
		}
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Path[0] != '/' || !isVisible(c.Path) {
		check.Errorf("path", "%q: wants a path that begins with / and has neither spaces nor control characters", c.Path)
	}
	if !isVisible(c.Host) {
		check.Errorf("host", "%q: wants a host without spaces and control characters", c.Host)
	}
	for i, status := range c.Status {
		if status < 100 || status > 599 {
			check.Errorf(fmt.Sprintf("status[%d]", i), "wants a number from 100 to 599, not %d", status)
		}
	}
	check.Duration("interval", &c.Interval, DefaultInterval)
	check.Duration("timeout", &c.Timeout, DefaultCheckTimeout)
	check.Number("rise", &c.Rise, maxRow, DefaultRise)
	check.Number("fall", &c.Fall, maxRow, DefaultFall)
}

// EjectConfig is when servers are left out because of what their connections met.
type EjectConfig struct {
	// Failures is how many in a row it takes; 0 means 5.
	Failures int `toml:"failures"`
	// Time is how long the first ejection lasts; each further one lasts twice as long.
	// 0 means 30 s.
	Time time.Duration `toml:"time"`
	// MaxTime bounds that; 0 means 5 minutes.
	MaxTime time.Duration `toml:"max_time"`
	// MaxShare is how much of the servers may be ejected at a time, in percent; 0 means 50.
	MaxShare int `toml:"max_share"`

	Table strict.Table `toml:"."`
}

// Check reports what is wrong with the settings, and fills in the defaults.
func (e *EjectConfig) Check(check strict.Checker) {
	check.Number("failures", &e.Failures, maxRow, DefaultFailures)
	check.Duration("time", &e.Time, DefaultEjectTime)
	check.Duration("max_time", &e.MaxTime, max(DefaultMaxEjectTime, e.Time))
	if e.MaxTime < e.Time {
		check.Errorf("max_time", "wants at least the %v of time, not %v", e.Time, e.MaxTime)
	}
	check.Number("max_share", &e.MaxShare, 100, DefaultMaxShare)
}

// isVisible reports whether a text can stand in the head of an HTTP request.
func isVisible(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b <= ' ' || b >= 0x7f })
}

// The defaults.
const (
	DefaultInterval     = 5 * time.Second
	DefaultCheckTimeout = 2 * time.Second
	DefaultRise         = 2
	DefaultFall         = 3
	DefaultFailures     = 5
	DefaultEjectTime    = 30 * time.Second
	DefaultMaxEjectTime = 5 * time.Minute
	DefaultMaxShare     = 50
)

// The bounds of what can be asked for.
const (
	MaxServers = 1000 // of an upstream, the addresses of names included
	MaxWeight  = 256

	maxRow = 1000 // how many of something in a row can be waited for
)

// same reports whether two configurations say the same, wherever they stand in a file.
func (c Config) same(other Config) bool { return strict.Equal(c, other) }

// Target is a server of a configuration: an address, or a name that has some.
type Target struct {
	// Text is what the configuration calls it.
	Text string
	// Address is where it is, unless Host is given.
	Address completion.Address
	// Host is a name to be looked up, and Port the port at its addresses.
	Host string
	Port uint16
	// Weight is its share, 1 to MaxWeight.
	Weight int
	// Backup has it chosen only when none of the others can be.
	Backup bool
}
