//go:build !image

package containers_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go-loadbalancer/sim/report"
)

// A file of the catalogue is played as users play it, and passes by what it expects. Its
// figures want a machine that does nothing else, and with the race detector all packages
// are tested at once.
func TestCatalogue(t *testing.T) {
	if raceEnabled {
		t.Skip("go test -run Catalogue ./sim/containers, by itself")
	}
	engine(t)
	dir := t.TempDir()
	sim, said := filepath.Join(dir, "sim"), filepath.Join(dir, "said.json")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", sim, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const invalid, tries = 3, 3 // exit status: the machine had no time for the generator
	for range tries {
		c := exec.CommandContext(t.Context(), sim, "run", "--stage", "containers", "--image", image, "--json", said, "../../scenarios/replica-crash.yaml")
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // and nothing is left
		out, err := c.CombinedOutput()
		if status(err) == invalid {
			t.Logf("%s", out)
			continue
		}
		text, e := os.ReadFile(said)
		var d report.Document
		if err := errors.Join(err, e, json.Unmarshal(text, &d)); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(d.Runs) != 1 || d.Passed != 1 || d.Runs[0].Stage != "containers" || d.Runs[0].SetUp <= 0 || d.Runs[0].TearDown <= 0 {
			t.Fatalf("%s\n%s", out, text)
		}
		t.Logf("set-up %.1f s, tear-down %.1f s", d.Runs[0].SetUp, d.Runs[0].TearDown)
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("in %d runs the machine had no time for the generator: it is to do nothing else meanwhile", tries)
	}
	t.Skipf("in %d runs the machine had no time for the generator", tries)
}
