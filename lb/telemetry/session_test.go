package telemetry_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// What the store is asked for, whether it is asked, and tickets that are refused are
// counted with or without a policy, every series from the beginning.
func TestMetricsOfTheSessionStore(t *testing.T) {
	m, e := newMetrics()
	expected := func(operations, refusals map[string]int, took, up int) string {
		want := fmt.Sprintf("lb_session_store_operation_duration_seconds{} %d\nlb_session_store_up{} %d\n", took, up)
		for _, op := range []string{"find", "bind", "rebind", "touch", "agree"} {
			for _, result := range []string{"ok", "error", "timeout", "unreadable", "busy"} {
				want += fmt.Sprintf("lb_session_store_operations_total{op=%s,result=%s} %d\n", op, result, operations[op+" "+result])
			}
		}
		for _, reason := range []string{"length", "malformed", "version", "key", "forged", "duplicate", "expired", "unreadable"} {
			want += fmt.Sprintf("lb_session_tickets_refused_total{reason=%s} %d\n", reason, refusals[reason])
		}
		return want
	}
	expect(t, series(t, m, "lb_session"), expected(nil, nil, 0, 1))

	for _, asked := range []event.SessionAsked{
		{Operation: event.SessionFind, Result: event.SessionOK, Took: 300 * time.Microsecond},
		{Operation: event.SessionFind, Result: event.SessionOK, Took: 5 * time.Millisecond},
		{Operation: event.SessionFind, Result: event.SessionTimeout, Took: 20 * time.Second},
		{Operation: event.SessionTouch, Result: event.SessionBusy}, // left out: it took no time
		{Operation: event.SessionAgree, Result: event.SessionUnreadable},
		{Operation: "flush", Result: event.SessionOK},
		{Operation: event.SessionFind, Result: "fine"},
	} {
		e.SessionStoreAsked(asked)
	}
	for _, reason := range []string{"forged", "forged", "expired", "other"} {
		e.SessionRefused(reason)
	}
	e.SessionStoreChanged(event.SessionStoreChange{Away: true})
	operations := map[string]int{"find ok": 2, "find timeout": 1, "touch busy": 1, "agree unreadable": 1}
	refusals := map[string]int{"forged": 2, "expired": 1}
	expect(t, series(t, m, "lb_session"), expected(operations, refusals, 4, 0))
	e.SessionStoreChanged(event.SessionStoreChange{})
	expect(t, series(t, m, "lb_session"), expected(operations, refusals, 4, 1))
}

// The buckets tell a store close by from one far off.
func TestSessionStoreBuckets(t *testing.T) {
	m, e := newMetrics()
	e.SessionStoreAsked(event.SessionAsked{Operation: event.SessionFind, Result: event.SessionOK, Took: 100 * time.Microsecond})
	e.SessionStoreAsked(event.SessionAsked{Operation: event.SessionFind, Result: event.SessionOK, Took: time.Second})
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "lb_session_store_operation_duration_seconds" {
			continue
		}
		buckets := f.GetMetric()[0].GetHistogram().GetBucket()
		first, last := buckets[0], buckets[len(buckets)-1]
		if first.GetUpperBound() != .0001 || first.GetCumulativeCount() != 1 || last.GetUpperBound() != 1 || last.GetCumulativeCount() != 2 {
			t.Errorf("%v", buckets)
		}
		return
	}
	t.Error("there is no histogram")
}

// A pool has series of its sessions from the first one on, all of them at once; a pool
// that keeps none has none, and neither has one that is gone.
func TestMetricsOfPoolsSessions(t *testing.T) {
	m, e := newMetrics()
	c := shop()
	c.Pools = append(c.Pools, event.Named{ID: 1, Name: "static"}, event.Named{ID: 2, Name: "next"})
	serve(e, c)
	all := func() string { return series(t, m, "lb_session_requests", "lb_sessions") }
	end := func(pool event.ID, use event.SessionUse) {
		e.RequestRouted(0)
		e.RequestEnded(&event.Request{Route: 0, Pool: pool, Status: 200, Session: use})
	}
	end(0, event.NoSession)
	end(1, event.NoSession)
	expect(t, all(), "")

	const moves = `
		lb_sessions_moved_total{pool=cart,reason=drained} 0
		lb_sessions_moved_total{pool=cart,reason=gone} 0
		lb_sessions_moved_total{pool=cart,reason=store} 0
		lb_sessions_moved_total{pool=cart,reason=unavailable} 0
		lb_sessions_moved_total{pool=cart,reason=weight} 0`
	end(0, event.SessionHome)
	expect(t, all(), `
		lb_session_requests_total{pool=cart,use=away} 0
		lb_session_requests_total{pool=cart,use=home} 1
		lb_session_requests_total{pool=cart,use=moved} 0
		lb_session_requests_total{pool=cart,use=new} 0`+moves)

	end(0, event.SessionNew)
	end(0, event.SessionNew)
	end(0, event.SessionAway)
	end(0, event.SessionMoved)
	end(0, event.SessionUses)
	end(event.None, event.SessionNew)
	end(9, event.SessionNew)
	e.SessionMoved(event.SessionMove{Pool: 2, Reason: event.MovedByWeight})
	e.SessionMoved(event.SessionMove{Pool: 2, Reason: event.MovedGone})
	e.SessionMoved(event.SessionMove{Pool: 2, Reason: event.MovedGone})
	e.SessionMoved(event.SessionMove{Pool: 2, Reason: "whim"})
	e.SessionMoved(event.SessionMove{Pool: 9, Reason: event.MovedGone})
	e.SessionMoved(event.SessionMove{Pool: event.None, Reason: event.MovedGone})
	next := `
		lb_session_requests_total{pool=next,use=away} 0
		lb_session_requests_total{pool=next,use=home} 0
		lb_session_requests_total{pool=next,use=moved} 0
		lb_session_requests_total{pool=next,use=new} 0
		lb_sessions_moved_total{pool=next,reason=drained} 0
		lb_sessions_moved_total{pool=next,reason=gone} 2
		lb_sessions_moved_total{pool=next,reason=store} 0
		lb_sessions_moved_total{pool=next,reason=unavailable} 0
		lb_sessions_moved_total{pool=next,reason=weight} 1`
	cart := `
		lb_session_requests_total{pool=cart,use=away} 1
		lb_session_requests_total{pool=cart,use=home} 1
		lb_session_requests_total{pool=cart,use=moved} 1
		lb_session_requests_total{pool=cart,use=new} 2` + moves
	expect(t, all(), cart+next)

	e.PolicyPrepared(shop()) // without next
	e.PolicyRejected(&event.Rejection{})
	expect(t, all(), cart+next)
	serve(e, shop())
	end(2, event.SessionNew)
	e.SessionMoved(event.SessionMove{Pool: 2, Reason: event.MovedGone})
	expect(t, all(), cart)
}

// However many pools there are, and whatever clients claim, only pools with sessions
// have series of them.
func TestCardinalityOfSessions(t *testing.T) {
	m, e := newMetrics()
	c := shop()
	for i := range 1000 {
		c.Pools = append(c.Pools, event.Named{ID: event.ID(1 + i), Name: fmt.Sprint("pool-", i)})
	}
	serve(e, c)
	count := func() int { return strings.Count(series(t, m, "lb_session"), "\n") }
	before := count()
	for i := range 1000 {
		e.SessionRefused(fmt.Sprint("reason ", i))
	}
	for pool := range event.ID(3) {
		e.RequestRouted(0)
		e.RequestEnded(&event.Request{Pool: pool, Status: 200, Session: event.SessionNew})
	}
	each := int(event.SessionUses) - 1 + len(event.MoveReasons)
	if got := count() - before; got != 3*each {
		t.Errorf("%d series more, want %d for each of three pools", got, each)
	}
}

// TestSessionsAreDocumented: docs/telemetry.md names every value of the labels.
func TestSessionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	var uses []string
	for use := event.SessionNew; use < event.SessionUses; use++ {
		uses = append(uses, use.String())
	}
	for metric, values := range map[string][]string{
		"lb_session_requests_total":         uses,
		"lb_sessions_moved_total":           texts(event.MoveReasons),
		"lb_session_tickets_refused_total":  event.SessionRefusals,
		"lb_session_store_operations_total": append(texts(event.SessionOperations), texts(event.SessionResults)...),
	} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| `"+metric+"` |") })
		if i < 0 {
			t.Errorf("%s has no row", metric)
			continue
		}
		for _, value := range values {
			if !strings.Contains(lines[i], "`"+value+"`") {
				t.Errorf("%s does not say what %q is: %s", metric, value, lines[i])
			}
		}
	}
}

func texts[S ~string](all []S) (out []string) {
	for _, s := range all {
		out = append(out, string(s))
	}
	return out
}
