package balance

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"

	"fwx/framework/completion"
)

var (
	// ErrNoServer answers Choose when no server can be taken: each is down, drained, or
	// has been tried.
	ErrNoServer = errors.New("no server is up")
	// ErrFull answers Choose when those that are up have as many connections as they may.
	ErrFull = errors.New("every server that is up has as many connections as it may")
	// ErrUnknownServer answers Drain for what is no server.
	ErrUnknownServer = errors.New("there is no such server")
)

// Upstream is a set of servers that do the same.
type Upstream struct {
	config  Config
	logger  *slog.Logger
	home    *completion.Worker
	lookup  Lookup
	targets []*target

	handshake atomic.Pointer[Handshake] // of checks; nil: they are made without TLS

	turn    atomic.Uint32
	table   atomic.Pointer[table]
	servers atomic.Pointer[[]*Server] // for everyone to look at

	// Of the home worker:

	warm    *completion.Timer // a server gets its share step by step
	begun   bool
	retired bool
	ctx     context.Context //nolint:containedctx // It ends with the upstream, as the lookups do.
	cancel  context.CancelFunc
}

// New makes an upstream of a configuration that has been checked, and its servers. It
// has none until Begin.
func New(config Config, targets []Target, logger *slog.Logger) *Upstream {
	u := &Upstream{config: config, logger: logger, lookup: SystemLookup}
	for _, t := range targets {
		u.targets = append(u.targets, newTarget(u, t))
	}
	u.table.Store(&table{})
	u.servers.Store(&[]*Server{})
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// Secure has the servers checked over TLS; nil: without. It may be called at any time.
func (u *Upstream) Secure(h Handshake) {
	if h == nil {
		u.handshake.Store(nil)
		return
	}
	u.handshake.Store(&h)
}

// Same reports whether an upstream would be the same if it were made of a configuration
// and targets.
func (u *Upstream) Same(config Config, targets []Target) bool {
	return u.config.same(config) && slices.EqualFunc(u.targets, targets, func(a *target, b Target) bool { return a.Target == b })
}

// Choose takes a place at a server, which Server.Release gives back. Under Hash the key
// decides which; tried are those that have been chosen before in vain. The error is
// ErrNoServer or ErrFull. It may be called on any worker.
func (u *Upstream) Choose(key uint64, tried []*Server) (*Server, error) {
	t := u.table.Load()
	c := choice{key: key, limit: int64(u.config.MaxConnections), tried: tried}
	if u.config.Balance != Hash {
		c.turn = u.turn.Add(1) - 1
	}
	for i := range t.tiers {
		if s := u.choose(&t.tiers[i], &c); s != nil {
			return s, nil
		}
	}
	return nil, t.refusal(&c)
}

func (u *Upstream) choose(t *tier, c *choice) *Server {
	switch u.config.Balance {
	case LeastConnections:
		return t.leastBusy(c)
	case Hash:
		return t.byKey(c)
	default:
		return t.inTurn(c)
	}
}

// refusal says why no server could be taken.
func (t *table) refusal(c *choice) error {
	for i := range t.tiers {
		for _, s := range t.tiers[i].servers {
			if !s.is(stateOut) && !slices.Contains(c.tried, s) {
				return ErrFull
			}
		}
	}
	return ErrNoServer
}

// Begin puts the upstream in force, with a worker as its home. It takes over what it can
// from the one before, which must have the same home and ends by it; nil: there is none.
func (u *Upstream) Begin(home *completion.Worker, before *Upstream) error {
	if before != nil {
		home = before.home
	}
	u.home = home
	return home.Call(func() { u.begin(before) })
}

func (u *Upstream) begin(before *Upstream) {
	u.warm = u.home.NewTimer(u.rebuild)
	if before != nil {
		u.servers.Store(before.servers.Load())
		before.retire()
	}
	u.begun = before != nil // then what is new has joined
	u.arrange()
	u.begun = true
	for _, t := range u.targets {
		t.begin()
	}
}

// Retire ends what the upstream does by itself. Servers can be chosen as before.
func (u *Upstream) Retire() {
	u.cancel()
	if u.home != nil {
		_ = u.home.Call(u.retire) // an error means that the service ends
	}
}

func (u *Upstream) retire() {
	if u.retired {
		return
	}
	u.retired = true
	u.cancel()
	u.warm.Stop()
	for _, t := range u.targets {
		t.timer.Stop()
	}
	for _, s := range *u.servers.Load() {
		if s.upstream == u {
			s.stopCheck()
		}
	}
}

// arrange makes the servers those at the addresses that the targets have now.
func (u *Upstream) arrange() {
	before := *u.servers.Load()
	var servers []*Server
	for _, t := range u.targets {
		for _, a := range t.addresses {
			if find(servers, a) == nil && len(servers) < MaxServers {
				servers = append(servers, u.server(before, a, t))
			}
		}
	}
	for _, s := range before {
		if find(servers, s.address) != nil {
			continue
		}
		u.part(s)
		if s.active.Load() > 0 {
			servers = append(servers, s)
		}
	}
	u.servers.Store(&servers)
	u.rebuild()
}

// find returns the server of an address; nil if there is none.
func find(servers []*Server, a completion.Address) *Server {
	for _, s := range servers {
		if s.address == a {
			return s
		}
	}
	return nil
}

// server returns the server of an address of a target, which it makes if there is none.
func (u *Upstream) server(known []*Server, a completion.Address, t *target) *Server {
	s := find(known, a)
	joined := s == nil
	if joined {
		s = newServer(u, a)
	}
	s.target.Store(&t.Target)
	if s.put(stateGone, false) {
		joined = true
	}
	if joined && u.begun {
		u.logger.Info("server joined", "upstream", u.config.Name, "server", a.String())
		s.warmUp(u)
	}
	if s.upstream != u {
		s.upstream = u
		s.adopted()
	}
	if s.check == nil && u.config.Check != nil {
		s.startCheck()
	}
	return s
}

// adopted forgets what does not concern the server in a changed configuration.
func (s *Server) adopted() {
	c := &s.upstream.config
	if c.Check == nil {
		s.put(stateDown, false)
	}
	s.health = health{}
	if c.Eject == nil {
		s.patience.Store(0)
		s.put(stateEjected, false)
		s.ejection.stop()
		return
	}
	s.patience.Store(uint32(c.Eject.Failures))
}

// part has a server go: nobody chooses it any more, and its connections go on.
func (u *Upstream) part(s *Server) {
	s.stopCheck()
	s.ejection.stop()
	s.put(stateDown|stateEjected, false)
	if s.put(stateGone, true) {
		u.logger.Info("server gone", "upstream", u.config.Name, "server", s.address.String(), "connections", s.active.Load())
	}
}

// rebuild makes a new table of the servers that can be taken now.
func (u *Upstream) rebuild() {
	if u.retired {
		return
	}
	t, warming := u.newTable()
	if t.empty() && u.pardon() {
		t, warming = u.newTable()
	}
	u.table.Store(&t)
	u.warm.Stop()
	if warming {
		u.warm.Reset(u.config.SlowStart / warmSteps)
	}
}

func (t *table) empty() bool { return len(t.tiers[0].servers)+len(t.tiers[1].servers) == 0 }

func (u *Upstream) newTable() (t table, warming bool) {
	var servers [len(t.tiers)][]*Server
	var weights [len(t.tiers)][]uint32
	for _, s := range *u.servers.Load() {
		if s.state.Load() != 0 {
			continue
		}
		tier, target := 0, s.Target()
		if target.Backup {
			tier = 1
		}
		share := s.share(u)
		warming = warming || share < fullShare
		servers[tier] = append(servers[tier], s)
		weights[tier] = append(weights[tier], uint32(target.Weight)*share)
	}
	for i := range t.tiers {
		t.tiers[i] = newTier(servers[i], weights[i], u.config.Balance != Hash && u.config.Balance != LeastConnections)
	}
	return t, warming
}

const (
	// fullShare is the share of a server that is not warming up, in percent.
	fullShare = 100
	// leastShare is the share that one begins with.
	leastShare = 10
	// warmSteps is in how many steps the share grows.
	warmSteps = 20
)

// warmUp has the share of a server begin to grow.
func (s *Server) warmUp(u *Upstream) {
	if u.config.SlowStart > 0 {
		s.warming = max(u.home.Now(), 1)
	}
}

// share returns how much of its weight a server has, in percent.
func (s *Server) share(u *Upstream) uint32 {
	if s.warming == 0 {
		return fullShare
	}
	passed := u.home.Now() - s.warming
	if u.config.SlowStart <= 0 || passed >= u.config.SlowStart {
		s.warming = 0
		return fullShare
	}
	return max(leastShare, uint32(passed*fullShare/u.config.SlowStart))
}

// Drain takes servers out, so that none of them is chosen and their connections can end,
// or puts them back. They are those that have a text as their address, or are so called in
// the configuration. It returns what they are now, or ErrUnknownServer.
func (u *Upstream) Drain(text string, drained bool) (infos []Info, err error) {
	err = u.home.Call(func() {
		for _, s := range *u.servers.Load() {
			if text == s.address.String() || text == s.Target().Text {
				u.drain(s, drained)
				infos = append(infos, s.info())
			}
		}
		u.rebuild()
	})
	if err == nil && len(infos) == 0 {
		err = ErrUnknownServer
	}
	return infos, err
}

func (u *Upstream) drain(s *Server, drained bool) {
	if !s.put(stateDrained, drained) {
		return
	}
	logger := u.logger.With("upstream", u.config.Name, "server", s.address.String(), "connections", s.active.Load())
	if drained {
		logger.Info("server drained by the operator")
		return
	}
	s.warmUp(u)
	logger.Info("server ready again by the operator")
}

// Infos returns the servers as they are now, those that are gone as long as they have
// connections. It may be called by anyone.
func (u *Upstream) Infos() []Info {
	infos := []Info{}
	for _, s := range *u.servers.Load() {
		if i := s.info(); i.State != "gone" || i.Connections > 0 {
			infos = append(infos, i)
		}
	}
	return infos
}

// changed notes that a server can be taken, or cannot any more.
func (u *Upstream) changed(s *Server, level slog.Level, what string, args ...any) {
	//nolint:sloglint // the callers have the messages
	u.logger.Log(context.Background(), level, what, append([]any{"upstream", u.config.Name, "server", s.address.String()}, args...)...)
	u.rebuild()
}
