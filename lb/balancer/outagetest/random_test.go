package outagetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Thousands of seeded sequences of faults, each at a pool of its own under a
// policy of its own. What is checked must hold whatever happens; see
// [drama.check]. A sequence is its seed, which is the subtest's name:
//
//	go test ./lb/balancer/outagetest -run TestRandomFaults/1234
//
// OUTAGES_SEEDS=5000-25000 plays others than usual.
func TestRandomFaults(t *testing.T) {
	from, to := uint64(1), uint64(2000)
	if raceEnabled || testing.Short() {
		to = 150
	}
	if s := os.Getenv("OUTAGES_SEEDS"); s != "" {
		first, last, ok := strings.Cut(s, "-")
		var err, err2 error
		from, err = strconv.ParseUint(first, 10, 64)
		to, err2 = strconv.ParseUint(last, 10, 64)
		if !ok || err != nil || err2 != nil || from > to {
			t.Fatalf("OUTAGES_SEEDS=%q, want FIRST-LAST", s)
		}
	}
	var sum tally
	failed := 0
	for seed := from; seed <= to && failed < 5; seed++ {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
			play(t, seed, func(w *world) {
				d := newDrama(w)
				d.play()
				d.check()
				if t.Failed() {
					t.Logf("policy:\n%s\nwhat happened:\n%s", d.policy.text(), strings.Join(d.story, "\n"))
				}
				sum.add(d)
			})
		}) {
			failed++
		}
	}
	t.Logf("seeds %d to %d: %+v", from, to, sum)
	if to-from >= 100 && failed == 0 {
		sum.check(t)
	}
}

// The same seed is the same run, down to the nanosecond, on one processor: what a
// failure's seed is worth.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(20) {
		var runs [2]string
		for i := range runs {
			play(t, seed, func(w *world) {
				d := newDrama(w)
				d.play()
				for _, a := range d.r.attempts {
					runs[i] += fmt.Sprintln(a.to, a.Number, a.start, a.end, a.Result, a.Status, a.Probe)
				}
				for _, c := range d.results {
					runs[i] += fmt.Sprintln(c.String())
				}
			})
		}
		if runs[0] != runs[1] {
			t.Errorf("seed %d: two runs differ", seed)
			one, other := strings.Split(runs[0], "\n"), strings.Split(runs[1], "\n")
			for n := range min(len(one), len(other)) {
				if one[n] != other[n] {
					t.Errorf("line %d\n%s\n%s", n, one[n], other[n])
					break
				}
			}
		}
	}
}

// tally is what all sequences together came to: a test in which nothing happens
// finds nothing.
type tally struct {
	requests, good, broken, refused, retried, lost, trips, probes, recoveries, reloads int
	tunnels, uploads, mirrored, removed, stops                                         int
}

func (s *tally) add(d *drama) {
	d.r.mu.Lock() // a mirrored copy may end later
	defer d.r.mu.Unlock()
	s.requests += len(d.results)
	s.reloads += d.reloads
	if d.stops {
		s.stops++
	}
	for _, n := range d.r.retired {
		s.removed += n
	}
	for i := range d.results {
		c := &d.results[i]
		if c.status == 101 && c.whole {
			s.tunnels++
		}
		if c.uploaded > 0 && c.good() {
			s.uploads++
		}
		switch {
		case c.good():
			s.good++
		case c.status == 503 && c.by == "":
			s.refused++
		case c.status == 200:
			s.broken++
		case c.status == 0:
			s.lost++
		}
	}
	for i := range d.r.requests {
		s.retried += max(d.r.requests[i].Attempts-1, 0)
	}
	for i := range d.r.attempts {
		if d.r.attempts[i].Probe {
			s.probes++
		}
		if d.r.attempts[i].Mirror {
			s.mirrored++
		}
	}
	for _, c := range d.r.breakers {
		switch c.Reason {
		case "consecutive_failures", "failure_percent":
			s.trips++
		case "probes_succeeded":
			s.recoveries++
		}
	}
}

// check wants every kind of thing to have happened to one request in a thousand
// at least.
func (s *tally) check(t *testing.T) {
	few := s.requests / 1000
	for what, n := range map[string]int{
		"good": s.good, "broken": s.broken, "refused": s.refused, "retried": s.retried, "lost": s.lost,
		"trips": s.trips, "probes": s.probes, "recoveries": s.recoveries, "reloads": s.reloads,
		"tunnels": s.tunnels, "uploads": s.uploads, "mirrored": s.mirrored, "removed endpoints": s.removed, "stops": s.stops,
	} {
		if n < few {
			t.Errorf("%d %s of %d requests: the sequences no longer test it", n, what, s.requests)
		}
	}
}

// drama is one sequence.
type drama struct {
	w      *world
	rnd    *rand.Rand
	r      *replica
	pool   []*backend
	copies []*backend // of another pool, which gets copies; nil: there is none
	policy policy
	story  []string

	retries  int
	again    bool // POSTs may be tried again
	sessions string
	stops    bool // the balancer, in the middle of it
	probes   int
	request  time.Duration // how long a request may take
	try      time.Duration // how long a try may take
	down     map[*backend]bool
	results  []result
	reloads  int
	recovery time.Duration // when all became well
}

// acts is how long faults come, calm how long all is well after that.
const acts, calm = 2500 * time.Millisecond, 4 * time.Second

func newDrama(w *world) *drama {
	d := &drama{w: w, rnd: rand.New(rand.NewPCG(w.seed, 42)), down: map[*backend]bool{}}
	d.pool = w.backends(3 + d.rnd.IntN(2))
	d.probes = 1 + d.rnd.IntN(3)
	d.retries = d.rnd.IntN(3)
	d.request, d.try = d.ms(400, 1200), d.ms(100, 400)
	d.again = d.rnd.IntN(5) == 0
	d.sessions = d.choose("", "", "", "Memory", "Cookie")
	d.stops = d.rnd.IntN(6) == 0
	if d.rnd.IntN(4) == 0 {
		d.copies = w.backends(2)
		for _, b := range d.copies {
			b.shadow = true
		}
	}
	for _, b := range append(d.pool, d.copies...) {
		d.heal(b)
	}
	d.policy = d.draw()
	return d
}

func (d *drama) ms(least, most int) time.Duration {
	return time.Duration(least+d.rnd.IntN(most-least)) * time.Millisecond
}

func (d *drama) choose(of ...string) string { return of[d.rnd.IntN(len(of))] }

// draw is a policy. What the checks rely on is the same in all of a sequence.
func (d *drama) draw() policy {
	p := policy{
		endpoints: d.pool,
		timeouts:  fmt.Sprintf("request: %v, backendRequest: %v, streamIdle: 300ms", d.request, d.try),
		retry:     fmt.Sprintf("attempts: %d, backoff: %v", d.retries, d.ms(0, 30)),
		breaker: fmt.Sprintf("consecutiveFailures: %d, failurePercent: %d, minRequests: 4, interval: 2s, openDuration: %v, maxOpenDuration: 800ms, halfOpenRequests: %d",
			d.rnd.IntN(4), 10+d.rnd.IntN(60), d.ms(50, 500), d.probes),
		balance: "type: " + d.choose("RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash, hashOn: SourceIP") + d.choose("", ", slowStart: {window: 1s}"),
		pool:    fmt.Sprintf("connectTimeout: %v\n      drainTimeout: %v", d.ms(50, 800), d.ms(50, 1000)),
		budget:  d.choose("", "percent: 100, minRetriesPerSecond: 100", "percent: 0, minRetriesPerSecond: 1"),
	}
	if d.rnd.IntN(20) == 0 {
		p.breaker = noBreaker
	}
	if d.sessions != "" {
		p.pool += "\n      sessionPersistence: {store: " + d.sessions + ", onUnavailable: " + d.choose("Return", "Rebind") + "}"
	}
	if d.copies != nil {
		p.filters = "requestMirror: {pool: copies, percent: 50}"
		p.more = "    - name: copies\n      circuitBreaker: {" + p.breaker + "}\n      endpoints:\n"
		for _, b := range d.copies {
			p.more += fmt.Sprintf("        - {address: %q}\n", b.address)
		}
	}
	if d.again {
		p.retry += ", methods: [GET, POST]"
	}
	if d.rnd.IntN(2) == 0 {
		p.health = fmt.Sprintf("active: {interval: 200ms, timeout: 100ms, unhealthyThreshold: 2, healthyThreshold: %d, flapDamping: {holdDown: %s}}, panicThreshold: %d",
			1+d.rnd.IntN(2), d.choose("0s", "500ms"), d.rnd.IntN(101))
	}
	if d.rnd.IntN(3) == 0 {
		limit := d.choose("perEndpoint: {maxParallelRequests: %d}", "maxParallelRequests: %d", "maxConnections: %d")
		p.limits = fmt.Sprintf(limit+", maxPendingRequests: %d, pendingTimeout: %v", 1+d.rnd.IntN(5), d.rnd.IntN(10), d.ms(0, 300))
	}
	return p
}

// misdeeds are what a backend may do to requests.
var misdeeds = map[string]behaviour{
	"fails":         respond(503),
	"fails often":   sometimes(0.5, respond(500), respond(200)),
	"refuses work":  respond(404),
	"hangs":         hang,
	"hangs at once": hangUp,
	"is slow":       after(50*time.Millisecond, 600*time.Millisecond, respond(200)),
	"resets":        reset,
	"truncates":     truncate(30),
	"truncates now": sometimes(0.5, truncate(0), respond(200)),
	"resets inside": resetInside,
	"resets open":   resetOpen,
	"breaks chunks": sometimes(0.5, breakChunk, endlessChunks),
	"bad chunks":    badChunk,
	"claims more":   claimMore,
	"claims less":   claimLess,
	"garbage":       garbage,
	"drips":         drip(20*time.Millisecond, bodySize),
	"drips a while": drip(20*time.Millisecond, 20),
	"interim":       interim(20 * time.Millisecond),
	"floods heads":  interim(0),
	"endless head":  endlessHead,
	"never reads":   after(10*time.Second, 10*time.Second, hangUp),
}

var misdeedNames = func() (names []string) {
	for _, name := range [...]string{
		"fails", "fails often", "refuses work", "hangs", "hangs at once", "is slow", "resets", "truncates", "truncates now", "resets inside", "resets open", "breaks chunks",
		"bad chunks", "claims more", "claims less", "garbage", "drips", "drips a while", "interim", "floods heads", "endless head", "never reads",
	} {
		if misdeeds[name] == nil {
			panic(name)
		}
		names = append(names, name)
	}
	return names
}()

// play lets faults come and go under load, and then all be well.
func (d *drama) play() {
	d.r = d.w.start(d.policy)
	deadline := time.Minute
	if d.rnd.IntN(4) == 0 {
		deadline = d.ms(100, 800)
	}
	first := d.w.offer(load{
		r: d.r, rate: 10 + 20*d.rnd.Float64(), lasts: acts, posts: 0.4, poisson: true, deadline: deadline, fresh: d.rnd.IntN(4) == 0,
		streams: 0.2, tunnels: 0.05, users: 20,
	})
	for at := time.Duration(0); at < acts; at += d.ms(50, 600) {
		d.w.until(at)
		b := d.pool[d.rnd.IntN(len(d.pool))]
		if d.copies != nil && d.rnd.IntN(5) == 0 {
			b = d.copies[d.rnd.IntN(len(d.copies))]
		}
		d.fault(b)
		if d.stops && at > acts/2 {
			patience := d.ms(1, 1000)
			d.tell(nil, fmt.Sprintf("stops within %v", patience))
			d.r.stop(patience)
			d.results = first.wait()
			d.recovery = time.Hour
			d.w.settle()
			return
		}
	}
	d.w.until(acts)
	d.recovery = d.w.now()
	for _, b := range append(d.pool, d.copies...) {
		d.heal(b)
	}
	second := d.w.offer(load{r: d.r, rate: 5, lasts: calm, posts: 0.4, users: 20})
	d.results = append(first.wait(), second.wait()...)
	d.w.settle()
}

func (d *drama) tell(b *backend, what string) {
	who := "the balancer"
	if b != nil {
		who = b.address
	}
	d.story = append(d.story, fmt.Sprintf("  %v %s: %s", d.w.now(), who, what))
}

// fault does something to a backend.
func (d *drama) fault(b *backend) {
	switch n := d.rnd.IntN(16); {
	case n < 7:
		name := misdeedNames[d.rnd.IntN(len(misdeedNames))]
		d.tell(b, name)
		b.serve(misdeeds[name])
	case n < 9:
		d.tell(b, "all well")
		d.heal(b)
	case n == 9 && !d.down[b]:
		d.tell(b, "killed")
		b.kill()
		d.down[b] = true
	case n == 10 && !d.down[b]:
		d.tell(b, "stopped")
		b.stop()
		d.down[b] = true
	case n == 11 && d.down[b]:
		d.tell(b, "started")
		b.start()
		d.down[b] = false
	case n == 12:
		d.tell(b, "silent")
		d.w.net.silence(b.address, true)
	case n == 13:
		d.tell(b, "health checks fail")
		b.check(respond(503))
	case n == 14:
		d.tell(b, "health checks hang")
		b.check(hang)
	case n == 15:
		d.policy = d.draw()
		d.policy.version = len(d.story)
		if d.rnd.IntN(2) == 0 {
			d.policy.drain = map[*backend]bool{b: true}
		} else if d.rnd.IntN(2) == 0 && !b.shadow {
			d.policy.endpoints = slices.DeleteFunc(slices.Clone(d.pool), func(x *backend) bool { return x == b })
		}
		d.tell(nil, fmt.Sprintf("a new policy, %d draining, %d removed", len(d.policy.drain), len(d.pool)-len(d.policy.endpoints)))
		d.r.apply(d.policy)
		d.reloads++
	}
}

// heal makes a backend well.
func (d *drama) heal(b *backend) {
	d.w.net.silence(b.address, false)
	if d.down[b] {
		b.start()
		d.down[b] = false
	}
	b.check(respond(200))
	b.serve(upgrading(after(2*time.Millisecond, 5*time.Millisecond, respond(200))))
}
