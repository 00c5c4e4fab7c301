package outagetest

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// One processor makes the same seed the same run, and bubbles cost less on it.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	goleak.VerifyTestMain(m)
}

// brief leaves all rows of a table but the first to the run without the race
// detector, with which they would take minutes and find the same.
func brief(t *testing.T, row int) {
	t.Helper()
	if raceEnabled && row > 0 {
		t.Skip("without the race detector only")
	}
}
