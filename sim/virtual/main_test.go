package virtual_test

import (
	"testing"

	"go.uber.org/goleak"

	"go-loadbalancer/sim/virtual"
)

// The test's own program is that of the workers.
func TestMain(m *testing.M) {
	virtual.Work()
	goleak.VerifyTestMain(m)
}
