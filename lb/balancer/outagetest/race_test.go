//go:build race

package outagetest

const raceEnabled = true
