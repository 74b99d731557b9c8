package fwxtest

import "os"

// longVariable names the environment variable that asks for long tests.
const longVariable = "FWX_LONG"

// Long reports whether a test that is long by nature (a soak, thousands of clients,
// gigabytes through a gateway, every place that a message can be cut at) runs at its full
// length, which FWX_LONG=1 asks for. Otherwise it takes a part of the work, so that all
// tests together end in minutes.
func Long() bool { return os.Getenv(longVariable) == "1" }
