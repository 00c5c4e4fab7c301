package storytest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/browsertest"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/explain"
)

// TestStory plays an incident by a script, and holds all that the balancer tells of it
// against what came to pass.
func TestStory(t *testing.T) {
	s := newShop(t)
	tail := s.listen(t)
	c := newClients(t, s.traffic)
	c.settle(s.servers)
	broken := s.servers[1]
	q := newQuotes(s)
	q.add("policy", s.policy)
	p := openPage(t, s.admin, "cart/2", q.zone())
	watch := watchClock(t)
	c.start()
	if *update {
		time.Sleep(time.Minute) // a picture without a past says little
	}

	// It fails, and its health check does not notice. Who is at home there, and buys, is told:
	// the first of all, so that the breaker is closed yet.
	customer := c.customer(broken)
	c.stop()
	broken.does(`{"respond": {"status": 503}, "health": "pass"}`)
	failed := c.ask("POST", "/checkout", customer)
	if failed.status != 503 || failed.by != broken.address {
		t.Fatalf("who is at home at %s gets %+v", broken.address, failed)
	}
	c.start()
	opened := s.change(broken, event.BreakerOpen, "consecutive_failures")
	p.shows("[CB: OPEN]", 1)
	until := s.isOpen(broken)
	p.AwaitText(".problem .breaker", "[CB: OPEN]")
	p.AwaitText(".problem", "cart/2, "+broken.address+": too many failures in a row")
	p.AwaitText(".problem", "The 2 of 3 endpoints that are left take its requests.")
	p.AwaitText(".problem .until", "next probe in ")
	p.AwaitText(".vitals", "2 of 3")
	p.AwaitText("#condition", "DEGRADED")
	q.picture(p, "incident-1-open.png")
	q.page("open", p, ".problem:has(.breaker:not([hidden]))", "\n")
	q.alert("alert", "LoadBalancerBreakerOpen", map[string]string{"endpoint": broken.address, "pool": "cart"})
	q.grep("metric", "/metrics", `state="closed"} 0`)
	q.command("explain", "explain", "--admin", s.admin, "POST", "http://shop.example.com/checkout")
	q.answer("server", broken, "POST", "/checkout")

	// The first probe is held until the page has shown it, and then fails.
	s.until("what was under way there has ended", func() bool { return s.status(broken).InFlight == 0 })
	calm := time.Now()
	broken.does(`{"hang": true, "health": "pass"}`)
	half := s.change(broken, event.BreakerHalfOpen, "open_elapsed")
	p.shows("[CB: HALF-OPEN]", 1)
	p.AwaitText(".problem", "Probes decide whether it closes.")
	q.picture(p, "incident-2-half-open.png")
	if n := s.metrics()[fmt.Sprintf(`lb_circuit_breaker_state{endpoint=%q,pool="cart",state="closed"}`, broken.address)]; n != 0 {
		t.Error("the alert's series says that it is back, while it is half-open")
	}
	q.page("half-open", p, ".problem:has(.breaker:not([hidden]))", "\n")
	broken.does(`{"respond": {"status": 503}, "health": "pass"}`)
	again := s.change(broken, event.BreakerOpen, "probe_failed")
	p.shows("[CB: OPEN]", 2)
	p.AwaitText(".problem", "It has opened 2 times")
	untilAgain := s.isOpen(broken)

	// The second one takes its time, and goes well.
	broken.does(`{"latency": "3s", "health": "pass"}`)
	half2 := s.change(broken, event.BreakerHalfOpen, "open_elapsed")
	closed := s.change(broken, event.BreakerClosed, "probes_succeeded")
	broken.does("")
	p.shows("[CB: CLOSED]", 2)
	p.AwaitText(".fine", "Nothing is wrong.")
	p.AwaitText(".vitals", "3 of 3")
	p.AwaitText("#condition", "OK")
	q.picture(p, "incident-3-closed.png")
	if d := s.explain("POST", "/checkout"); !candidate(t, d, "cart/2").Eligible || d.Pools[0].Refusal != "" {
		t.Errorf("after all it is said to be not eligible: %+v", d.Pools)
	}
	came := broken.backend.Requests()
	s.until("it serves again", func() bool { return broken.backend.Requests() > came+10 })
	changes := append([]event.BreakerChange{opened, half, again, half2, closed}, s.seenInTime(p, watch, broken, opened, again)...)
	c.stop()

	w := newTruth(s, c, changes...)
	w.probesOnly(broken, calm, closed.At, until)
	w.metricsAgree()
	w.totalsAgree()
	example := w.pageAgrees(p, broken, until, untilAgain)
	q.page("over", p, ".main .timeline li", "  ")
	var policy balancer.Status
	s.decode("/api/v1/status", &policy)
	if complaints, asked := p.Heard(); len(complaints) > 0 || slices.ContainsFunc(asked, func(u string) bool { return !strings.HasPrefix(u, s.admin+"/") }) {
		t.Errorf("the browser complains %q, and asked for %q", complaints, asked)
	}
	s.stop()
	lines := w.logAgrees(policy.Policy.Hash)
	w.ownLogAgrees()
	w.headersAgree()
	spans := w.spansAgree(lines)
	w.tailAgrees(tail)

	q.add("line", lines[example])
	q.trace("trace", spans[example])
	q.check(t)
}

// status is an endpoint's.
func (s *shop) status(of *server) balancer.EndpointStatus {
	s.t.Helper()
	var got balancer.Status
	s.decode("/api/v1/status", &got)
	for _, e := range got.Pools[0].Endpoints {
		if e.Address == of.address {
			return e
		}
	}
	s.t.Fatalf("there is no %s in /api/v1/status", of.address)
	panic("not reached")
}

// isOpen sees that status and explanation agree that a server's breaker is open and until
// when, and that the choice is another one.
func (s *shop) isOpen(broken *server) (until time.Time) {
	s.t.Helper()
	e := s.status(broken)
	if e.Breaker.State != "open" || e.Breaker.OpenUntil == nil || e.Eligible || !e.Healthy || !strings.HasPrefix(e.Why, "breaker open until ") {
		s.t.Fatalf("/api/v1/status says of it %+v", e)
	}
	if h := s.health(); h.Condition != admin.Degraded || !slices.Equal(h.Why, []string{"pool cart: 2 of 3 endpoints are eligible"}) {
		s.t.Errorf("/metrics says as JSON that it is %s: %q", h.Condition, h.Why)
	}
	for _, method := range []string{"GET /cart/1", "POST /checkout"} {
		method, path, _ := strings.Cut(method, " ")
		d := s.explain(method, path)
		if d.Route == nil || d.Outcome != explain.Forward || !d.Policy.Live || d.Choice == nil {
			s.t.Fatalf("of %s %s is explained: %+v", method, path, d)
		}
		one := candidate(s.t, d, e.ID)
		if want := "breaker open until " + e.Breaker.OpenUntil.UTC().Format(time.RFC3339); one.Eligible || one.Probability != 0 || one.Why != want || e.Why != want {
			s.t.Errorf("explained: %+v; status: %q; it is open until %v", one, e.Why, e.Breaker.OpenUntil)
		}
		sum := 0.0
		for _, other := range d.Pools[0].Candidates {
			sum += other.Probability
			if other.Endpoint == d.Choice.Endpoint && (!other.Eligible || other.Address != d.Choice.Address || other.Probability == 0) {
				s.t.Errorf("the choice, %+v, is not one of the eligible: %+v", d.Choice, d.Pools[0].Candidates)
			}
		}
		if d.Choice.Endpoint == e.ID || sum < 0.999 || sum > 1.001 {
			s.t.Errorf("the choice is %+v of %+v", d.Choice, d.Pools[0].Candidates)
		}
	}
	return *e.Breaker.OpenUntil
}

func (s *shop) explain(method, path string) *explain.Decision {
	s.t.Helper()
	var d explain.Decision
	s.decode("/api/v1/explain?"+url.Values{"method": {method}, "url": {"http://shop.example.com" + path}}.Encode(), &d)
	return &d
}

func candidate(t *testing.T, d *explain.Decision, id string) explain.Candidate {
	t.Helper()
	for _, p := range d.Pools {
		for _, one := range p.Candidates {
			if one.Endpoint == id {
				return one
			}
		}
	}
	t.Fatalf("of %s nothing is explained: %+v", id, d.Pools)
	panic("not reached")
}

// probesOnly sees that what came to the server meanwhile are two probes, not before the
// first may be.
func (w *truth) probesOnly(broken *server, from, to, until time.Time) {
	t := w.shop.t
	t.Helper()
	var probes []time.Time
	for _, tries := range w.tries {
		for _, one := range tries {
			if one.server == broken && one.Start.After(from) && one.Start.Before(to) {
				probes = append(probes, one.Start)
			}
		}
	}
	slices.SortFunc(probes, time.Time.Compare)
	if len(probes) != 2 || probes[0].Before(until.Add(-time.Millisecond)) {
		t.Errorf("while its breaker was not closed, %v came to it; the first probe was due at %v", probes, until)
	}
}

// pageAgrees sees what the page has shown all along, and what it says in the end. It returns
// the id of a request that failed, as the page has it for those who look for its line.
func (w *truth) pageAgrees(p *page, broken *server, until ...time.Time) (example string) {
	t := w.shop.t
	t.Helper()
	// The second half-open time may be too short for a slow machine to show.
	var seen []string
	for _, m := range p.markers() {
		if seen = append(seen, m.Text); len(seen) > 3 && m.Text == "[CB: CLOSED]" {
			break
		}
	}
	want := []string{"[CB: CLOSED]", "[CB: OPEN]", "[CB: HALF-OPEN]", "[CB: OPEN]", "[CB: HALF-OPEN]", "[CB: CLOSED]"}
	if !slices.Equal(seen, want) && !slices.Equal(seen, slices.Delete(slices.Clone(want), 4, 5)) {
		t.Errorf("the page has shown %q", seen)
	}

	// The timeline has every change, at the breaker's own time.
	var entries []happened
	for _, e := range w.changes {
		text := map[string]string{
			"consecutive_failures": "open: too many failures in a row", "open_elapsed": "half-open: probes are let through",
			"probe_failed": "open: its probe failed", "probes_succeeded": "closed: its probes succeeded",
		}[e.Reason]
		entries = append(entries, happened{e.At.Round(0).UTC().Format(time.RFC3339Nano), text})
	}
	if diff := cmp.Diff(entries, p.timeline(broken.address)); diff != "" {
		t.Errorf("the page's timeline is not what happened (-want +got):\n%s", diff)
	}

	// The countdown goes down, to when the status says that the breaker is open until.
	type second struct {
		Text  string
		Until int64
	}
	last := second{}
	left := 0
	var ends []int64
	for _, c := range browsertest.Eval[[]second](p.Browser, "window.seen.countdown") {
		n := 0
		if _, err := fmt.Sscanf(c.Text, "next probe in %d s", &n); err != nil && c.Text != "probe due" {
			t.Errorf("the countdown says %q", c.Text)
		}
		most := 11 // 10 s and a tenth of it
		if c.Until == last.Until {
			most = left - 1
		} else if last.Until != 0 {
			most = 22
		}
		if n > most || c.Until < last.Until {
			t.Errorf("the countdown says %q after %q", c.Text, last.Text)
		}
		if c.Until != last.Until {
			ends = append(ends, c.Until)
		}
		last, left = c, n
	}
	for i, end := range until {
		if i >= len(ends) || ends[i] != end.UnixMilli() {
			t.Errorf("the page counted down to %v; the breaker was open until %v", ends, until)
			break
		}
	}

	// Its numbers, once the last five seconds are over.
	all, failed := w.at(broken)
	browsertest.Eval[bool](p.Browser, fmt.Sprintf(`(location.hash = "#/endpoint/cart/%s") !== null`, broken.address))
	p.AwaitText("h2.title", "Endpoint "+broken.address)
	var gotAll, gotFailed int
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if gotAll, gotFailed = p.charted(); gotAll == all && gotFailed == failed {
			break
		}
	}
	if gotAll != all || gotFailed != failed {
		t.Errorf("the page's chart of %s sums up to %d attempts, %d failed; %d came there, %d failed", broken.address, gotAll, gotFailed, all, failed)
	}
	browsertest.Eval[bool](p.Browser, `(location.hash = "#/") !== null`)
	p.AwaitText("#board", "All traffic")

	// Its examples are requests that failed.
	failures := map[string]bool{}
	for _, a := range w.asked {
		failures[a.id] = a.status >= 500
	}
	examples := browsertest.Eval[[]string](p.Browser, `[...document.querySelectorAll(".side .timeline .text")].map((e) => e.textContent)`)
	for _, text := range examples {
		_, id, ok := strings.Cut(text, ", id ")
		if !ok || !failures[id] {
			t.Errorf("an example is %q, and no client knows of that failure", text)
		}
		example = id // the oldest
	}
	if example == "" {
		t.Error("there are no examples of requests that failed")
	}
	return example
}
