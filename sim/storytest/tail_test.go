package storytest

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// tail listens to /api/v1/tail until the balancer ends.
type tail struct {
	requests, attempts []told
	breakers           []told
	running            sync.WaitGroup
}

// told is what is told of one thing.
type told struct {
	ID, Request, Route, Pool, Endpoint, Flags, Session, Result string
	From, To, Reason, Resend                                   string
	At                                                         time.Time
	Status, Attempts, Number                                   int
	Probe                                                      bool
}

// listen begins to; nothing that happens after it returns is missed.
func (s *shop) listen(t *testing.T) *tail {
	ctx, cancel := context.WithCancel(context.Background())
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+"/api/v1/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	resp, err := transport.RoundTrip(q)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	l := new(tail)
	l.running.Go(func() {
		defer resp.Body.Close()
		kind := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			if name == "event" {
				kind = value
			}
			if name != "data" {
				continue
			}
			var one told
			if err := json.Unmarshal([]byte(value), &one); err != nil {
				t.Errorf("/api/v1/tail: %v: %s", err, value)
			}
			switch kind {
			case "request":
				l.requests = append(l.requests, one)
			case "attempt":
				l.attempts = append(l.attempts, one)
			case "breaker":
				l.breakers = append(l.breakers, one)
			case "missed":
				t.Errorf("/api/v1/tail missed something: %s", value)
			}
		}
	})
	t.Cleanup(func() { cancel(); l.running.Wait() })
	return l
}

// tailAgrees holds what was told while it happened against the truth; the balancer has ended.
func (w *truth) tailAgrees(l *tail) {
	t := w.shop.t
	t.Helper()
	l.running.Wait()
	requests, attempts := map[string]told{}, map[string][]told{}
	for _, one := range l.requests {
		requests[one.ID] = one
	}
	for _, one := range l.attempts {
		attempts[one.Request] = append(attempts[one.Request], one)
	}
	if len(requests) != len(w.asked) || len(l.requests) != len(w.asked) {
		t.Errorf("/api/v1/tail told of %d requests, %d were made", len(l.requests), len(w.asked))
	}
	probes := 0
	for i := range w.asked {
		a := &w.asked[i]
		tries := w.tries[a.id]
		last := tries[len(tries)-1]
		if r := requests[a.id]; r.Route != a.route() || r.Pool != "cart" || r.Endpoint != last.address || r.Status != a.status || r.Attempts != len(tries) ||
			r.Flags != strings.Join(w.flags(a), ",") || r.Session != w.use(a) {
			t.Errorf("/api/v1/tail told of request %s %+v; it was %+v", a.id, r, a)
		}
		if len(attempts[a.id]) != len(tries) {
			t.Errorf("/api/v1/tail told of %d attempts of request %s; there were %d", len(attempts[a.id]), a.id, len(tries))
			continue
		}
		for n, one := range attempts[a.id] {
			if one.Endpoint != tries[n].address || one.Number != n+1 || one.Status != tries[n].Status || one.Result != string(tries[n].result()) || one.Resend != string(tries[n].resend) {
				t.Errorf("/api/v1/tail told of try %d of request %s %+v; it came to %s and was answered %d", n+1, a.id, one, tries[n].address, tries[n].Status)
			}
			if one.Probe {
				probes++
			}
		}
	}
	half := 0
	for i, e := range w.changes {
		if e.To == event.BreakerHalfOpen {
			half++
		}
		if i >= len(l.breakers) {
			t.Errorf("/api/v1/tail told of %d changes of breakers, there were %d", len(l.breakers), len(w.changes))
			break
		}
		if b := l.breakers[i]; b.Endpoint != e.Address || b.Pool != "cart" || b.From != string(e.From) || b.To != string(e.To) || b.Reason != e.Reason || !b.At.Equal(e.At) {
			t.Errorf("/api/v1/tail told of %+v; it was %+v", b, e)
		}
	}
	if probes != half {
		t.Errorf("/api/v1/tail told of %d probes; each of %d half-open times has one", probes, half)
	}
}
