//go:build race

package impact_test

const raceEnabled = true
