//go:build race

package completiontest

const raceEnabled = true
