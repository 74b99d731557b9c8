package framework

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"fwx/framework/completion"
)

// ConnectionInfo describes a connection at one moment. Durations are in seconds.
type ConnectionInfo struct {
	ID        uint64     `json:"id"`
	Client    string     `json:"client"`
	Server    string     `json:"server"` // empty: no server has been chosen, or it is emulated
	Listener  string     `json:"listener"`
	Upstream  string     `json:"upstream"`
	Worker    int        `json:"worker"`
	State     string     `json:"state"` // "events", "handshake", "connecting", "open" or "ending"
	Age       float64    `json:"age"`
	Idle      float64    `json:"idle"` // since data last moved; 0 before any data has moved
	BytesUp   uint64     `json:"bytes_up"`
	BytesDown uint64     `json:"bytes_down"`
	Verdict   string     `json:"verdict"`
	Reason    string     `json:"reason,omitempty"`
	EndedBy   string     `json:"ended_by"` // "nobody", "client", "server", "filter", "limit", "gateway" or "operator"
	Filters   []string   `json:"filters"`
	Holds     []HoldInfo `json:"holds"`
}

// HoldInfo describes an event or a chunk that a filter holds, for which the connection or one
// of its directions waits.
type HoldInfo struct {
	Filter  string     `json:"filter"`
	What    string     `json:"what"` // an event, or a direction
	Seconds float64    `json:"seconds"`
	Waits   []WaitInfo `json:"waits,omitempty"` // of all handlers of the filter for the connection
}

// WaitInfo says what a handler waits for.
type WaitInfo struct {
	Handler string  `json:"handler"`
	Call    string  `json:"call"` // the function that the handler has called
	At      string  `json:"at"`   // script and line of the call
	Seconds float64 `json:"seconds"`
}

// Waiter is a filter that can say what its handlers wait for.
type Waiter interface {
	// Waits is called on the worker of the connection.
	Waits(c *Connection) []WaitInfo
}

// ErrNoConnection is returned for a number that no connection has.
var ErrNoConnection = errors.New("there is no such connection")

// known is a connection that a worker has, or had a moment ago.
type known struct {
	id         uint64
	connection *Connection
}

// Inspect returns up to limit connections whose numbers are larger than after, ordered by
// their numbers, and whether there are more. Workers that do not answer before ctx ends are
// left out.
func (fw *Firewall) Inspect(ctx context.Context, after uint64, limit int) (infos []ConnectionInfo, more bool) {
	all := fw.known(ctx)
	i, _ := slices.BinarySearchFunc(all, after+1, func(k known, id uint64) int { return cmp.Compare(k.id, id) })
	if all = all[i:]; len(all) > limit {
		all, more = all[:limit], true
	}
	return fw.inspect(ctx, all), more
}

// InspectConnection returns one connection, or ErrNoConnection.
func (fw *Firewall) InspectConnection(ctx context.Context, id uint64) (ConnectionInfo, error) {
	k, err := fw.find(ctx, id)
	if err != nil {
		return ConnectionInfo{}, err
	}
	infos := fw.inspect(ctx, []known{k})
	if len(infos) == 0 {
		return ConnectionInfo{}, ErrNoConnection
	}
	return infos[0], nil
}

// Kill resets a connection. Its filters and the log are given the reason. It returns
// ErrNoConnection if the connection has ended already.
func (fw *Firewall) Kill(ctx context.Context, id uint64, reason string) error {
	k, err := fw.find(ctx, id)
	if err != nil {
		return err
	}
	killed := make(chan bool, 1)
	err = k.connection.worker.Post(func() { //nolint:contextcheck // what the end of a connection causes ends by itself
		ended := k.connection.Ended()
		if !ended {
			k.connection.fail(ByOperator, reason)
		}
		killed <- !ended
	})
	if err != nil {
		return err
	}
	select {
	case ok := <-killed:
		if !ok {
			return ErrNoConnection
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// known returns all connections, ordered by their numbers. It does little on the workers,
// since there may be very many connections.
func (fw *Firewall) known(ctx context.Context) (all []known) {
	if fw.Port() == nil {
		return nil
	}
	lists, _ := onWorkers(ctx, fw.port, func(w *completion.Worker) []known {
		connections := fw.live[w.Index()].connections
		list := make([]known, 0, len(connections))
		for c := range connections {
			list = append(list, known{c.id, c})
		}
		return list
	})
	for _, list := range lists {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b known) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (fw *Firewall) find(ctx context.Context, id uint64) (known, error) {
	all := fw.known(ctx)
	i, ok := slices.BinarySearchFunc(all, id, func(k known, id uint64) int { return cmp.Compare(k.id, id) })
	if !ok {
		return known{}, ErrNoConnection
	}
	return all[i], nil
}

// inspect describes connections on their workers. Those that have ended are left out.
func (fw *Firewall) inspect(ctx context.Context, wanted []known) (infos []ConnectionInfo) {
	if len(wanted) == 0 {
		return nil
	}
	lists, _ := onWorkers(ctx, fw.port, func(w *completion.Worker) (list []ConnectionInfo) {
		for _, k := range wanted {
			if _, ok := fw.live[w.Index()].connections[k.connection]; ok {
				list = append(list, k.connection.info())
			}
		}
		return list
	})
	for _, list := range lists {
		infos = append(infos, list...)
	}
	slices.SortFunc(infos, func(a, b ConnectionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return infos
}

// info describes the connection, on its worker.
func (c *Connection) info() ConnectionInfo {
	info := ConnectionInfo{
		ID: c.id, Client: c.client.String(), Listener: c.Listener(), Upstream: c.Upstream(), Worker: c.worker.Index(),
		State: c.phase.String(), Age: c.Duration().Seconds(), BytesUp: c.Bytes(Upstream), BytesDown: c.Bytes(Downstream),
		Verdict: c.outcome.String(), Reason: c.reason, EndedBy: c.by.String(), Filters: c.listener.config.Filters, Holds: c.holds(),
	}
	if c.server != (completion.Address{}) {
		info.Server = c.server.String()
	}
	if c.active > 0 {
		info.Idle = (c.worker.Now() - c.active).Seconds()
	}
	return info
}

// holds returns what filters hold of the connection.
func (c *Connection) holds() []HoldInfo {
	holds := []HoldInfo{}
	if c.event.held {
		holds = append(holds, c.heldBy(c.listener.filters[c.event.next], c.event.Type.String(), c.event.heldSince))
	}
	if h := c.clientConn(); h != nil {
		return h.appendHolds(holds)
	}
	for i := range c.flows {
		if f := &c.flows[i]; f.state == flowHeld {
			holds = append(holds, c.heldBy(f.link().owner, f.dir.String(), f.heldSince))
		}
	}
	return holds
}

func (c *Connection) heldBy(f *filter, what string, since time.Duration) HoldInfo {
	h := HoldInfo{Filter: f.config.Name, What: what, Seconds: (c.worker.Now() - since).Seconds()}
	if w, ok := f.Filter.(Waiter); ok {
		h.Waits = w.Waits(c)
	}
	return h
}

// String returns the name of the phase for operators.
func (p phase) String() string {
	switch p {
	case phaseEvents:
		return "events"
	case phaseHandshake:
		return "handshake"
	case phaseConnect:
		return "connecting"
	case phasePump:
		return "open"
	case phaseDrain, phaseEnded:
		return "ending"
	}
	return "unknown"
}

// FilterInfo describes a filter of the service.
type FilterInfo struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Class     string   `json:"class"`
	Listeners []string `json:"listeners"` // empty: the filter has not been started
	// Failures is how often the filter has panicked or made a connection fail.
	Failures uint64 `json:"failures"`
	// Measurements are the filter's own, see Measurer.
	Measurements map[string]float64 `json:"measurements"`
}

// FilterInfos returns the filters in the order of the configuration. Measurements of workers
// that do not answer before ctx ends are missing.
func (fw *Firewall) FilterInfos(ctx context.Context) []FilterInfo {
	g := fw.current.Load()
	infos := make([]FilterInfo, len(g.filters))
	places := make(map[string]*FilterInfo)
	for i, f := range g.filters {
		infos[i] = FilterInfo{
			Name: f.config.Name, Kind: f.config.Kind, Class: f.config.Class.String(), Listeners: []string{}, Measurements: map[string]float64{},
		}
		places[f.config.Name] = &infos[i]
	}
	for _, l := range g.listeners {
		for _, f := range l.filters {
			places[f.config.Name].Listeners = append(places[f.config.Name].Listeners, l.config.Name)
		}
	}
	for _, family := range fw.Measure(ctx) {
		for _, sample := range family.Samples {
			if len(sample.Labels) != 1 || sample.Labels[0].Name != "filter" || places[sample.Labels[0].Value] == nil {
				continue
			}
			info := places[sample.Labels[0].Value]
			if family.Name == metricFailures {
				info.Failures = uint64(sample.Value)
			} else {
				info.Measurements[family.Name] = sample.Value
			}
		}
	}
	return infos
}

// Stuck returns the workers that do not answer before ctx ends.
func (fw *Firewall) Stuck(ctx context.Context) []int {
	if fw.Port() == nil {
		return nil
	}
	_, late := onWorkers(ctx, fw.port, func(*completion.Worker) struct{} { return struct{}{} })
	return late
}
