// Package store is what filters share: values under keys, for all workers of a
// gateway, and with a kind that lives elsewhere for several gateways.
//
// A [Store] carries out one [Request] at a time, each of them atomic. [Memory] is
// the kind that every gateway has. It answers at once. Another kind may have to ask
// over a network; it never keeps its caller waiting, and answers later.
//
// The kinds are alike: storetest has the table of tests that each has to pass.
package store
