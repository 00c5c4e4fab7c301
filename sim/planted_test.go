package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// planted are bugs such as somebody might write, and the shipped scenarios that must
// notice each of them. says is what the report then says besides.
var planted = []struct {
	name, file, right, wrong string
	by                       []string
	says                     string
}{
	{
		name: "a breaker does not mind how many probes there are", file: "lb/breaker/probes.go",
		right: "return room && now >= free", wrong: "return now >= free",
		by: []string{"half-open-herd"},
	},
	{
		name: "a breaker forgets how often it opened in a row", file: "lb/breaker/machine.go",
		right: "next := &period{state: to, since: at, trips: old.trips, open: old.open}",
		wrong: "next := &period{state: to, since: at, open: old.open}",
		by:    []string{"gray-failure"},
	},
	{
		name: "retries cost no budget", file: "lb/pool/budget.go",
		right: "\tb.tokens--\n", wrong: "",
		by: []string{"retry-storm"},
	},
	{
		name: "sessions are moved though they need only wait", file: "lb/proxy/stick.go",
		right: "case state == pool.Away && p.Rebind:", wrong: "case state == pool.Away:",
		by: []string{"away-and-back"},
	},
	{
		name: "a session that is moved is not kept where it is", file: "lb/session/redisstore/rebind.go",
		right: "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n", wrong: "",
		by: []string{"rolling-restart"},
	},
	{
		name: "a reload forgets what was known of endpoints", file: "lb/pool/stage.go",
		right: "if e != nil && (drain || !e.drain.expired) {", wrong: "if false && drain {",
		by: []string{"reload-storm"},
	},
	{
		name: "an endpoint that a reload removes has no time to drain", file: "lb/pool/stage.go",
		right: "r.startDrain(e, e.drainTimeout)", wrong: "r.startDrain(e, 1)",
		by: []string{"reload-storm"},
	},
	{
		name: "a panic", file: "lb/breaker/machine.go",
		right: "\tdefer b.mu.Unlock()\n\tif b.period.Load() == p {", wrong: "\tdefer b.mu.Unlock()\n\tif b.period.Load() == p {\n\t\tpanic(\"planted\")",
		by: []string{"black-hole"}, says: "panic=planted",
	},
	{
		name: "a deadlock", file: "lb/breaker/machine.go",
		right: "\tdefer b.mu.Unlock()\n\tif b.period.Load() == p {", wrong: "\tdefer b.mu.Unlock()\n\tb.mu.Lock()\n\tif b.period.Load() == p {",
		by: []string{"black-hole"}, says: "a deadlock",
	},
}

// TestPlantedBugs builds the simulator with one of them each, and plays the scenarios
// that must notice. The tree is not touched.
func TestPlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulator many times")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, bug := range planted {
		t.Run(bug.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(root, bug.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), bug.right) != 1 {
				t.Fatalf("%s does not have %q once: plant the bug where it is now", bug.file, bug.right)
			}
			write := func(name string, b []byte) string {
				name = filepath.Join(dir, name)
				if err := os.WriteFile(name, b, 0o644); err != nil {
					t.Fatal(err)
				}
				return name
			}
			wrong := write("wrong.go", []byte(strings.Replace(string(text), bug.right, bug.wrong, 1)))
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: wrong}})
			if err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(dir, "sim")
			build := exec.CommandContext(t.Context(), "go", "build", "-overlay", write("overlay.json", overlay), "-o", program, "./sim")
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, name := range bug.by {
				run := exec.CommandContext(t.Context(), program, "run", "--no-recheck", "scenarios/"+name+".yaml")
				run.Dir = root
				out, _ := run.CombinedOutput()
				if code := run.ProcessState.ExitCode(); code != 1 {
					t.Errorf("%s: exit status %d, want 1:\n%s", name, code, out)
				}
				if !strings.Contains(string(out), bug.says) {
					t.Errorf("%s: it is not said that %q:\n%s", name, bug.says, out)
				}
			}
		})
	}
}
