//go:build !race

package fwxtest

// RaceEnabled tells that the race detector is on, which makes everything slow and large.
const RaceEnabled = false
