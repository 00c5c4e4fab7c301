package expect_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/scenario"
)

var update = flag.Bool("update", false, "write docs/scenarios.md anew")

// TestReference: docs/scenarios.md is made from the tables of the language, and from those of
// the words of expressions, which package scenario does not know.
func TestReference(t *testing.T) {
	const path = "../../docs/scenarios.md"
	var want bytes.Buffer
	if err := scenario.WriteReference(&want, expect.WordTable(), expect.OperatorTable()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the tables say: run go test ./sim/expect -run TestReference -update", path)
	}
}
