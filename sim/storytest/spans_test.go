package storytest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go-loadbalancer/lb/event"
)

// spansAgree holds what came to the receiver against the truth and against the log: one
// span for each sampled request, below it one for each of its tries.
func (w *truth) spansAgree(lines map[string]string) map[string][]span {
	t := w.shop.t
	t.Helper()
	servers, below := map[string]span{}, map[string]span{}
	byRequest := map[string][]span{}
	for _, s := range w.shop.receiver.all() {
		id := s.is["lb.request_id"]
		byRequest[id] = append(byRequest[id], s)
		if !s.server {
			below[s.id] = s
		} else if _, twice := servers[id]; twice {
			t.Errorf("request %s has two server spans", id)
		} else {
			servers[id] = s
		}
	}
	for i := range w.asked {
		a := &w.asked[i]
		if !a.sampled {
			if n := len(byRequest[a.id]); n > 0 {
				t.Errorf("request %s is not sampled, and has %d spans", a.id, n)
			}
			continue
		}
		tries := w.tries[a.id]
		s, ok := servers[a.id]
		if !ok || len(byRequest[a.id]) != 1+len(tries) {
			t.Errorf("request %s, %d tries, has %d spans", a.id, len(tries), len(byRequest[a.id]))
			continue
		}
		last := tries[len(tries)-1]
		says := func(s span, want map[string]string) {
			t.Helper()
			for name, value := range want {
				if s.is[name] != value {
					t.Errorf("a span of request %s says %s %q; it was %q: %v", a.id, name, s.is[name], value, s.is)
				}
			}
		}
		says(s, map[string]string{
			"http.request.method": a.method, "url.path": a.path, "http.response.status_code": fmt.Sprint(a.status), "http.route": "/" + a.route() + "/*",
			"lb.route": a.route(), "lb.pool": "cart", "lb.upstream": last.address, "lb.attempts": fmt.Sprint(len(tries)),
			"lb.response_flags": strings.Join(w.flags(a), ","), "lb.session.use": w.use(a),
		})
		for _, want := range []string{fmt.Sprintf(`"trace_id":%q,"span_id":%q`, s.trace, s.id)} {
			if !strings.Contains(lines[a.id], want) {
				t.Errorf("the log does not have %s of the span: %s", want, lines[a.id])
			}
		}
		if failed := s.Status.GetCode() != 0; failed != (a.status >= 500) {
			t.Errorf("the span of request %s, answered %d, has status %v", a.id, a.status, s.Status)
		}
		if a.trace != "" && s.parent != "00f067aa0ba902b7" || a.trace == "" && s.parent != "" {
			t.Errorf("the span of request %s, part of trace %q, has parent %q", a.id, a.trace, s.parent)
		}
		for n, one := range tries {
			// The server was told which span it is for.
			p := strings.Split(one.Traceparent, "-")
			c, ok := below[p[2]]
			if !ok || c.parent != s.id || c.trace != s.trace {
				t.Errorf("try %d of request %s, of which the server was told %s, has no span below that of the request", n+1, a.id, one.Traceparent)
				continue
			}
			host, port, _ := net.SplitHostPort(one.address)
			want := map[string]string{
				"server.address": host, "server.port": port, "url.full": "http://" + one.address + a.path, "lb.pool": "cart",
				"lb.attempt.result": string(one.result()), "lb.request_id": a.id, "http.request.resend_count": "", "lb.attempt.resend": string(one.resend),
			}
			if n > 0 {
				want["http.request.resend_count"] = fmt.Sprint(n)
			}
			if one.Status != 0 {
				want["http.response.status_code"] = fmt.Sprint(one.Status)
			}
			begins, ends := time.Unix(0, int64(c.StartTimeUnixNano)), time.Unix(0, int64(c.EndTimeUnixNano))
			want["lb.breaker.verdict"] = "success"
			if one.result() != event.OK {
				want["lb.breaker.verdict"] = "failure"
			}
			// Nothing begins at an open breaker; what begins at a half-open one is a probe.
			if state := c.is["lb.breaker.state"]; state == "open" || !slices.Contains(w.states(one.server, begins), state) {
				t.Errorf("try %d of request %s at %s began at %v, and its span says that the breaker was %s", n+1, a.id, one.address, begins, state)
			}
			says(c, want)
			if begins.After(one.Start) || ends.Before(begins) || begins.Before(time.Unix(0, int64(s.StartTimeUnixNano))) || ends.After(time.Unix(0, int64(s.EndTimeUnixNano))) {
				t.Errorf("the spans of try %d of request %s are not one within the other: %v to %v, in %v to %v; it came to the server at %v", n+1, a.id, begins, ends,
					time.Unix(0, int64(s.StartTimeUnixNano)), time.Unix(0, int64(s.EndTimeUnixNano)), one.Start)
			}
		}
	}
	return byRequest
}

// around is how far apart two clocks of one machine may be read for the same thing.
const around = 500 * time.Millisecond

// states are what a server's breaker was around an instant, by the script's changes.
func (w *truth) states(s *server, at time.Time) []string {
	states := []string{string(event.BreakerClosed)}
	for _, e := range w.changes {
		switch {
		case e.Address != s.address:
		case e.At.Before(at.Add(-around)):
			states = []string{string(e.To)}
		case e.At.Before(at.Add(around)):
			states = append(states, string(e.To))
		}
	}
	return states
}
