// Package balance chooses among servers that do the same.
//
// An [Upstream] has servers, of which [Upstream.Choose] takes one: by turns, by the
// number of connections, or by a key. It is called on any worker, takes no lock and
// allocates nothing: it looks at a table that never changes, and counts in atomics.
//
// Everything slower happens on one worker, the home of the upstream, which owns all
// that is not atomic and puts a new table in the place of the old one: servers are
// checked there, ejected after failures and taken back, warmed up, drained, and
// join and go as the DNS says.
//
// Whoever has chosen a server tells what became of it by [Server.Report], and gives its
// place back by [Server.Release].
//
// An upstream belongs to a configuration. When a changed one replaces it,
// [Upstream.Begin] hands the servers over: one that both have is the same [Server], with
// its connections, its health, and whether it is drained.
package balance
