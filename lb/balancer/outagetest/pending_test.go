package outagetest

import (
	"os"
	"testing"
)

// pending skips a test of what is not built yet. OUTAGES_PENDING=1 runs it.
func pending(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("OUTAGES_PENDING") == "" {
		t.Skip("waits for ", what)
	}
}
