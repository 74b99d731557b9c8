// Package certs has what TLS needs apart from the connections: settings and their check,
// certificates and their files, authorities, session tickets, and the counters of handshakes.
//
// # Who calls it
//
// Package framework, when it makes a generation of the configuration, and connections when
// their handshake begins and ends. The settings [ListenerTLS], [CertificateConfig] and
// [UpstreamTLS] are exported by framework as its own.
//
//	settings.Check(check)                    what can be seen without files
//	loader.Server(check, settings, before)   reads the files of a listener
//	loader.Client(check, settings, before)   reads those of an upstream
//	server.Config(), client.Config(host)     for each handshake
//	server.Count(worker, result)             at its end
//
// A [Server] is TLS towards the clients of a listener, in which the gateway is the server; a
// [Client] is TLS towards the servers of an upstream.
//
// # Reloads
//
// What a Server or Client has read never changes. A reload makes new ones and gives those that are in force
// as before. What cannot be read then stays as it was: a certificate by its path, authorities
// and the certificate of a Client if the settings are the same. The mistake is then told to
// [Loader].Kept and is none of the configuration. The ticket keys are taken over if the
// settings and the authorities are the same, so that clients can resume their sessions.
//
// # Concurrency
//
// Loading happens on one goroutine. All workers call Config and Count.
//
// # What it may touch
//
// The files that the settings name, package metrics for its counters, package strict for
// mistakes. It knows nothing of connections, listeners and generations, and does no handshake.
package certs
