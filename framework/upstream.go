package framework

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"fwx/framework/completion"
)

// upstream is a set of servers that do the same, taken in turn.
type upstream struct {
	config  UpstreamConfig
	servers []completion.Address
	turn    atomic.Uint32
}

// pick returns the server whose turn it is, by its number.
func (u *upstream) pick() int { return int((u.turn.Add(1) - 1) % uint32(len(u.servers))) }

// builtinPrefix names a server inside the program.
const builtinPrefix = "builtin:"

// resolve finds the addresses of the servers. Names are looked up once, here.
func (u *upstream) resolve(ctx context.Context, config *Config) error {
	var errs []error
	for _, server := range u.config.Servers {
		addresses, err := config.resolve(ctx, server)
		if err != nil {
			errs = append(errs, fmt.Errorf("upstream %q: server %q: %w", u.config.Name, server, err))
			continue
		}
		u.servers = append(u.servers, addresses...)
	}
	return errors.Join(errs...)
}

func (c *Config) resolve(ctx context.Context, server string) ([]completion.Address, error) {
	if name, ok := strings.CutPrefix(server, builtinPrefix); ok {
		server = c.Builtin[name]
		if server == "" {
			return nil, errors.New("this program has no such builtin server")
		}
	}
	if a, err := completion.ParseAddress(server); err == nil {
		return []completion.Address{c.locate(a)}, nil
	}
	host, port, err := splitServer(server)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addresses := make([]completion.Address, 0, len(ips))
	for _, ip := range ips {
		addresses = append(addresses, completion.Address{AddrPort: netip.AddrPortFrom(ip.Unmap(), port)})
	}
	return addresses, nil
}

// splitServer splits "host:port".
func splitServer(server string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(server)
	if err != nil || host == "" {
		return "", 0, errors.New("wants host:port, [ipv6]:port, unix:/path or builtin:name")
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("port %q: wants a number from 1 to 65535", text)
	}
	return host, uint16(n), nil
}

// attempts is the connecting of a connection to one of its servers.
type attempts struct {
	overlapped *completion.Overlapped
	first      int // the server tried first
	tried      int
	lastErr    error
}

func (a *attempts) inFlight() bool { return a.overlapped != nil && a.overlapped.InFlight() }

func (a *attempts) cancel() {
	if a.inFlight() {
		_ = a.overlapped.Cancel() // in flight
	}
}

// chooseServer takes the server whose turn it is and asks the filters.
func (c *Connection) chooseServer() {
	c.attempts.first = c.listener.upstream.pick()
	c.server = c.listener.upstream.servers[c.attempts.first]
	c.raise(ConnectTCP)
}

// connect begins to connect to the chosen server, or after failures to the
// next one, until all have been tried.
func (c *Connection) connect() {
	a, servers := &c.attempts, c.listener.upstream.servers
	if a.overlapped == nil {
		a.overlapped = c.worker.CreateOverlapped()
		if err := a.overlapped.SetNotificationInterface((*connecting)(c), nil); err != nil {
			c.fail(err.Error())
			return
		}
	}
	for ; a.tried < len(servers); a.tried++ {
		c.server = servers[(a.first+a.tried)%len(servers)]
		err := c.worker.Connect(a.overlapped, c.server)
		if err == nil {
			c.limit.Reset(c.connectTimeout())
			return
		}
		a.lastErr = err
	}
	c.fail(fmt.Sprintf("upstream %q: no server could be connected, the last one being %s: %v", c.Upstream(), c.server, a.lastErr))
}

func (c *Connection) connectTimeout() time.Duration { return c.listener.upstream.config.ConnectTimeout }

// connecting is a connection as the notification of its connect.
type connecting Connection

// CompleteAsyncIO starts the pump, or tries the next server.
func (n *connecting) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, _ any) {
	c := (*Connection)(n)
	socket, _ := o.TakeValue().(*completion.Socket)
	switch {
	case c.Ended():
		if socket != nil {
			_ = socket.Reset() // it has just been connected
		}
	case err == nil:
		c.external = socket
		c.pump()
	default:
		if errors.Is(err, completion.ErrOperationAborted) {
			err = fmt.Errorf("no answer within %v", c.connectTimeout())
		}
		c.attempts.lastErr = err
		c.attempts.tried++
		c.connect()
	}
	c.ending()
}
