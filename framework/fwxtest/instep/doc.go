// Package instep finds out whether messages stay in step: whether the client and the
// server of a gateway that speaks HTTP agree with what was sent on where each message
// ends, whatever filters do to it.
//
// [Run] plays both sides on a machine in memory, with random requests and answers that
// are cut anywhere, and reads what each side is sent with the reader of net/http, which
// shares nothing with the gateway's, and with a strict look at the heads. Everything
// that is random follows from a seed, which a failure tells.
package instep
