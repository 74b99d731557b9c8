// Package redisstore is the kind of store that is in a Redis, which several
// gateways share. It stands apart from package store for the sake of host programs
// that do without a Redis and its client.
//
// Requests wait in a queue, from which a few connections take as many as there are
// at a time and send them together. A request that cannot be sent within the timeout
// of the settings, or has no answer within it, ends with an error: nobody waits for
// longer than twice the timeout. Nothing is sent a second time, because an Incr whose
// answer was lost may have been carried out. A connection that breaks is
// opened again for the next requests.
//
// In Redis a number is its decimal text, so that other programs can read and write
// it; a string begins with "s"; a boolean is "t" or "f". It takes Redis 6 or later.
package redisstore
