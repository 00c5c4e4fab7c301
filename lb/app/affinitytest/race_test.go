//go:build race

package affinitytest

const raceEnabled = true
