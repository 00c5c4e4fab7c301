package memnet_test

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// One processor makes the same seed the same run.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	goleak.VerifyTestMain(m)
}
