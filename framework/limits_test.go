package framework

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"fwx/framework/fwxtest/limits"
	"fwx/framework/internal/certs"
	"fwx/framework/logqueue"
	"fwx/framework/wire/http1"
)

var update = flag.Bool("update", false, "rewrite what is generated")

// TestLimitsPage sees that docs/reference/limits.md tells the limits as they are.
func TestLimitsPage(t *testing.T) {
	rate := func(timeout time.Duration, rate int) string {
		return fmt.Sprintf("%s, and 1 s for each %s bytes", limits.Time(timeout), limits.Count(rate))
	}
	each := func(n int, d time.Duration) string {
		return fmt.Sprintf("%s, each %s", limits.Count(n), limits.Time(d))
	}
	for name, rows := range map[string][]limits.Limit{
		"connections": {
			limits.Of("connections", "`service.max_connections`", "of the open files that the process may have, 9 in 20", "they wait in the listeners' backlogs; idle connections to servers make room", "`fwx_connections_open`, `fwx_connections_limit`", "TestHTTPPoolMakesRoom"),
			limits.Of("connections to a server", "`upstream.max_connections`", "none", "another server; 503", "`fwx_upstream_connections`", "TestHTTPNoPlace"),
			limits.Of("how long nothing moves on a connection", "`listener.idle_timeout`", limits.Time(defaultIdleTimeout), "it is ended", "`fwx_connections_ended_total`", "TestIdle"),
			limits.Of("an attempt to connect to a server", "`upstream.connect_timeout`", limits.Time(defaultConnectTimeout), "the next server; 504", "`fwx_upstream_failures_total`", "TestHTTPConnectTimeout"),
			limits.Of("servers that are tried for a connection", "", limits.Count(maxAttempts), "it fails", "`fwx_upstream_failures_total`", "TestManyServersDown"),
			limits.Of("connections that make room at a time when there are no receive buffers", "", each(maxShed, time.Second), "the others stay", "`fwx_connections_shed_total`", "TestShortage"),
			limits.Of("data that filters inject for a receiver that does not read, for each direction", "", limits.Size(maxInjected), "the call fails", "", "TestInjected"),
			limits.Of("a peer that has stopped reading while the other side sends nothing", "", limits.Time(lingerTime), "the connection ends", "`fwx_connections_ended_total`", "TestHalfClose"),
			limits.Of("secondary connections that one expects", "", each(maxExpected, maxExpectation), "the call fails", "", "TestExpectLimit"),
			limits.Of("values of a session", "", fmt.Sprintf("%s, of %s", limits.Count(maxSessionValues), limits.Size(maxSessionBytes)), "the value is not kept, and the caller is told", "", "TestSessionValues"),
			limits.Of("values of all sessions, for all workers", "", limits.Size(maxSessionsBytes), "the same", "", "TestSessionBytes"),
			limits.Of("configurations that still have connections", "", limits.Count(maxReplaced), "the oldest one's connections are reset", "", "TestReloadTooOften"),
			limits.Of("the end of the service", "`service.drain`", limits.Time(defaultDrain), "what is left is reset", "", "TestDrain"),
			limits.Of("lines of the log that wait for their reader", "", limits.Size(logqueue.MaxWaiting), "they are dropped, and a line says how many", "`fwx_log_dropped_total`", "TestNobodyReads"),
			limits.Of("an alert about the same", "", "one each "+limits.Time(alertPause), "none", "", "TestShortage"),
		},
		"tls": {
			limits.Of("handshakes that are made", "", limits.Count(maxHandshakes), "they wait for their turn, within `handshake_timeout`", "`fwx_tls_handshakes_total`", "TestTLSManyHandshakes"),
			limits.Of("handshakes that wait for their clients", "`listener.tls.handshake_timeout`", each(maxWaitingHandshakes, certs.DefaultHandshakeTimeout), "the one that has waited for longest ends", "`fwx_tls_handshakes_total`", "TestTLSOnlyHellos"),
		},
		"http": {
			limits.Of("the head of a request", "`listener.http.max_header`, `max_request_line`, `max_fields`", fmt.Sprintf("%s, of it the first line %s; %d fields", limits.Size(http1.DefaultLimits.Head), limits.Size(http1.DefaultLimits.Line), http1.DefaultLimits.Fields), "431, 414; 502 for a response", "`fwx_http_requests_total`", "TestHTTPRefused"),
			limits.Of("the time for a head", "`listener.http.header_timeout`", limits.Time(defaultHeaderTimeout), "408", "`fwx_http_requests_total`", "TestHTTPSlowClients"),
			limits.Of("how slowly a client may send a body", "`listener.http.body_timeout`, `body_rate`", rate(defaultBodyTimeout, defaultBodyRate), "408", "`fwx_http_requests_total`", "TestHTTPSlowClients"),
			limits.Of("how slowly a client may take what is sent to it", "`listener.http.send_timeout`, `send_rate`", rate(defaultSendTimeout, defaultSendRate)+" taken", "its connection is reset, within a quarter of the time more", "`fwx_http_cut_off_total`", "TestHTTPSendTimeout"),
			limits.Of("how long a server may neither send its response nor read the request's body", "`listener.http.response_timeout`", limits.Time(defaultResponseTimeout), "504", "`fwx_http_requests_total`", "TestHTTPTimeouts"),
			limits.Of("a connection without a request", "`listener.http.keep_alive`", limits.Time(defaultKeepAlive), "it is closed", "", "TestHTTPTimeouts"),
			limits.Of("the end of a connection that the client does not close", "", limits.Time(lingerTime), "it is reset", "", "TestHTTPSlowClients"),
			limits.Of("what is gathered for one side", "", limits.Size(maxOut), "the other side is not received from", "", "TestHTTPClientTakesSlowly"),
			limits.Of("idle connections to a server", "`upstream.max_idle`, `idle_timeout`", each(defaultMaxIdle, defaultServerIdle), "the one that is unused for longest is closed", "`fwx_http_server_connections_total`", "TestHTTPPoolIsBounded"),
			limits.Of("requests that are sent again", "", limits.Count(maxRetries)+" times", "502", "`fwx_upstream_failures_total`", "TestHTTPRetryElsewhere"),
			limits.Of("interim responses to a request", "", limits.Count(maxInterims), "502", "`fwx_http_requests_total`", "TestHTTPBadAnswers"),
			limits.Of("the body of a request", "`listener.http.max_body`", "none", "413", "`fwx_http_requests_total`", "TestHTTPBodies"),
			limits.Of("bodies, decoders, messages, pieces of files in memory", "`service.body_memory`", limits.Size(defaultBodyMemory), "503, a WebSocket is closed with 1013", "`fwx_http_body_memory_bytes`, `fwx_http_body_memory_refused_total`", "TestHTTPBodyMemory"),
			limits.Of("a body that waits on the disk", "`listener.http.spool.max_body`", limits.Size(defaultSpoolBody), "413", "`fwx_http_spooled_bytes`", "TestHTTPSpoolLimits"),
			limits.Of("bodies that wait on the disk, for all workers", "`listener.http.spool.max_total`", limits.Size(defaultSpoolTotal), "503", "`fwx_http_spooled_bytes`", "TestHTTPSpoolLimits"),
			limits.Of("a message of a WebSocket that filters see", "`listener.http.max_message`", limits.Size(defaultMaxMessage), "closed with 1009", "`fwx_websocket_closes_total`", "TestWebSocketMessages"),
			limits.Of("the content of a body that is decoded", "`listener.http.max_decoded`", limits.Size(defaultMaxDecoded), "413; 502 for a response", "`fwx_http_undecodable_bodies_total`", "TestUndecodableBodies"),
			limits.Of("what is decoded of a body until others have their turn", "", limits.Size(maxTurn)+" that come out, or a quarter of it that the codings take in", "it goes on when the others have had it", "", "TestDecodingTakesTurns"),
		},
	} {
		t.Run(name, func(t *testing.T) { limits.Compare(t, "..", name, rows, *update) })
	}
}
