package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// What happens is streamed as it happens, to the last event before the server closes.
func TestTail(t *testing.T) {
	feed := telemetry.NewFeed()
	l := feed.Events()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := admin.New(admin.Options{
		Address: "any:1", Balancer: &fake{}, Metrics: telemetry.NewMetrics(telemetry.Build{}), Feed: feed,
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil },
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.HealthChanged(event.HealthChange{PoolName: "cart", Address: "10.0.0.1:80", Reason: "before"})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + ln.Addr().String() + "/api/v1/tail")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("%s, %s", resp.Status, kind)
	}
	in := bufio.NewReader(resp.Body)
	next := func() string {
		t.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				return data
			}
		}
	}
	if got := next(); !strings.Contains(got, "before") {
		t.Errorf("the first is %s", got)
	}
	l.RequestEnded(&event.Request{RequestID: []byte("r1"), Status: 200})
	if got := next(); !strings.Contains(got, `"id":"r1"`) {
		t.Errorf("then came %s", got)
	}
	l.BreakerChanged(event.BreakerChange{PoolName: "cart", To: event.BreakerOpen})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("a stream kept the server from closing: %v", err)
	}
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), "event: breaker\ndata: {") {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

// Too many streams are refused, and where there is no feed there is no such page.
func TestTailRefused(t *testing.T) {
	feed := telemetry.NewFeed()
	for range telemetry.MostSubscribers {
		s, err := feed.Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	c := serve(t, &fake{}, func(o *admin.Options) { o.Feed = feed })
	if got := c.do("GET", "/api/v1/tail"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	if got := serve(t, &fake{}, nil).do("GET", "/api/v1/tail"); got.status != http.StatusNotFound {
		t.Errorf("%+v", got)
	}
}

// Who asks for the head of the stream alone takes no place of others.
func TestTailOfHeads(t *testing.T) {
	c := serve(t, &fake{}, func(o *admin.Options) { o.Feed = telemetry.NewFeed() })
	for n := range telemetry.MostSubscribers + 1 {
		if got := c.do("HEAD", "/api/v1/tail"); got.status != http.StatusOK || got.header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d: %+v", n, got)
		}
	}
}
