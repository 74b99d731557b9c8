// Package instep finds out whether messages stay in step: whether the client and the
// server of a gateway that speaks HTTP agree with what was sent on where each message
// ends, whatever filters do to it.
//
// [Run] plays both sides on a machine in memory, with random requests and answers that
// are cut anywhere, upgrades included. What each side is sent is read three times, by
// readers that share nothing with the gateway's: by that of net/http, by a strict look at
// the heads, and by llhttp, the parser of node. They have to agree to the byte. Everything
// that is random follows from a seed, which a failure tells.
package instep
