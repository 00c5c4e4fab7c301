// Package expect judges a run: whether what a scenario expects of the balancer came
// true, and whether what must hold in every run did.
//
//	program, found := expect.Compile(s, p) // s is a scenario, p its policy
//	if found.HasErrors() {
//		fmt.Print(found) // file:line:col, of the place in the expression
//		return
//	}
//	result := program.Judge(run)
//	fmt.Println(result.Verdict)
//
// # Expressions
//
// What is expected is said in CEL (https://cel.dev) with words, which are in word.go and,
// made from that, in docs/scenarios.md.
//
// A request counts when it was to begin, and so does its latency; goodput and held alone
// count when it ended. An attempt counts when it began. Copies of mirrors never count, and
// probes do not in share and rate.
//
// Without a replica, in_flight, probes, breaker, healthy and policy speak of every replica
// that is up: the whole expression must be true with each of them put in. So where they differ,
// both breaker("cart/1") == "open" and breaker("cart/1") != "open" are false.
//
// # Windows
//
// A window of length w, judged at instant x, is (x-w, x]; nanoseconds are the smallest
// step there is. It is judged at every x at which it lies within the time that is
// judged. That is exact and no sampling: an expression is evaluated where an event
// enters or leaves one of its windows, or a state changes, and nothing changes between.
// If an expression has several windows they all end at x, and the longest must fit.
//
// A ratio or quantile (success, errors, share, amplification, latency, shed_latency) of a window of
// fewer than 20 events says nothing, unless the rest of the expression decides. Counts
// and rates say something of any window: nothing at all came to pass is a finding too.
//
// An expectation that says too little proves nothing, which makes a run invalid rather
// than failed: if no window says anything; and of those that must be true at every
// instant, if more than half of the windows say nothing, or if all of those within one of
// the run's faults do. The last two are not asked of expressions with a state or
// shed_latency, whose events need not come.
//
// Operators judge:
//
//	during f, grace g   every x from f's beginning + g until f's end
//	within d after t    that it is true at some x of [t, t+d], and not false in [x, x+hold);
//	                    windows begin at t or later: what was before says nothing of after
//	at t                x = t
//	sometimes           that it is true at some x of the run
//	none                every x of the run; an expression without windows is
//	                    evaluated once, of the whole run, what ended after it included
//
// breaker with path, max and longest is judged for each replica, path for those that were up all
// the time.
package expect
