package framework

import (
	"fmt"
	"slices"
	"time"

	"fwx/framework/strict"
)

// ListenerConfig is an address on which clients are accepted.
type ListenerConfig struct {
	// Name identifies the listener in logs.
	Name string `toml:"name,required"`
	// Listen is the address: "127.0.0.1:8080", "[::]:80" or "unix:/path".
	Listen string `toml:"listen,required"`
	// Protocol is "tcp" or "http"; empty means "tcp".
	Protocol string `toml:"protocol"`
	// Filters are the names of the filters that see its connections, in order.
	Filters []string `toml:"filters"`
	// Upstream is the name of the upstream that its connections go to.
	Upstream string `toml:"upstream,required"`
	// IdleTimeout ends a connection on which no data moves; 0 means 10 minutes.
	IdleTimeout time.Duration `toml:"idle_timeout"`
	// TLS configures TLS with the clients; nil: it is not used.
	TLS *ListenerTLS `toml:"tls"`
	// HTTP configures HTTP, if that is the protocol; nil means the defaults.
	HTTP *HTTPConfig `toml:"http"`
	// Routes say where requests go, if the protocol is "http".
	Routes []RouteConfig `toml:"route"`

	Table strict.Table `toml:"."`
}

func (c *Config) checkListener(check strict.Checker, l *ListenerConfig, upstreams, filters names) {
	check.Text("listen", l.Listen)
	if l.Listen != "" {
		if _, err := c.address(l.Listen); err != nil {
			check.Errorf("listen", "%v", err)
		}
	}
	check.OneOf("protocol", &l.Protocol, "protocol", []string{protocolTCP, protocolHTTP})
	checkHTTP(check, l, upstreams)
	c.checkSpool(check, l)
	check.Text("upstream", l.Upstream)
	if l.Upstream != "" {
		check.Known("upstream", "upstream", l.Upstream, sortedKeys(upstreams))
	}
	for i, name := range l.Filters {
		key := fmt.Sprintf("filters[%d]", i)
		check.Known(key, "filter", name, sortedKeys(filters))
		if slices.Contains(l.Filters[:i], name) {
			check.Errorf(key, "filter %q is in the list already", name)
		}
	}
	check.Duration("idle_timeout", &l.IdleTimeout, defaultIdleTimeout)
	if l.TLS != nil {
		settings := *l.TLS
		l.TLS = &settings // the caller's stay as they are
		secure := check.Sub("tls", settings.Table)
		l.TLS.Check(secure)
		if l.Protocol == protocolHTTP {
			checkTLSOfHTTP(secure, l.TLS)
		}
	}
}

// checkTLSOfHTTP reports what does not go with protocol "http".
func checkTLSOfHTTP(check strict.Checker, t *ListenerTLS) {
	if t.Mode == TLSPassThrough {
		check.Errorf("mode", `%q leaves nothing to read for protocol = %q: terminate TLS, or have protocol = %q`, TLSPassThrough, protocolHTTP, protocolTCP)
	}
	checkSpokenByHTTP(check, t.ALPN, fmt.Sprintf("protocol = %q is %q", protocolHTTP, alpnHTTP))
	t.ALPN = []string{alpnHTTP}
}

// checkSpokenByHTTP reports application protocols that protocol "http" does not speak.
func checkSpokenByHTTP(check strict.Checker, list []string, why string) {
	for i, name := range list {
		if name != alpnHTTP {
			check.Errorf(fmt.Sprintf("alpn[%d]", i), "%q is not spoken: %s", name, why)
		}
	}
}

// alpnHTTP is the name of HTTP/1.1 in ALPN.
const alpnHTTP = "http/1.1"
