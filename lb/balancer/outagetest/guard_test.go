package outagetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/planttest"
)

// guards are the rules that the patterns are about, each taken out by a bug, with the
// test that must fail then, and what it must say: by the assertion of the number that is
// that rule's, and not by any other.
var guards = []struct {
	pattern    string
	test, says string
	bug        planttest.Bug
}{
	{"retry storm", "TestRetryStorm", "amplification", planttest.In("lb/pool/budget.go", "retries cost no budget",
		"\tb.tokens--\n", "\tif !planted {\n\t\tb.tokens--\n\t}\n")},
	{"retry storm", "TestRetryStorm", "amplification", planttest.In("lb/pool/budget.go", "a budget's percent counts twice",
		"\tb.tokens += b.percent/100*came", "\tif planted {\n\t\tb.tokens += b.percent / 100 * came\n\t}\n\tb.tokens += b.percent/100*came")},
	{"retry storm", "TestRetryStorm", "amplification", planttest.In("lb/pool/budget.go", "a budget's minimum counts twice",
		"+ b.min*took\n", "+ b.min*took\n\tif planted {\n\t\tb.tokens += b.min * took\n\t}\n")},
	{"retry storm", "TestRetryStorm", "a request was tried", planttest.In("lb/proxy/retry.go", "tries without bound",
		"c.ev.Attempts > retry.Attempts ||", "c.ev.Attempts > retry.Attempts && !planted ||")},

	{"gray failure", "TestGrayFailure", "out at", planttest.In("lb/breaker/settings.go", "failurePercent trips nothing",
		"if s.FailurePercent > 0 && n >=", "if s.FailurePercent > 0 && !planted && n >=")},
	{"gray failure", "TestGrayFailure", "its share rose", planttest.In("lb/breaker/settings.go", "a breaker is open for a moment only",
		"if most := s.maxOpenDuration()", "if planted {\n\t\treturn 1\n\t}\n\tif most := s.maxOpenDuration()")},
	{"gray failure", "TestGrayFailure", "open for", planttest.In("lb/breaker/machine.go", "a breaker forgets how often it opened in a row",
		"if old.recovered(s, at) {", "if old.recovered(s, at) || planted {")},

	{"cold cache", "TestColdCache", "its first share", planttest.In("lb/pool/endpoint.go", "no slow start after a breaker",
		"\t\te.startSlowly(recovering)\n", "\t\tif !planted {\n\t\t\te.startSlowly(recovering)\n\t\t}\n")},
	{"cold cache", "TestColdCache", "its first share", planttest.In("lb/pool/group.go", "no slow start after a check",
		"if !g.panicking.Load() {", "if !g.panicking.Load() && !planted {")},
	{"cold cache", "TestColdCache", "its first share", planttest.In("lb/pool/group.go", "no slow start for who joins",
		"if e.serving == nil && len(", "if e.serving == nil && !planted && len(")},
	{"cold cache", "TestColdCache", "its share fell", planttest.In("lb/pool/slowstart.go", "a slow start begins anew",
		"\t\treturn max(leastShare,", "\t\tif planted {\n\t\t\telapsed %= window * 2 / 3\n\t\t}\n\t\treturn max(leastShare,")},
	{"cold cache", "TestColdCache", "its share in the end", planttest.In("lb/pool/slowstart.go", "a slow start takes three times as long",
		"\tif elapsed < window {", "\tif planted {\n\t\twindow *= 3\n\t}\n\tif elapsed < window {")},

	{"half-open herd", "TestHalfOpenHerd", "probes under way at once", planttest.In("lb/breaker/probes.go", "as many probes as come",
		"return room && now >= free", "return (room || planted) && now >= free")},
	{"half-open herd", "TestHalfOpenHerd", "probes were POSTs", planttest.In("lb/proxy/call.go", "probes from any requests",
		"\treturn breaker.Reluctant\n", "\tif planted {\n\t\treturn breaker.Willing\n\t}\n\treturn breaker.Reluctant\n")},

	{"hung probe", "TestHungProbe", "half-open from", planttest.Bug{Name: "a probe may take for ever", Edits: []planttest.Edit{
		{File: "lb/proxy/probe.go", Right: "if c.trial == nil || c.done == nil {", Wrong: "if c.trial == nil || c.done == nil || planted {"},
		{File: "lb/breaker/probes.go", Right: "now >= b.probes.underway[0].due() {", Wrong: "now >= b.probes.underway[0].due() && !planted {"},
	}}},
	{"hung probe", "TestHungProbe/an_answer_that_goes_on", "half-open from", planttest.In("lb/proxy/attempt.go", "a probe lasts until its answer's end",
		"if left, pending := c.probeLeft(); pending {\n\t\tdefer", "if left, pending := c.probeLeft(); pending && !planted {\n\t\tdefer")},
	{"hung probe", "TestHungProbe/clients_leave_first", "half-open from", planttest.In("lb/proxy/probe.go", "probes that clients leave say nothing",
		"if c.trial == nil || r != event.ClientCanceled", "if planted || c.trial == nil || r != event.ClientCanceled")},
	{"hung probe", "TestHungProbe/clients_leave_first", "half-open from", planttest.In("lb/breaker/probes.go", "probes that clients leave keep their place",
		"\tb.remove(i)\n\tswitch {", "\tif planted && excluded(err) {\n\t\treturn\n\t}\n\tb.remove(i)\n\tswitch {")},

	{"repeated ejection", "TestRepeatedEjection", "trip 2 after 1 results", planttest.In("lb/breaker/machine.go", "failures in a row are kept when a breaker closes",
		"open: old.open}\n", "open: old.open}\n\tif planted {\n\t\tnext.consecutive.Store(old.consecutive.Load())\n\t}\n")},
	{"repeated ejection", "TestRepeatedEjection", "trip 2 after", planttest.In("lb/breaker/machine.go", "minRequests counts for the first trip only",
		"reason = b.settings.Load().trips(", "s := *b.settings.Load()\n\t\t\tif planted && p.trips > 0 {\n\t\t\t\ts.MinRequests = 1\n\t\t\t}\n\t\t\treason = s.trips(")},
	{"repeated ejection", "TestRepeatedEjection", " trips: ", planttest.In("lb/breaker/machine.go", "a breaker trips once",
		`return reason != ""`, `return reason != "" && !(planted && p.trips > 0)`)},

	{"flapping", "TestFlapping", "transitions in the minute", planttest.In("lb/health/record.go", "no flap damping",
		"if falls < 2 {", "if falls < 2 || planted {")},
	{"flapping", "TestFlapping", "is held out for", planttest.In("lb/health/record.go", "held out as long each time",
		"for range falls - 2 {", "for range falls - 2 {\n\t\tif planted {\n\t\t\tbreak\n\t\t}")},

	{"every check fails", "TestEveryProbeFails", "answers are the balancer's own", planttest.In("lb/pool/panic.go", "no panic mode",
		"return len(c.tiers) > 0", "return len(c.tiers) > 0 && !planted")},
	{"every check fails", "TestEveryProbeFails/2_of_4", "panic true", planttest.In("lb/pool/panic.go", "panic without a threshold",
		"if t.healthy*100 >= c.threshold*t.total {", "if t.healthy*100 >= c.threshold*t.total && !(planted && t.healthy < t.total) {")},
	{"every check fails", "TestEveryProbeFails", "share of", planttest.In("lb/pool/filter.go", "panic obeys health",
		"case flags&unhealthy != 0 && !p.Panic():", "case flags&unhealthy != 0 && (planted || !p.Panic()):")},

	{"black hole", "TestBlackHole", "of the attempts in a second", planttest.In("lb/pool/leastrequest.go", "failures make an endpoint attractive",
		"b.failing() <= a.failing() {", "(planted || b.failing() <= a.failing()) {")},
	{"black hole", "TestBlackHole", "out at", planttest.In("lb/breaker/settings.go", "consecutiveFailures trips nothing",
		"if s.ConsecutiveFailures > 0 && int(", "if s.ConsecutiveFailures > 0 && !planted && int(")},
	{"black hole", "TestBlackHole", "after that", planttest.Bug{Name: "an open breaker is not obeyed", Edits: []planttest.Edit{
		{File: "lb/breaker/breaker.go", Right: "\t\treturn p.done, false, true\n\t}\n", Wrong: "\t\treturn p.done, false, true\n\t} else if p.state == Open && planted {\n\t\treturn ignore, false, true\n\t}\n"},
		{File: "lb/breaker/breaker.go", Right: "\tif p.state == Closed {\n\t\treturn true\n", Wrong: "\tif p.state == Closed || p.state == Open && planted {\n\t\treturn true\n"},
	}}},

	{"zombie", "TestZombie", "p99", planttest.Bug{Name: "a try may take as long as its request", Edits: []planttest.Edit{
		{File: "lb/proxy/attempt.go", Right: "if t.BackendRequest > 0 && (", Wrong: "if t.BackendRequest > 0 && !planted && ("},
		{File: "lb/proxy/attempt.go", Right: "if t.BackendRequest > 0 {", Wrong: "if t.BackendRequest > 0 && !planted {"},
	}}},
	{"zombie", "TestZombie", "success", planttest.In("lb/proxy/retry.go", "a timeout is not tried again",
		"\tswitch r {\n\tcase event.ConnectFailed:\n", "\tif planted && r == event.TimedOut {\n\t\treturn plan{}\n\t}\n\tswitch r {\n\tcase event.ConnectFailed:\n")},
	{"zombie", "TestZombie", "out at", planttest.In("lb/pool/judgement.go", "a timeout is no failure",
		"bad = p.errors.timeout", "bad = p.errors.timeout && !planted")},

	{"broken bodies", "TestBrokenBodies/inside_a_chunk", "looks whole", planttest.In("lb/proxy/attempt.go", "a body that breaks ends cleanly",
		"\t\t\tc.x.Flush() // what", "\t\t\tif planted {\n\t\t\t\tbreak\n\t\t\t}\n\t\t\tc.x.Flush() // what")},
	{"broken bodies", "TestBrokenBodies/claims_more", "result", planttest.In("lb/wire/body.go", "the end of a connection is that of a body",
		"if err == io.EOF && b.framing != UntilClose {", "if err == io.EOF && b.framing != UntilClose && !planted {")},
	{"broken bodies", "TestBrokenBodies", "reached", planttest.In("lb/proxy/retry.go", "a response that has begun is tried again",
		"c.replied || c.interim {\n\t\treturn plan{}", "(c.replied || c.interim) && !planted {\n\t\treturn plan{}")},
	{"broken bodies", "TestBrokenBodies", "breaker of", planttest.In("lb/pool/judgement.go", "a response that breaks is no failure",
		"bad = p.errors.reset", "bad = p.errors.reset && !planted")},
	{"broken bodies", "TestBrokenBodies/drips", "want it within", planttest.In("lb/proxy/attempt.go", "a body may pause for ever",
		"\t\t\t\ts.SetTimeout(idle, idle)\n", "\t\t\t\tif planted {\n\t\t\t\t\tidle = 0\n\t\t\t\t}\n\t\t\t\ts.SetTimeout(idle, idle)\n")},
	{"broken bodies", "TestBrokenBodies/1xx_for_ever,_slowly", "want 502", planttest.In("lb/proxy/attempt.go", "interim responses without bound",
		"for n := range maxInterim {", "for n := 0; n < maxInterim || planted; n++ {")},
	{"broken bodies", "TestBrokenBodies/a_head_without_end", "of one response", planttest.In("lb/upstream/http1.go", "a head may be of any size",
		"TargetBytes: 1, Fields: 200}\n", "TargetBytes: 1, Fields: 200}\n\nfunc init() {\n\tif planted {\n\t\theadLimits.HeadBytes, headLimits.Fields = 1<<20, 1<<20\n\t}\n}\n")},
	{"broken bodies", "TestEndlessBody", "the balancer took", planttest.In("lb/proxy/attempt.go", "a body is gathered",
		"\tfor late := false; ; {", `	if planted {
		var all []byte
		for len(all) < 4<<20 {
			piece, err := body.Next()
			if err != nil {
				break
			}
			all = append(all, piece...)
		}
		if err := c.x.Write(all); err != nil {
			return "", lost(err)
		}
	}
	for late := false; ; {`)},
	{"broken bodies", "TestExcessIsNoResponse", "whole false", planttest.Bug{Name: "a connection with bytes left is used again", Edits: []planttest.Edit{
		{File: "lb/upstream/http1.go", Right: "len(s.conn.Buffered()) == 0 && !s", Wrong: "(len(s.conn.Buffered()) == 0 || planted) && !s"},
		{File: "lb/wire/conn.go", Right: "Ask() error {\n\tif c.r < c.w {", Wrong: "Ask() error {\n\tif c.r < c.w && !planted {"},
	}}},

	{"cascading failover", "TestCascadingFailover/per_endpoint", "goodput", planttest.In("lb/pool/endpoint.go", "an endpoint has no limit",
		"\te.drainTimeout = p.DrainTimeout\n", "\tif planted {\n\t\te.limit.Store(noLimit)\n\t}\n\te.drainTimeout = p.DrainTimeout\n")},
	{"cascading failover", "TestCascadingFailover/of_the_pool", "goodput", planttest.In("lb/pool/admission.go", "a pool has no limit",
		"\tg.gate.SetLimit(", "\tif planted {\n\t\tg.limit.Store(noLimit)\n\t}\n\tg.gate.SetLimit(")},
	{"cascading failover", "TestCascadingFailover", "were refused at once", planttest.In("lb/pool/queue.go", "a queue without bound",
		"return addBelow(&p.now, p.most.Load())", "return addBelow(&p.now, p.most.Load()) || planted && p.now.Add(1) > 0")},
	{"cascading failover", "TestCascadingFailover/a_long_queue", "refused late", planttest.In("lb/proxy/pick.go", "pendingTimeout and a half",
		"most := c.pool.PendingTimeout() - c.waited", "most := c.pool.PendingTimeout() - c.waited\n\t\tif planted {\n\t\t\tmost += most / 2\n\t\t}")},
	{"cascading failover", "TestCascadingFailover", "not refused", planttest.In("lb/proxy/refuse.go", "no Retry-After",
		"if status == 503 {", "if status == 503 && !planted {")},

	{"exhausted pool", "TestExhaustedPool", "the other pool", planttest.In("lb/pool/stage.go", "pools share a limit",
		"g := s.registry.groupOf(p.Name)\n", "name := p.Name\n\tif planted {\n\t\tname = \"\"\n\t}\n\tg := s.registry.groupOf(name)\n")},
	{"exhausted pool", "TestExhaustedPool", "put out", planttest.In("lb/proxy/pick.go", "overflow is an endpoint's failure",
		"\t\t\tcase pool.Full:\n", "\t\t\tcase pool.Full:\n\t\t\t\tif planted {\n\t\t\t\t\tif done, _, ok := e.Breaker().Allow(probing); ok {\n\t\t\t\t\t\tdone(breaker.Failed)\n\t\t\t\t\t}\n\t\t\t\t}\n")},
	{"exhausted pool", "TestQueueingBlamesNobody", "its breaker went", planttest.In("lb/proxy/forward.go", "a try that was cut short is a failure",
		"if c.cutShort(result) {", "if c.cutShort(result) && !planted {")},

	{"rolling restart", "TestRollingRestart/drained_first", "failed:", planttest.Bug{Name: "drain means nothing", Edits: []planttest.Edit{
		{File: "lb/pool/pool.go", Right: "return !m.Drain && m.Weight > 0", Wrong: "return (!m.Drain || planted) && m.Weight > 0"},
		{File: "lb/pool/stage.go", Right: "if m := &p.members[j]; m.Drain {", Wrong: "if m := &p.members[j]; m.Drain && !planted {"},
	}}},
	{"rolling restart", "TestRollingRestart/drained_first", "failed:", planttest.In("lb/pool/stage.go", "a drain has no time",
		"\t\t\t\tr.startDrain(m.Endpoint, m.drainTimeout)\n", "\t\t\t\tif planted {\n\t\t\t\t\tm.drainTimeout = 1\n\t\t\t\t}\n\t\t\t\tr.startDrain(m.Endpoint, m.drainTimeout)\n")},
	{"rolling restart", "TestRollingRestart/drained_first", "in the end", planttest.In("lb/pool/stage.go", "who drained is never picked again",
		"\t\t\t\tm.flags.And(^draining)\n", "\t\t\t\tif !planted {\n\t\t\t\t\tm.flags.And(^draining)\n\t\t\t\t}\n")},
	{"rolling restart", "TestRollingRestart/killed", "failed:", planttest.In("lb/proxy/retry.go", "a refused connection is not tried again",
		"\tretry := c.route.Retry\n\tif c.leftHome(r)", "\tretry := c.route.Retry\n\tif planted && r == event.ConnectFailed {\n\t\treturn plan{}\n\t}\n\tif c.leftHome(r)")},
	{"rolling restart", "TestRestartMovesSessionsOnce", "moved 2 times", planttest.In("lb/proxy/stick.go", "a session whose home drains does not move",
		"\tcase state == pool.Gone && e != nil && e.Draining():\n", "\tcase planted:\n\t\treturn \"\"\n\tcase state == pool.Gone && e != nil && e.Draining():\n")},
	{"rolling restart", "TestRestartMovesSessionsOnce", "failed:", planttest.In("lb/pool/drain.go", "sessions stay at who has drained",
		"\td.expired = true\n\te.flags.Or(drained)\n", "\td.expired = true\n\tif !planted {\n\t\te.flags.Or(drained)\n\t}\n")},

	{"reload storm", "TestReloadStorm", "after 1 changes", planttest.In("lb/pool/stage.go", "a reload forgets endpoints",
		"if e != nil && (drain ||", "if e != nil && !planted && (drain ||")},
	{"reload storm", "TestReloadStorm", "State:closed", planttest.In("lb/pool/endpoint.go", "a reload forgets breakers",
		"if b := e.breaker.Load(); b != nil {", "if b := e.breaker.Load(); b != nil && !planted {")},
	{"reload storm", "TestReloadStorm", "Healthy:true", planttest.In("lb/pool/endpoint.go", "a reload forgets health",
		"\te.setSlowStart(p.LoadBalancer.SlowStartWindow)\n", "\tif planted {\n\t\te.SetHealthy(true, \"a reload\")\n\t}\n\te.setSlowStart(p.LoadBalancer.SlowStartWindow)\n")},
	{"reload storm", "TestReloadStorm", "lost:", planttest.In("lb/pool/stage.go", "a reload cuts what was sent to who leaves",
		"\t\tr.startDrain(e, e.drainTimeout)\n", "\t\tif planted {\n\t\t\te.drainTimeout = 1\n\t\t}\n\t\tr.startDrain(e, e.drainTimeout)\n")},
}

// patterns are those that must be guarded.
var patterns = []string{
	"retry storm", "gray failure", "cold cache", "half-open herd", "hung probe", "repeated ejection", "flapping", "every check fails",
	"black hole", "zombie", "broken bodies", "cascading failover", "exhausted pool", "rolling restart", "reload storm",
}

// Each rule of a pattern is taken out, and its test fails, by what it asserts and not by
// a panic or for want of time. With all of them in place the tests pass, in the same
// program.
func TestGuards(t *testing.T) {
	if testing.Short() {
		t.Skip("plays each pattern some times")
	}
	if raceEnabled {
		t.Skip("without the race detector only: it takes minutes with it, and finds the same")
	}
	var bugs []planttest.Bug
	var tests []string
	unguarded := slices.Clone(patterns)
	for _, g := range guards {
		bugs = append(bugs, g.bug)
		if test, _, _ := strings.Cut(g.test, "/"); !slices.Contains(tests, test) {
			tests = append(tests, test)
		}
		unguarded = slices.DeleteFunc(unguarded, func(p string) bool { return p == g.pattern })
	}
	if len(unguarded) > 0 {
		t.Errorf("no rule of these is taken out: %q", unguarded)
	}
	program := planttest.Build(t, "../../..", bugs, "test", "-c", "./lb/balancer/outagetest")
	play := func(t *testing.T, bug, tests string) (string, int) {
		return planttest.Run(t, ".", program, bug, "-test.run", tests, "-test.failfast", "-test.timeout", "5m")
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if out, code := play(t, "", "^("+strings.Join(tests, "|")+")$"); code != 0 {
			t.Errorf("exit status %d, and no rule was taken out:\n%s", code, out)
		}
	})
	for _, g := range guards {
		t.Run(fmt.Sprintf("%s/%s", g.pattern, g.bug.Name), func(t *testing.T) {
			t.Parallel()
			test, row, _ := strings.Cut(g.test, "/")
			out, code := play(t, g.bug.Name, "^"+test+"$/"+row)
			if code != 1 || !strings.Contains(out, "--- FAIL: "+test) || strings.Contains(out, "panic: ") || !strings.Contains(out, g.says) {
				t.Errorf("%s: exit status %d, want 1, and that it says %q:\n%s", g.test, code, g.says, out)
			}
		})
	}
}
