//go:build linux

package main

import (
	"context"
	"fmt"
)

// busy is how many connections the cases have in which a script in Lua works for longer than all that is around it.
const busy = 16

// works returns the cases of such scripts. What they do is one file for all contenders.
func (b *bench) works() []Case {
	cases := []Case{
		b.work("compute", "computes a checksum of 5,000 numbers"),
		b.work("rules", "takes the request through 33 rules with patterns, prefixes and words"),
		b.work("strings", "reads a query, formats and joins its fields"),
		b.work("json", "decodes, changes and encodes 4 KB of JSON by a library in Lua, or (own) by fwx.json"),
		b.work("oop", "calls 1,000 methods of objects, some of them inherited"),
		b.workOnBodies(),
	}
	own := b.workers(func(ctx context.Context, c Contender) (Sample, error) {
		return b.requests(ctx, c, Setup{Connections: busy, Script: workOwn, Work: "json"})
	}, "fwx-uring-http-lua", "fwx-epoll-http-lua")
	for _, e := range own {
		e.Name += "-own"
		cases[3].Entries = append(cases[3].Entries, e)
	}
	return cases
}

// work is a script that works for each request.
func (b *bench) work(name, about string) Case {
	return b.busyCase(name, about, func(ctx context.Context, c Contender) (Sample, error) {
		return b.requests(ctx, c, Setup{Connections: busy, Script: work, Work: name})
	})
}

// workOnBodies is a script that works on the bodies of answers.
func (b *bench) workOnBodies() Case {
	const size = "65536"
	return b.busyCase("body", "replaces a word in bodies of 64 KiB", func(ctx context.Context, c Contender) (Sample, error) {
		return b.requestsOf(ctx, c, Setup{Connections: busy, Script: body}, b.backend, func(address string) (load, error) {
			return startClients(ctx, busy, func(int) client { return &getter{peer{address: address}, "/bytes/" + size} }), nil
		})
	})
}

func (b *bench) busyCase(name, about string, measure func(context.Context, Contender) (Sample, error)) Case {
	const base = "haproxy-http-lua"
	return Case{
		Name:     "lua-" + name,
		About:    fmt.Sprintf("a script in Lua that %s, %d connections", about, busy),
		Figures:  []Figure{Requests, CPU, User, System, P50, P99, P999},
		Baseline: base,
		Entries:  b.workers(measure, base, "nginx-lua", "fwx-uring-http-lua", "fwx-epoll-http-lua"),
	}
}

// workers makes the entries of some contenders, in a short run without the last: its script is that of the one before.
func (b *bench) workers(measure func(context.Context, Contender) (Sample, error), names ...string) []Entry {
	if b.short {
		names = names[:len(names)-1]
	}
	return proxies(names, busy, shortNeeds, measure)
}
