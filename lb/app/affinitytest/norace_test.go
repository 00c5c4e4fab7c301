//go:build !race

package affinitytest

const raceEnabled = false
