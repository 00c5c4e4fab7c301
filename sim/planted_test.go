package main

import (
	"strings"
	"testing"

	"go-loadbalancer/lb/planttest"
)

// planted are bugs such as somebody might write, and the shipped scenarios that must
// notice each of them. says is what the report then says besides.
var planted = []struct {
	planttest.Bug
	by   []string
	says string
}{
	{
		Bug: planttest.In("lb/breaker/probes.go", "a breaker does not mind how many probes there are",
			"return room && now >= free",
			"return (room || planted) && now >= free"),
		by: []string{"half-open-herd"},
	},
	{
		Bug: planttest.In("lb/breaker/machine.go", "a breaker forgets how often it opened in a row",
			"open: old.open}\n",
			"open: old.open}\n\tif planted {\n\t\tnext.trips = 0\n\t}\n"),
		by: []string{"gray-failure"},
	},
	{
		Bug: planttest.In("lb/pool/budget.go", "retries cost no budget",
			"\tb.tokens--\n",
			"\tif !planted {\n\t\tb.tokens--\n\t}\n"),
		by: []string{"retry-storm"},
	},
	{
		Bug: planttest.In("lb/proxy/stick.go", "sessions are moved though they need only wait",
			"case state == pool.Away && p.Rebind:",
			"case state == pool.Away && (p.Rebind || planted):"),
		by: []string{"away-and-back"},
	},
	{
		Bug: planttest.In("lb/session/redisstore/rebind.go", "a session that is moved is not kept where it is",
			"redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n",
			"` + map[bool]string{false: \"redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\\n\"}[planted] + `"),
		by: []string{"rolling-restart"},
	},
	{
		Bug: planttest.In("lb/pool/stage.go", "a reload forgets what was known of endpoints",
			"if e != nil && (drain ||",
			"if e != nil && !planted && (drain ||"),
		by: []string{"reload-storm"},
	},
	{
		Bug: planttest.In("lb/pool/stage.go", "an endpoint that a reload removes has no time to drain",
			"\t\tr.startDrain(e, e.drainTimeout)\n",
			"\t\tif planted {\n\t\t\te.drainTimeout = 1\n\t\t}\n\t\tr.startDrain(e, e.drainTimeout)\n"),
		by: []string{"reload-storm"},
	},
	{
		Bug: planttest.In("lb/breaker/machine.go", "a panic",
			"\tif b.period.Load() == p {\n",
			"\tif b.period.Load() == p {\n\t\tif planted {\n\t\t\tpanic(\"oops\")\n\t\t}\n"),
		by: []string{"black-hole"}, says: "panic=oops",
	},
	{
		Bug: planttest.In("lb/breaker/machine.go", "a deadlock",
			"\tif b.period.Load() == p {\n",
			"\tif planted {\n\t\tb.mu.Lock()\n\t}\n\tif b.period.Load() == p {\n"),
		by: []string{"black-hole"}, says: "a deadlock",
	},
}

// TestPlantedBugs builds the simulator with all of them, and plays the scenarios that
// must notice, and notice nothing while the bugs are asleep.
func TestPlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the simulator and plays many scenarios")
	}
	var bugs []planttest.Bug
	for _, bug := range planted {
		bugs = append(bugs, bug.Bug)
	}
	program := planttest.Build(t, "..", bugs, "build", "./sim")
	play := func(t *testing.T, bug, name string, want int) (out string) {
		out, code := planttest.Run(t, "..", program, bug, "run", "--no-recheck", "scenarios/"+name+".yaml")
		if code != want {
			t.Errorf("%s: exit status %d, want %d:\n%s", name, code, want, out)
		}
		return out
	}
	passed := map[string]bool{}
	for _, bug := range planted {
		t.Run(bug.Name, func(t *testing.T) {
			for _, name := range bug.by {
				if !passed[name] {
					play(t, "", name, 0)
					passed[name] = true
				}
				if out := play(t, bug.Name, name, 1); !strings.Contains(out, bug.says) {
					t.Errorf("%s: it is not said that %q:\n%s", name, bug.says, out)
				}
			}
		})
	}
}
