// Package testkit runs the tests of scripts, as the command "fwx test" does.
//
// A test is a file NAME_test.lua beside the script NAME.lua. It returns a table of
// functions, each of which is run in a fresh state of Lua and given its t: a gateway
// with the script as its filter, and clients and servers that the test plays.
// docs/reference/testing.md tells the rest.
//
// The script is run by package scripting, on a firewall of package framework, whose
// completion port is that of a machine in memory (package fake): its files, sockets and
// clock. The test runs on the goroutine of its caller. After each thing that it does it
// waits until the gateway has nothing to do any more, serves the ends of connections
// that it plays, and so on until nothing moves; then it looks. Time passes only when the
// test lets it, so what is waited for in vain is seen at once.
//
// What tests can use stands in tables of bindings, as in package scripting: of these the
// metatables are made, and by a test the lists in the reference page and the annotations
// for editors.
package testkit
