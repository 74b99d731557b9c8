// Package framework is a filtering gateway to embed: clients connect to
// listeners, their connections go on to servers, and filters in between see,
// hold, change and refuse what goes through.
//
// # The parts
//
// A [Firewall] is the service. New makes it from a [Config], which [LoadConfig]
// reads from a file or a program fills in; Start opens it, Shutdown ends it, and
// Run does both.
//
// A [Filter] is there once for the service. For each client that it has to do
// with it makes a [SessionFilter], which is told the events of the client's
// connections. In an event it may attach a [DataFilter] to the connection, which
// then sees the data. A filter that attaches none costs nothing on the data path.
//
// A [Session] is one client, by its address, for as long as it has connections.
// A [Connection] has two directions, [Upstream] from the client to the server
// and [Downstream] from the server to the client. Each is a flow of its own: a
// chunk is received, goes through the data filters in the order of their
// [PriorityClass], and is sent; only then the next one is received.
//
// The answer of a filter is a [Verdict]: Pass, Replace, Drop, Deny, Fail or
// Hold. Hold keeps the connection (in an event) or the one direction (for a
// chunk) waiting until Event.Resume or Connection.Resume gives another verdict;
// everything else goes on. So a filter may write a file, ask a service or wait
// for a timer between receiving and sending, and delays nobody but its client.
//
// # Order of calls
//
//	FilterInit             once, in Start; the events that the filter wants
//	AttachToSession        once a session, with the first event that it wants
//	FirewallEventHandler   AcceptedConnection, then ConnectTCP; with TLS ClientHello between them;
//	                       of a secondary connection then EstablishedConnection
//	Data                   each chunk
//	End                    of the stream in a direction, if the data filter is an Ender
//	Detach                 of the data filter: the connection has ended
//	FirewallEventHandler   ConnectionTerminating, whatever the end was
//	Detach                 of the session filter: the client's last connection has ended
//	Retire                 when a Reload has put another filter in its place
//	FilterShutdown         once, after all of it
//
// A filter that holds when its connection ends must still resume; the chunk is
// valid until then. One that does not within 30 seconds is logged and given up.
//
// # Upstreams
//
// An upstream is servers that do the same; package [fwx/framework/balance] chooses one
// for each connection, and looks after their health. When none can be had a filter may
// still play one; Connection.Server is the zero Address in its ConnectTCP then.
//
// # Generations
//
// [Firewall.Reload] replaces the configuration while the service runs. What was made
// from one configuration is a generation. Connections keep the generation that they
// began with; a listener whose address stays keeps its socket, so none is refused.
// Filters that are the same in both are carried over, and a session filter sees the
// connections of all generations that have its filter. The others are retired, and
// shut down when the last connection of the last generation that has them has ended.
//
// # Emulation
//
// A filter may play the server itself: [Connection.Emulate], in the handler of
// ConnectTCP, puts an [Emulator] at the end of the chain, and no server is
// connected. It is given what the client sends and answers by [Connection.Send]
// and [Connection.CloseSend]; a [Sender] is told when it may go on sending.
//
// # TLS
//
// A listener with a [ListenerTLS] terminates TLS or passes it through. When the client's
// first message is there, filters are told ClientHello, and may decide which of the two
// is done ([Connection.SetTLSMode]) and where the connection goes
// ([Connection.SetUpstream]); [Connection.TLS] is what is known. The handshake follows,
// on a goroutine that ends with it, and then ConnectTCP. With an [UpstreamTLS] TLS is
// spoken with the servers. Data filters see what is in TLS that is terminated. A side of
// a connection that speaks TLS is a tlsstream.Stream, one that does not a
// completion.Socket; for the flows between them it is the same.
//
// # Secondary connections
//
// Some protocols announce in one connection that another will come: FTP one for the
// data. A filter that reads this calls [Connection.Expect], which has the gateway
// listen for the one that will come, from the client or from the server, and puts
// the address, [Expected.Address], in place of the one that was announced. Nobody but
// the peer may connect. The connection goes to where the [Expectation] says, on the
// worker of its parent, in its session, through the filters of its listener: those
// that ask for all connections in their masks, and the one that has expected it,
// which is told EstablishedConnection. What is still expected when the parent ends is
// cancelled; a secondary connection that stands goes on.
//
// # Who calls what
//
// FilterInit and FilterShutdown run on the goroutine of Start and Shutdown and
// may block. All else runs on a worker of the completion port. A connection
// lives on one worker: its events, its data and the completions of what its
// filters start there come one at a time and need no lock. Sessions are shared
// by workers, and so are the Filter and the SessionFilter. Nothing on a worker
// may block: [Connection.Go] runs what does elsewhere, and the means of package
// completion (files, sockets, timers) do not. Methods of a Connection are for
// its worker; from elsewhere, Connection.Worker().Post leads there.
//
// A panic in a filter is logged and ends the connection that it was about.
//
// # Kinds
//
// A [Registry] is the kinds of filter that a configuration file may name. Each
// is a [Factory]: the settings of the kind, decoded strictly, and a function
// that makes the filter. A program that needs no file gives its filters by
// value, as FilterConfig.Filter.
//
// # Tests
//
// A program tests its filters on a machine in memory, whose time passes when the test
// says so: package fwx/framework/completion/fake, and OpenPort of [Config].
package framework
