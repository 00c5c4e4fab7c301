// Package tooltest finds the programs that tests need.
package tooltest

import (
	"os"
	"os/exec"
	"testing"
)

// Path returns where a program is that .ci/install brings. Without it the test is skipped,
// but in CI it fails.
func Path(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: .ci/install test brings it", name)
		}
		t.Skipf("%s is missing: .ci/install test brings it", name)
	}
	return path
}
