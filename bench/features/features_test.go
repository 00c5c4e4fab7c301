package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestContended: every feature can be used, and is.
func TestContended(t *testing.T) {
	features, end, err := contended()
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for _, f := range features {
		for range 100 {
			f.use()
		}
		if n := testing.AllocsPerRun(100, f.use); n > 0 {
			t.Errorf("%s: %v allocations", f.name, n)
		}
	}
}

func TestTotal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "profile")
	for text, want := range map[string]int64{
		"# callgrind format\nversion: 1\nevents: Ir\nfn=(1) main\n1 20\ntotals: 1234567890123\n": 1234567890123,
		"# callgrind format\n": 0,
		"totals: many\n":       0,
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := total(file)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}
