package admin_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// viewer reads /api/v1/events.
type viewer struct {
	t    testing.TB
	body io.ReadCloser
	in   *bufio.Reader
}

func (c *client) view() *viewer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", c.base+"/api/v1/events", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(r) // without a time limit
	if err != nil {
		c.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		c.t.Fatalf("%d %s", resp.StatusCode, got)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	return &viewer{c.t, resp.Body, bufio.NewReader(resp.Body)}
}

// message is what the tests look at of both messages.
type message struct {
	Now       int64
	Condition string
	Policy    *balancer.PolicyStatus
	Problems  []admin.Problem
	Routes    []balancer.RouteStatus
	Pools     json.RawMessage
	Endpoints json.RawMessage
	InFlight  []int64
	Incidents []telemetry.Incident
	History   *struct {
		Total             []any
		Routes, Endpoints [][]any
	}
	Slot *struct {
		Total             any
		Routes, Endpoints []any
	}
}

// next reads a message.
func (v *viewer) next() (name string, m message) {
	v.t.Helper()
	for {
		line, err := v.in.ReadString('\n')
		if err != nil {
			v.t.Fatal(err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &m); err != nil {
				v.t.Fatalf("%v in %s", err, value)
			}
		case "":
			return name, m
		default:
			v.t.Fatalf("line %q", line)
		}
	}
}

// until reads ticks until one is as wanted.
func (v *viewer) until(what string, ok func(name string, m message) bool) message {
	v.t.Helper()
	for range 30 {
		if name, m := v.next(); ok(name, m) {
			return m
		}
	}
	v.t.Fatalf("waited in vain for %s", what)
	panic("unreachable")
}

// lone is a balancer with a route and a pool of one endpoint.
func lone() balancer.Status {
	return balancer.Status{
		Policy: balancer.PolicyStatus{Name: "shop", Version: "1", Hash: "aa"},
		Pools: []balancer.PoolStatus{{Name: "p", Endpoints: []balancer.EndpointStatus{
			{ID: "p/1", Address: "a", Healthy: true, Eligible: true, Breaker: balancer.BreakerStatus{State: "closed"}, Weight: 1},
		}}},
		Routes: []balancer.RouteStatus{{Name: "r", Backends: []balancer.BackendStatus{{Pool: "p", Weight: 1}}}},
	}
}

func (f *fake) change(do func(*balancer.Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.status)
}

func TestStream(t *testing.T) {
	b := &fake{status: lone(), ready: true}
	timeline := telemetry.NewTimeline()
	happens := timeline.Events()
	happens.PolicyRejected(&event.Rejection{At: time.Now(), Reason: "before anybody looked"})
	c := serve(t, b, func(o *admin.Options) { o.Timeline = timeline })
	v := c.view()
	name, m := v.next()
	if name != "state" || m.Condition != "ok" || len(m.Problems) != 0 || m.Policy.Name != "shop" || len(m.Routes) != 1 || len(m.InFlight) != 1 || len(m.Incidents) != 1 {
		t.Fatalf("%s %+v", name, m)
	}
	if h := m.History; len(h.Total) != telemetry.Slots && len(h.Total) != 0 || len(h.Routes) != 1 || len(h.Endpoints) != 1 {
		t.Errorf("history %+v", h)
	}
	name, m = v.next()
	if name != "tick" || m.Policy != nil || m.Endpoints != nil || m.Pools != nil || m.Problems != nil || m.Incidents != nil {
		t.Errorf("a tick in which nothing changed: %s %+v", name, m)
	}
	if len(m.InFlight) != 1 || m.Now == 0 {
		t.Errorf("a tick without what changes all the time: %+v", m)
	}

	// What changes is told, with what it means.
	until := time.Now().Add(5 * time.Second)
	b.change(func(s *balancer.Status) {
		e := balancer.EndpointStatus{ID: "p/1", Address: "a", Healthy: true, Breaker: balancer.BreakerStatus{State: "open", OpenUntil: &until}, Weight: 1, InFlight: 3}
		s.Pools = []balancer.PoolStatus{{Name: "p", Endpoints: []balancer.EndpointStatus{e}}}
	})
	happens.BreakerChanged(event.BreakerChange{PoolName: "p", Address: "a", From: "closed", To: "open", Reason: "consecutive_failures", At: time.Now()})
	m = v.until("the open breaker", func(_ string, m message) bool { return m.Endpoints != nil })
	if !strings.Contains(string(m.Endpoints), `"i":0,"row":{"id":"p/1","address":"a","healthy":true,"check":"","breaker":"open"`) || m.InFlight[0] != 3 || m.Condition != "degraded" {
		t.Errorf("%s %+v", m.Endpoints, m)
	}
	if len(m.Problems) != 1 || m.Problems[0].Breaker != "open" || m.Problems[0].Since == 0 || m.Problems[0].Until != until.UnixMilli() {
		t.Errorf("problems %+v", m.Problems)
	}
	if len(m.Incidents) != 1 || m.Incidents[0].Kind != telemetry.OfBreaker {
		t.Errorf("incidents %+v", m.Incidents)
	}

	// Other endpoints: everybody gets the whole, and only it has the older incidents.
	b.change(func(s *balancer.Status) {
		s.Pools = append(s.Pools, balancer.PoolStatus{Name: "q", Endpoints: []balancer.EndpointStatus{{ID: "q/1", Address: "<script>alert(1)</script>\n\ndata: x", Eligible: true}}})
	})
	m = v.until("the whole", func(name string, _ message) bool { return name == "state" })
	if len(m.InFlight) != 2 || len(m.Incidents) != 2 || strings.Contains(string(m.Endpoints), "<script>") {
		t.Errorf("%+v %s", m, m.Endpoints)
	}
	if name, m = v.next(); name != "tick" || len(m.Incidents) > 0 {
		t.Errorf("after the whole: %s %+v", name, m)
	}
}

// A slot of the history is told of once it is over, and the whole has it too.
func TestStreamTellsSlots(t *testing.T) {
	c := serve(t, &fake{status: lone(), ready: true}, nil)
	v := c.view()
	m := v.until("a slot", func(_ string, m message) bool { return m.Slot != nil })
	if m.Slot.Total == nil || len(m.Slot.Routes) != 1 || len(m.Slot.Endpoints) != 1 {
		t.Errorf("%+v", m.Slot)
	}
	_, whole := c.view().next()
	if n := len(whole.History.Total); n != telemetry.Slots || whole.History.Total[n-1] == nil {
		t.Errorf("%d slots", n)
	}
}

// A thousand viewers: those that there is room for are served, the others told to come
// later, and whoever wants something else gets it meanwhile.
func TestManyViewers(t *testing.T) {
	b := &fake{status: lone(), ready: true}
	c := serve(t, b, nil)
	const viewers = 1000
	var served, refused, closed, other atomic.Int32
	var asked, ended sync.WaitGroup
	over := make(chan struct{})
	for range viewers {
		asked.Add(1)
		ended.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
			if err != nil {
				other.Add(1)
				asked.Done()
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(60 * time.Second))
			fmt.Fprint(conn, "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			switch {
			case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
				closed.Add(1) // for another, since it was not come to within its grace
			case err != nil:
				other.Add(1)
			case resp.StatusCode == 200:
				served.Add(1)
			case resp.StatusCode == 503 && resp.Header.Get("Retry-After") != "" && resp.Close:
				refused.Add(1)
			default:
				other.Add(1)
			}
			asked.Done()
			if err == nil && resp.StatusCode == 200 {
				<-over
			}
		})
	}
	asked.Wait()
	if served.Load() != 128 || refused.Load() < viewers/2 || other.Load() != 0 {
		t.Errorf("%d were served, %d refused, %d closed, %d met something else", served.Load(), refused.Load(), closed.Load(), other.Load())
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/"} {
		if got := c.do("GET", path); got.status != 200 {
			t.Errorf("%s meanwhile: %d", path, got.status)
		}
	}
	close(over)
	ended.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r, err := c.http.Head(c.base + "/api/v1/events")
		if err != nil {
			t.Fatal(err)
		}
		if r.Body.Close(); r.StatusCode == 200 {
			break // there is room again
		}
		if time.Now().After(deadline) {
			t.Fatal("seats of viewers that left are not free")
		}
	}
}

// A viewer that never reads is dropped, and others notice nothing of it.
func TestViewerThatNeverReads(t *testing.T) {
	b := &fake{status: lone(), ready: true}
	// A message larger than what the kernel takes for somebody who does not read.
	var n atomic.Int64
	b.change(func(s *balancer.Status) {
		s.Policy.LastError = &balancer.LastError{Message: strings.Repeat("x", 8<<20)}
	})
	timeline := telemetry.NewTimeline()
	c := serve(t, b, func(o *admin.Options) { o.Timeline = timeline })
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1)); err != nil { // it is being served
		t.Fatal(err)
	}
	b.change(func(s *balancer.Status) { s.Policy.LastError = nil })
	v := c.view()
	for range 40 { // more than it may be behind, and longer than it has to part
		b.change(func(s *balancer.Status) { s.Policy.Version = fmt.Sprint(n.Add(1)) })
		timeline.Events().PolicyRejected(&event.Rejection{At: time.Now()})
		v.until("the tick", func(_ string, m message) bool { return m.Incidents != nil })
	}
	// What was under way to the silent one is cut, not kept.
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	got, err := io.Copy(io.Discard, conn)
	if err, timeout := err.(net.Error); timeout && err.Timeout() {
		t.Errorf("its connection is kept; it got %d bytes", got)
	}
	if got > 8<<20 {
		t.Errorf("it got %d bytes: this test proves nothing", got)
	}
}

// Dashboards do not keep the server from stopping.
func TestCloseEndsStreams(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, base: "http://" + ln.Addr().String(), http: &http.Client{Transport: &http.Transport{}}}
	s := serverOn(t, ln, &fake{status: lone(), ready: true})
	v := c.view()
	v.next()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, v.in); err != nil {
		t.Errorf("the stream does not end well: %v", err)
	}
}
