// Package admin serves the admin listener of a gateway: its metrics, its health, and
// a small API by which the console looks at connections and ends them.
//
// It is for the operator, so it listens on a loopback address or a unix socket. What
// other machines can reach, if the configuration allows that, is to be looked at only.
// Web pages that the operator visits get nothing from it: requests that name a host by
// anything but an address, or "localhost", are refused unless other machines may look
// anyway, and so are changes that a browser makes for another site.
//
// It runs on goroutines of its own and no connection of the gateway ever waits for it.
// This is the one package that knows of Prometheus and its client.
package admin
