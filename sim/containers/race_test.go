//go:build race && !image

package containers_test

const raceEnabled = true
