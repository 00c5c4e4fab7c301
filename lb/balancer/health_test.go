package balancer_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
)

// well is a backend that can be told how its check goes, and says its name to
// everybody else.
func well(t *testing.T, name string) (addr string, is *atomic.Bool) {
	is = new(atomic.Bool)
	is.Store(true)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			fmt.Fprint(w, name)
		} else if !is.Load() {
			w.WriteHeader(500)
		}
	}), is
}

// turned waits for the n-th change of health, counted from 1.
func (l *lb) turned(n int, healthy bool) {
	l.t.Helper()
	l.until(fmt.Sprintf("change of health %d", n), func() bool { return len(l.health) >= n })
	if l.health[n-1].Healthy != healthy {
		l.t.Fatalf("change of health %d: %+v", n, l.health[n-1])
	}
}

// names asks 20 times and says who answered how often, or what the status was.
func (l *lb) names() map[string]int {
	l.t.Helper()
	got := map[string]int{}
	c := l.dial()
	defer c.Close()
	for range 20 {
		c.send(get)
		r, body := c.response("GET")
		if r.StatusCode != 200 {
			body = strconv.Itoa(r.StatusCode)
		}
		got[body]++
	}
	return got
}

// TestActiveChecks: what fails its checks has no traffic, what passes them has it
// again, and a reload changes that only by removing the checks.
func TestActiveChecks(t *testing.T) {
	a, aIsWell := well(t, "a")
	b, _ := well(t, "b")
	// The timeout is long, lest a busy machine fails a check: the interval is what
	// the test waits for.
	const checks = "healthCheck: {active: {interval: 1s, timeout: 1s, healthyThreshold: 1, unhealthyThreshold: 1}, panicThreshold: 0}"
	s := setup{endpoints: []string{a, b}, balance: "type: RoundRobin", pool: checks}
	l := start(t, s)
	if got := l.names(); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("%v", got)
	}
	aIsWell.Store(false)
	l.turned(1, false)
	if got := l.names(); got["b"] != 20 {
		t.Errorf("unhealthy: %v", got)
	}
	first := l.Status().Pools[0].Endpoints[0]
	if c := first.Check; first.Healthy || first.Eligible || c.State != "failing" || c.LastError != "status 500, expected [200]" || c.LastAt == nil ||
		first.Why != "unhealthy: "+c.LastError {
		t.Errorf("%+v", first)
	}

	another := s
	another.spec = "accessLog: {sample: 0.5}"
	l.source.set(another.text())
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r.Err)
	}
	if got := l.names(); got["b"] != 20 {
		t.Errorf("after a reload: %v", got)
	}
	aIsWell.Store(true)
	l.turned(2, true)
	if got := l.names(); got["a"] != 10 {
		t.Errorf("recovered: %v", got)
	}
	if c := l.Status().Pools[0].Endpoints[0].Check; c.State != "passing" || c.LastError != "" || c.HeldUntil != nil {
		t.Errorf("%+v", c)
	}

	aIsWell.Store(false)
	l.turned(3, false)
	s.pool = "healthCheck: {panicThreshold: 0}"
	l.source.set(s.text())
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r.Err)
	}
	l.turned(4, true)
	if got := l.names(); got["a"] != 10 {
		t.Errorf("not checked any more: %v", got)
	}
	if e := l.Status().Pools[0].Endpoints[0]; e.Check.State != "none" || !e.Healthy {
		t.Errorf("%+v", e)
	}
}

// TestBrokenBodyOfACheck: an answer of 200 whose body breaks off is no pass, and what
// was wrong is told wherever one looks.
func TestBrokenBodyOfACheck(t *testing.T) {
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			fmt.Fprint(w, "a")
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nwell, that is")
	})
	b, _ := well(t, "b")
	l := start(t, setup{endpoints: []string{a, b}, pool: "healthCheck: {active: {interval: 1s, timeout: 1s}, panicThreshold: 0}"})
	l.turned(1, false)
	if got := l.names(); got["b"] != 20 {
		t.Errorf("%v", got)
	}
	const broken = "status 200, and a broken body"
	if e := l.Status().Pools[0].Endpoints[0]; e.Address != l.health[0].Address || !strings.Contains(e.Why, broken) || !strings.Contains(l.health[0].Reason, broken) {
		t.Errorf("%+v; told %+v", e, l.health[0])
	}
}

// TestHeldOut: an endpoint that falls twice is held out, and it shows.
func TestHeldOut(t *testing.T) {
	var n atomic.Int32
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(500)
		}
	})
	l := start(t, setup{endpoints: []string{a}, pool: "healthCheck: {active: {interval: 200ms, healthyThreshold: 1, unhealthyThreshold: 1}, panicThreshold: 0}"})
	l.turned(1, false)
	l.turned(2, true)
	l.turned(3, false)
	e := l.Status().Pools[0].Endpoints[0]
	if e.Check.Falls != 2 || e.Check.HeldUntil == nil || !strings.HasPrefix(e.Why, "unhealthy: held out until 2") || !strings.HasSuffix(e.Why, "Z after 2 falls") {
		t.Errorf("%+v", e)
	}
	if got := l.names(); got["503"] != 20 {
		t.Errorf("%v", got)
	}
}

// TestChecksAreNoTraffic: checks are neither attempts nor connections of the
// pool's, and a breaker that is open does not keep them.
func TestChecksAreNoTraffic(t *testing.T) {
	var dials atomic.Int32
	a, _ := well(t, "a")
	l := start(t, setup{endpoints: []string{a}, pool: "healthCheck: {active: {interval: 20ms, timeout: 20ms}}"}, func(o *balancer.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	within(t, "ten checks", func() {
		for dials.Load() < 10 {
			l.Status()
		}
	})
	e := l.Status().Pools[0].Endpoints[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.attempts) > 0 || e.Breaker.State != "closed" || e.InFlight != 0 {
		t.Errorf("%+v, %d attempts", e, len(l.attempts))
	}
}

// TestPanicMode: where too few endpoints pass their checks they all serve, which requests
// and the status say, but for those whose breaker is open.
func TestPanicMode(t *testing.T) {
	a, aIsWell := well(t, "a")
	b, bIsWell := well(t, "b")
	fails := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	l := start(t, setup{
		endpoints: []string{a, b, fails},
		breaker:   "consecutiveFailures: 1, openDuration: 1h, maxOpenDuration: 1h",
		pool:      "healthCheck: {panicThreshold: 50, active: {interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1, flapDamping: {holdDown: 0s}}}",
	})
	l.until("the one that fails to be out", func() bool { return len(l.health) == 1 })
	if got := l.names(); got["a"]+got["b"] != 20 || l.Status().Pools[0].Panic {
		t.Errorf("two of three are well: %v", got)
	}
	before := l.count()
	aIsWell.Store(false)
	bIsWell.Store(false)
	l.turned(3, false)
	if !l.Status().Pools[0].Panic {
		t.Error("the status says nothing of a panic")
	}
	// One request opens the breaker of the one that fails.
	if got := l.names(); got["a"] == 0 || got["b"] == 0 || got["500"] != 1 {
		t.Errorf("in panic: %v", got)
	}
	l.ended(before + 20)
	for i, e := range l.requests[before:] {
		if e.Flags != event.PanicMode {
			t.Errorf("request %d in panic: %v", i, e.Flags)
		}
	}
	aIsWell.Store(true)
	bIsWell.Store(true)
	l.turned(5, true)
	if l.Status().Pools[0].Panic {
		t.Error("the status says that the panic goes on")
	}
}
