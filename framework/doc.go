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
// A [Filter] exists once for the service. For each client it makes a [SessionFilter],
// which is told the events of the client's connections. In an event it may attach a
// [DataFilter] to the connection, which then sees the data. A filter that attaches none
// costs nothing on the data path.
//
// A [Session] is one client, by its address, for as long as it has connections.
// A [Connection] has two directions, [Upstream] from the client to the server
// and [Downstream] from the server to the client. Each is a flow of its own: a
// chunk is received, goes through the data filters in the order of their
// [PriorityClass], and is sent; only then the next one is received.
//
// The answer of a filter is a [Verdict]: Pass, Replace, Drop, Deny, Fail or Hold. Hold
// keeps the connection (in an event) or the one direction (for a chunk) waiting until
// Event.Resume or Connection.Resume gives another verdict; everything else continues. So
// a filter may write a file, query a service or wait for a timer between receiving and
// sending, and only delays its own client.
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
// valid until then. If it does not do so within 30 seconds, that is logged and the gateway
// continues without it.
//
// # Upstreams
//
// An upstream is a set of equivalent servers; package [fwx/framework/balance] chooses one
// for each connection, and looks after their health. If none is available, a filter may
// still emulate one; Connection.Server is then the zero Address in ConnectTCP.
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
// A filter may emulate the server: [Connection.Emulate], in the handler of
// ConnectTCP, puts an [Emulator] at the end of the chain, and no server is
// connected. It is given what the client sends and answers by [Connection.Send]
// and [Connection.CloseSend]; a [Sender] is told when it may send more.
//
// # TLS
//
// A listener with a [ListenerTLS] terminates TLS or passes it through. When the client's
// first message has arrived, filters are told ClientHello, and may decide between the two
// ([Connection.SetTLSMode]) and where the connection goes ([Connection.SetUpstream]);
// [Connection.TLS] returns what is known. The handshake follows, on a goroutine that ends
// with it, and then ConnectTCP. With an [UpstreamTLS], TLS is used with the servers. If
// TLS is terminated, data filters see the decrypted data. A side of a connection with TLS
// is a tlsstream.Stream, one without is a completion.Socket; the flows between them treat
// both the same.
//
// # Secondary connections
//
// Some protocols announce another connection within the first, as FTP does for its data.
// A filter that parses such a protocol calls [Connection.Expect], which makes the gateway
// listen for the announced connection from the client or from the server, and replaces
// the announced address by [Expected.Address]. Only the peer may connect. The connection
// goes to where the [Expectation] says, on the worker of its parent, in its session,
// through the filters of its listener: those that ask for all connections in their masks,
// and the filter that expected it, which is told EstablishedConnection. When the parent
// ends, outstanding expectations are cancelled; established secondary connections
// continue.
//
// # Who calls what
//
// FilterInit and FilterShutdown run on the goroutine of Start and Shutdown and may block.
// All else runs on a worker of the completion port. A connection lives on one worker: its
// events, its data and the completions of what its filters start there come one at a time
// and need no lock. Sessions are shared by workers, and so are the Filter and the
// SessionFilter. Nothing on a worker may block: use [Connection.Go] for work that blocks,
// and the files, sockets and timers of package completion, which do not. Methods of a
// Connection are called on its worker; from elsewhere, use Connection.Worker().Post.
//
// A panic in a filter is logged and ends the connection concerned.
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
// A program can test its filters on a machine in memory, whose clock the test controls:
// package fwx/framework/completion/fake, and OpenPort of [Config].
package framework
