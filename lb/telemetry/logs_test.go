package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

func TestNewLogger(t *testing.T) {
	for format, want := range map[string]string{
		"json": `"level":"INFO","msg":"hello","took":"1.5s","n":1}`,
		"text": `level=INFO msg=hello took=1.5s n=1`,
	} {
		var out bytes.Buffer
		l, err := telemetry.NewLogger(&out, format)
		if err != nil {
			t.Fatal(err)
		}
		l.Info("hello", "took", 1500*time.Millisecond, "n", 1)
		if !strings.HasSuffix(out.String(), want+"\n") {
			t.Errorf("%s: %s", format, &out)
		}
	}
	if _, err := telemetry.NewLogger(nil, "xml"); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("xml: %v", err)
	}
}

func TestChangeLog(t *testing.T) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "text")
	if err != nil {
		t.Fatal(err)
	}
	l := telemetry.NewChangeLog(logger)
	e := l.Events()
	l.Start()
	e.BreakerChanged(event.BreakerChange{PoolName: "cart", Address: "a:1", From: event.BreakerClosed, To: event.BreakerOpen, Reason: "failure_percent"})
	e.BreakerChanged(event.BreakerChange{PoolName: "cart", Address: "a:1", From: event.BreakerOpen, To: event.BreakerHalfOpen, Reason: "open_elapsed"})
	e.HealthChanged(event.HealthChange{PoolName: "cart", Address: "a:2", Healthy: false, Reason: "timeout", Held: time.Minute})
	e.HealthChanged(event.HealthChange{PoolName: "cart", Address: "a:2", Healthy: true})
	e.HealthChanged(event.HealthChange{PoolName: "cart", Address: "a:2", Reason: "timeout", Held: time.Minute})
	e.PanicChanged(event.PanicChange{PoolName: "cart", Panic: true, Healthy: 1, Total: 3})
	e.PanicChanged(event.PanicChange{PoolName: "cart", Healthy: 2, Total: 3})
	e.SessionStoreChanged(event.SessionStoreChange{Away: true, Err: errors.New("connection refused\n")})
	e.SessionStoreChanged(event.SessionStoreChange{})
	if e.SessionMoved != nil || e.SessionRefused != nil || e.SessionStoreAsked != nil {
		t.Error("moves, refusals and operations are counted, not logged: a client could fill the log")
	}
	l.Close()
	var got []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, " ") // without the time
		line, _, _ = strings.Cut(line, " at=")
		got = append(got, line)
	}
	want := []string{
		`level=WARN msg="circuit breaker open" pool=cart endpoint=a:1 from=closed reason=failure_percent`,
		`level=INFO msg="circuit breaker half-open" pool=cart endpoint=a:1 from=open reason=open_elapsed`,
		`level=WARN msg="endpoint unhealthy" pool=cart endpoint=a:2 reason=timeout held=1m0s`,
		`level=INFO msg="endpoint healthy" pool=cart endpoint=a:2 reason=""`,
		`level=WARN msg="endpoint unhealthy" pool=cart endpoint=a:2 reason=timeout held=1m0s`,
		`level=WARN msg="panic: so few endpoints are healthy that health is ignored" pool=cart healthy=1 of=3`,
		`level=INFO msg="panic is over" pool=cart healthy=2 of=3`,
		`level=WARN msg="session store away: given up until it answers again" error="connection refused\n"`,
		`level=INFO msg="session store is back"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestChangeLogNeverBlocks(t *testing.T) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "text")
	if err != nil {
		t.Fatal(err)
	}
	l := telemetry.NewChangeLog(logger)
	for range 1000 { // nobody logs yet
		l.Events().BreakerChanged(event.BreakerChange{From: event.BreakerClosed, To: event.BreakerOpen})
	}
	l.Start()
	l.Close()
	if n := strings.Count(out.String(), "circuit breaker open"); n != 256 {
		t.Errorf("%d were logged, want the 256 that fit", n)
	}
	if !strings.Contains(out.String(), "missed=744") {
		t.Error("it does not say how many are missing")
	}
}
