package outagetest

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// One processor makes the same seed the same run, and bubbles cost less on it. The
// race detector is given more to see.
func TestMain(m *testing.M) {
	if !raceEnabled {
		runtime.GOMAXPROCS(1)
	}
	goleak.VerifyTestMain(m)
}
