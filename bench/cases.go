//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// baseline is the contender that proxies are compared with.
const baseline = "haproxy-tcp"

// allCases returns the cases in the order in which they are measured.
func allCases(b *bench) []Case {
	var cases []Case
	for _, n := range []int{1, 16, 64, 256, 1024} {
		cases = append(cases, b.smallResponses(n))
	}
	cases = append(cases, b.churn())
	for _, size := range []int64{1 << 20, 1 << 30} {
		cases = append(cases, b.bodies("down", size), b.bodies("up", size))
	}
	cases = append(cases, b.idle(8000))
	for _, script := range []string{look, rewrite, logging} {
		cases = append(cases, b.script(script))
	}
	cases = append(cases, b.http(), b.httpLua())
	cases = append(cases, b.works()...)
	cases = append(cases, b.neighbours(), b.hostile())
	for _, n := range []int{1, 10, 50} {
		cases = append(cases, b.chain(n))
	}
	cases = append(cases, b.tlsCases()...)
	return append(cases, b.files()...)
}

// variant returns the contenders that a case is measured for if it differs in size only from
// another one: all, or in a short run a few.
func (b *bench) variant(first bool) []string {
	if b.short && !first {
		return []string{baseline, "nginx-stream", "fwx-uring", "fwx-epoll-go"}
	}
	return nil
}

// proxies makes the entries of a case of proxies with that many connections: the contenders
// of these names, all that do not terminate TLS if there are none. Each is started anew for each run.
func proxies(names []string, connections int, needs []need, measure func(context.Context, Contender) (Sample, error)) []Entry {
	var entries []Entry
	for _, c := range contenders() {
		if len(names) > 0 && !slices.Contains(names, c.Name) || len(names) == 0 && c.tls {
			continue
		}
		entries = append(entries, Entry{
			Name:    c.Name,
			Missing: func() error { return errors.Join(c.missing(), installed(needs...)(), mayOpen(c, connections)) },
			Measure: func(ctx context.Context) (Sample, error) { return measure(ctx, c) },
		})
	}
	return entries
}

// smallResponses is requests for a short text over connections that are kept alive.
func (b *bench) smallResponses(connections int) Case {
	return Case{
		Name:     "small-" + strconv.Itoa(connections),
		About:    fmt.Sprintf("short answers over %d connections that are kept alive", connections),
		Figures:  []Figure{Requests, CPU, User, System, P50, P99, P999},
		Baseline: baseline,
		Entries: proxies(b.variant(connections == 1), connections, shortNeeds, func(ctx context.Context, c Contender) (Sample, error) {
			return b.requests(ctx, c, Setup{Connections: connections})
		}),
	}
}

// requests measures a contender of short answers under the load of wrk.
func (b *bench) requests(ctx context.Context, c Contender, s Setup) (Sample, error) {
	to, err := b.startShort(ctx, s.Connections)
	if err != nil {
		return nil, err
	}
	defer to.process.stop()
	return b.requestsOf(ctx, c, s, to, func(address string) (load, error) {
		return b.startWrk(ctx, c.scheme()+"://"+address, s.Connections)
	})
}

// requestsOf measures a contender before a server under the requests of a load.
func (b *bench) requestsOf(ctx context.Context, c Contender, s Setup, to server, begin func(address string) (load, error)) (Sample, error) {
	w, l, err := b.underLoad(ctx, c, s, to, begin)
	if err != nil {
		return nil, err
	}
	sample := w.perRequest()
	sample[Requests] = w.rate()
	sample.add(l)
	return sample, nil
}

// churn is a connection for each request.
func (b *bench) churn() Case {
	const callers = 32
	return Case{
		Name:     "churn",
		About:    fmt.Sprintf("%d clients that connect for each request", callers),
		Figures:  []Figure{Connections, CPU, User, System, P50, P99, P999},
		Baseline: baseline,
		Entries: proxies(nil, callers, nil, func(ctx context.Context, c Contender) (Sample, error) {
			w, l, err := b.underLoad(ctx, c, Setup{Connections: callers}, b.backend, func(address string) (load, error) {
				return startClients(ctx, callers, func(int) client { return &caller{peer{address: address}} }), nil
			})
			if err != nil {
				return nil, err
			}
			sample := w.perRequest()
			sample[Connections] = w.rate()
			sample.add(l)
			return sample, nil
		}),
	}
}

// bodies is large answers, or large requests.
func (b *bench) bodies(direction string, size int64) Case {
	senders, name := 16, strconv.FormatInt(size>>20, 10)+"MiB"
	if size >= 1<<30 {
		senders, name = 2, strconv.FormatInt(size>>30, 10)+"GiB"
	}
	newClient := func(address string) client {
		return &getter{peer{address: address}, "/bytes/" + strconv.FormatInt(size, 10)}
	}
	about := "answers"
	if direction == "up" {
		newClient = func(address string) client { return &poster{peer{address: address}, size} }
		about = "requests"
	}
	return Case{
		Name:     direction + "-" + name,
		About:    fmt.Sprintf("%s with bodies of %s over %d connections", about, name, senders),
		Figures:  []Figure{MiB, CPUGiB, UserGiB, SystemGiB},
		Baseline: baseline,
		Entries: proxies(b.variant(size < 1<<30), senders, nil, func(ctx context.Context, c Contender) (Sample, error) {
			w, _, err := b.underLoad(ctx, c, Setup{Connections: senders}, b.backend, func(address string) (load, error) {
				return startClients(ctx, senders, func(int) client { return newClient(address) }), nil
			})
			return w.perGiB(), err
		}),
	}
}

// idle is connections on which nothing moves after one request on each.
func (b *bench) idle(connections int) Case {
	if b.short {
		connections = 200
	}
	return Case{
		Name:     "idle",
		About:    fmt.Sprintf("the memory of %d connections that are idle after one request", connections),
		Figures:  []Figure{Memory},
		Baseline: baseline,
		Entries: proxies(nil, connections, nil, func(ctx context.Context, c Contender) (Sample, error) {
			return b.memory(ctx, c, connections, false)
		}),
	}
}

// script is what a filter in Lua costs, beside the same proxies without one.
func (b *bench) script(name string) Case {
	const connections = 64
	about := map[string]string{
		look: "searches all data", rewrite: "replaces a word in answers", logging: "writes a line for each request to a file",
	}
	return Case{
		Name:     "lua-" + name,
		About:    fmt.Sprintf("a filter in Lua that %s, %d connections", about[name], connections),
		Figures:  []Figure{Requests, CPU, User, System, P50, P99, P999},
		Baseline: baseline,
		Entries: proxies([]string{
			"haproxy-tcp", "haproxy-lua", "nginx-http", "nginx-lua",
			"fwx-uring", "fwx-epoll", "fwx-uring-go", "fwx-epoll-go", "fwx-uring-lua", "fwx-epoll-lua",
		}, connections, shortNeeds, func(ctx context.Context, c Contender) (Sample, error) {
			return b.requests(ctx, c, Setup{Connections: connections, Script: name})
		}),
	}
}

// http is the same requests through what understands HTTP.
func (b *bench) http() Case {
	return b.understood(Case{Name: "http", About: "HTTP is understood", Baseline: "haproxy-http"},
		"nginx-http", "fwx-uring-http", "fwx-epoll-http")
}

// httpLua is http with a script that reads one header of each request and adds one.
func (b *bench) httpLua() Case {
	return b.understood(Case{Name: "http-lua", About: "HTTP is understood, a script in Lua reads a header and adds one", Baseline: "haproxy-http-lua"},
		"nginx-lua", "fwx-uring-http-lua", "fwx-epoll-http-lua")
}

// understood makes a case of its baseline and others, all of which understand HTTP.
func (b *bench) understood(c Case, others ...string) Case {
	const connections = 64
	c.About += fmt.Sprintf(", %d connections", connections)
	c.Figures = []Figure{Requests, CPU, User, System, P50, P99, P999}
	c.Entries = proxies(append(others, c.Baseline), connections, shortNeeds, func(ctx context.Context, c Contender) (Sample, error) {
		return b.requests(ctx, c, Setup{Connections: connections, Script: header})
	})
	return c
}

// chain is data filters one behind the other.
func (b *bench) chain(length int) Case {
	const connections = 64
	return Case{
		Name:     "chain-" + strconv.Itoa(length),
		About:    fmt.Sprintf("%d data filters in Go that search all data, %d connections", length, connections),
		Figures:  []Figure{Requests, CPU, User, System, P50, P99, P999},
		Baseline: baseline,
		Entries: proxies([]string{"haproxy-tcp", "fwx-uring-go", "fwx-epoll-go"}, connections, shortNeeds,
			func(ctx context.Context, c Contender) (Sample, error) {
				return b.requests(ctx, c, Setup{Connections: connections, Chain: length})
			}),
	}
}
