// Package fwxtest holds what the tests of several packages need: leak checks for
// [testing.M], a bounded wait for a condition, and the look-up of other programs.
//
// # Leaks
//
// A package whose tests open sockets, files or goroutines hands its TestMain over:
//
//	func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }
//
// The test binary then fails if a goroutine, or on Linux a file descriptor, outlives
// the tests. A test that fails leaves things open for good reason, so nothing is
// looked for after a failure.
//
// # Other programs
//
// A test against a real client or server asks for it with [Require]: it is skipped
// where the program is missing, and fails there if FWX_REQUIRE=1 is set, so that a run
// that is meant to be complete cannot pass by skipping.
//
// # Long tests
//
// A test that is long by nature asks [Long] how much it is to do.
package fwxtest
