//go:build !race

package completiontest

const raceEnabled = false
