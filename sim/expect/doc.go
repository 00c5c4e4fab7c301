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
// What is expected is said in CEL (https://cel.dev) with these words. A name and a window
// may be left out where they stand in brackets; a window is a duration such as "10s".
//
//	success([route,] [window])   share of requests that ended well, 0 to 1
//	errors([route,] [window])    1 - success
//	goodput([route,] [window])   requests a second that ended well
//	latency(q, [route,] [window])  the q-quantile, 0 < q <= 1, by nearest rank; a duration
//	lost([route,] [window])      how many requests got no answer that came to its end,
//	                             those left out whose endpoint broke off what it had begun
//	shed([route,] [window])      how many got a 503 of the balancer's own
//	shed_latency(q, [route,] [window])  the q-quantile of how long those took
//	rate([name,] [window])       attempts a second at a pool or an endpoint; without a name:
//	                             requests a second
//	share(endpoint, [window])    attempts at it as a part of its pool's, 0 to 1
//	amplification([pool,] [window])  attempts to requests that were tried
//	moved_sessions([pool,] [window]) how many sessions got another home
//	most_moves([pool,] [window]) how often that session did which did so most often, as
//	                             its client saw it
//	lost_sessions([pool,] [window]) how many clients that had a session were given another
//	load(endpoint, [window])     the most requests that an endpoint had in flight as one
//	                             more came, in parts of its fair share: what its weight
//	                             gives it of all in flight in the pool with that one
//	held([route,] [window])      the most bytes of an answer that its endpoint had sent and
//	                             its client had not read when the request ended
//	in_flight([name,] [replica]) attempts under way at a pool or an endpoint; without a
//	                             name: requests, as their clients see it
//	breaker(endpoint, [replica]) "closed", "open" or "half-open"
//	probes(endpoint, [replica])  attempts under way there that a half-open breaker let
//	                             through and has not judged yet
//	healthy(endpoint, [replica]) whether its active check says so
//	health_changes(endpoint, [window]) how often its health turned, at all replicas together
//	policy([replica])            the version that serves
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
