package model_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/sim/http1"
	"go-loadbalancer/sim/memnet"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
)

// site is an endpoint on a network, and a client of it.
type site struct {
	t        *testing.T
	e        *model.Endpoint
	client   *memnet.Host
	requests int
}

// run plays with an endpoint in virtual time, and sees that nothing is left of it.
func run(t *testing.T, o model.Options, f func(*site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(memnet.Options{Seed: 1})
		host := n.Process("cart/1", netip.MustParseAddrPort("10.0.0.1:80"))
		l, err := host.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		o.Name = "cart/1"
		e := model.New(o)
		e.Serve(l)
		f(&site{t: t, e: e, client: n.Process("client", netip.MustParseAddrPort("10.0.1.1:0"))})
		e.Stop()
		if left := n.Left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// got is what a client got, and when it had it.
type got struct {
	status int
	size   int64
	took   time.Duration
	closed bool // the connection does not go on
	err    error
}

func (s *site) dial() net.Conn {
	s.t.Helper()
	c, err := s.client.Dial(s.t.Context(), "tcp", "10.0.0.1:80")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// ask asks on a connection of its own, and waits for so long.
func (s *site) ask(request string, wait time.Duration) got {
	s.t.Helper()
	c := s.dial()
	defer c.Close()
	return s.askOn(c, request, wait)
}

func (s *site) askOn(c net.Conn, request string, wait time.Duration) (g got) {
	began := time.Now()
	defer func() { g.took = time.Since(began) }()
	c.SetDeadline(began.Add(wait))
	if _, g.err = io.WriteString(c, request); g.err != nil {
		return g
	}
	in := http1.NewReader(c)
	head, err := in.Head()
	if err != nil {
		g.err = err
		return g
	}
	if g.status, g.err = head.Status(); g.err != nil {
		return g
	}
	g.closed = head.Last()
	framing, err := head.ResponseBody("GET")
	if err != nil {
		g.err = err
		return g
	}
	var check http1.Check
	g.err = in.Body(framing, check.See)
	if g.size = check.Size; check.Bad {
		g.err = errors.Join(g.err, errors.New("the body is none of the pattern"))
	}
	return g
}

func (s *site) get() string {
	s.requests++
	return fmt.Sprintf("GET /cart HTTP/1.1\r\nHost: x\r\nX-Request-Id: r%d\r\n\r\n", s.requests)
}

const (
	check = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	ms    = time.Millisecond
	trip  = 2 * ms // more than the network takes, there and back
)

// Latencies have the median and the 99th percentile that was said: of so many draws within
// what chance allows (four standard deviations of the empirical quantile).
func TestLatency(t *testing.T) {
	for _, c := range []struct{ p50, p99 time.Duration }{{20 * ms, 0}, {20 * ms, 80 * ms}, {100 * ms, 110 * ms}, {0, 0}} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(c, seed), func(t *testing.T) {
				const n = 2000
				run(t, model.Options{Seed: seed, Latency: scenario.Latency{P50: c.p50, P99: c.p99}}, func(s *site) {
					conn, took := s.dial(), []time.Duration{}
					defer conn.Close()
					for range n {
						g := s.askOn(conn, s.get(), time.Minute)
						if g.err != nil || g.status != 200 {
							t.Fatal(g)
						}
						took = append(took, g.took)
					}
					slices.Sort(took)
					sigma := 0.0
					if c.p99 > 0 {
						sigma = math.Log(float64(c.p99)/float64(c.p50)) / 2.3263
					}
					for _, q := range []struct{ q, z, density float64 }{{0.5, 0, 0.3989}, {0.99, 2.3263, 0.02665}} {
						want := float64(c.p50) * math.Exp(sigma*q.z)
						off := 4 * want * sigma * math.Sqrt(q.q*(1-q.q)/n) / q.density
						if at := float64(took[int(q.q*n)]); at < want-off || at > want+off+float64(trip) {
							t.Errorf("the %v-quantile is %v, want %v give or take %v", q.q, time.Duration(at), time.Duration(want), time.Duration(off))
						}
					}
				})
			})
		}
	}
}

// An endpoint serves one request after the other, lets so many wait, and refuses the rest at
// once.
func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		capacity float64
		queue    int
		at       []time.Duration // when each comes
		took     []time.Duration // 0: it is refused
	}{
		{0, 0, []time.Duration{0, 0, 0}, []time.Duration{10 * ms, 10 * ms, 10 * ms}},
		{10, 0, []time.Duration{0, 0, 90 * ms, 110 * ms}, []time.Duration{10 * ms, 0, 0, 10 * ms}},
		{10, 1, []time.Duration{0, 1 * ms, 2 * ms, 110 * ms}, []time.Duration{10 * ms, 109 * ms, 0, 100 * ms}},
		{10, 3, []time.Duration{0, 0, 0, 0, 0}, []time.Duration{10 * ms, 110 * ms, 210 * ms, 310 * ms, 0}},
		{1e-30, 1, []time.Duration{0, 0, 0}, []time.Duration{10 * ms, 48*time.Hour + 10*ms, 0}},
	} {
		t.Run(fmt.Sprint(c.capacity, c.queue), func(t *testing.T) {
			run(t, model.Options{Latency: scenario.Latency{P50: 10 * ms}, Capacity: c.capacity, Queue: c.queue}, func(s *site) {
				var asking sync.WaitGroup
				took := make([]time.Duration, len(c.at))
				for i, at := range c.at {
					conn, text := s.dial(), s.get()
					asking.Go(func() {
						defer conn.Close()
						time.Sleep(at + time.Duration(i)*100*time.Microsecond)
						if g := s.askOn(conn, text, 100*time.Hour); g.status == 200 {
							took[i] = g.took
						} else if g.status != 503 || g.took > trip {
							t.Errorf("%d: %+v", i, g)
						}
					})
				}
				asking.Wait()
				for i, want := range c.took {
					if off := took[i] - want; (took[i] == 0) != (want == 0) || want > 0 && (off < -2*ms || off > trip) {
						t.Errorf("the one at %v took %v, want %v", c.at[i], took[i], want)
					}
				}
			})
		})
	}
}

// Each fault does what it says, as long as it lasts; whom it touches is counted.
func TestFaults(t *testing.T) {
	size := func(n int64) *int64 { return &n }
	well := got{status: 200, size: 1000}
	is := func(a got, b got, took time.Duration) bool {
		return a.status == b.status && a.size == b.size && errors.Is(a.err, b.err) && a.took >= took && a.took < took+trip
	}
	for name, c := range map[string]struct {
		fault   scenario.Fault
		want    got
		took    time.Duration
		check   int // what a health check is answered; 0: nothing
		touched int
	}{
		"respond":         {scenario.Fault{Respond: &scenario.Respond{Status: 500, After: ms}}, got{status: 500, size: 1000}, ms, 500, 2},
		"no content":      {scenario.Fault{Respond: &scenario.Respond{Status: 204}}, got{status: 204}, 0, 204, 2},
		"latency":         {scenario.Fault{Latency: &scenario.Latency{P50: 50 * ms}}, well, 50 * ms, 200, 2},
		"all errors":      {scenario.Fault{Errors: &scenario.Errors{Percent: 100, Status: 502}}, got{status: 502, size: 1000}, 5 * ms, 502, 2},
		"no errors":       {scenario.Fault{Errors: &scenario.Errors{Percent: 0, Status: 502}}, well, 5 * ms, 200, 0},
		"first":           {scenario.Fault{First: &scenario.First{Count: 1, Status: 503}}, got{status: 503, size: 1000}, 5 * ms, 200, 1},
		"hang":            {scenario.Fault{Hang: true}, got{err: errLate}, time.Second, 0, 2},
		"hang, well":      {scenario.Fault{Hang: true, Health: "pass"}, got{err: errLate}, time.Second, 200, 2},
		"unwell":          {scenario.Fault{Health: "fail"}, well, 5 * ms, 503, 1},
		"slow body":       {scenario.Fault{SlowBody: 5000}, well, 205 * ms, 200, 2},
		"truncate":        {scenario.Fault{Truncate: size(300)}, got{status: 200, size: 300, err: io.ErrUnexpectedEOF}, 5 * ms, 200, 2},
		"truncate, late":  {scenario.Fault{Truncate: size(5000)}, got{status: 200, size: 999, err: io.ErrUnexpectedEOF}, 5 * ms, 200, 2},
		"announced more":  {scenario.Fault{ContentLength: size(2000)}, got{status: 200, size: 1000, err: errLate}, time.Second, 200, 2},
		"announced less":  {scenario.Fault{ContentLength: size(600)}, got{status: 200, size: 600}, 5 * ms, 200, 2},
		"garbage":         {scenario.Fault{Garbage: true}, got{err: http1Garbage}, 5 * ms, 0, 2},
		"reset":           {scenario.Fault{Reset: true}, got{err: syscall.ECONNRESET}, 5 * ms, 0, 2},
		"close":           {scenario.Fault{Close: true}, got{err: io.EOF}, 5 * ms, 0, 2},
		"pause":           {scenario.Fault{Pause: true}, got{err: errLate}, time.Second, 0, 2},
		"errors and late": {scenario.Fault{Latency: &scenario.Latency{P50: 50 * ms}, Errors: &scenario.Errors{Percent: 100}}, got{status: 503, size: 1000}, 50 * ms, 503, 2},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, model.Options{Latency: scenario.Latency{P50: 5 * ms}, BodySize: 1000, Health: "/healthz"}, func(s *site) {
				if g := s.ask(s.get(), time.Second); !is(g, well, 5*ms) {
					t.Errorf("before: %+v", g)
				}
				f := s.e.Begin(&c.fault)
				g := s.ask(s.get(), time.Second)
				if c.want.err == http1Garbage {
					if g.err == nil || g.status != 0 || errors.Is(g.err, errLate) {
						t.Errorf("%+v", g)
					}
				} else if !is(g, c.want, c.took) {
					t.Errorf("%+v, want %+v after %v", g, c.want, c.took)
				}
				if g := s.ask(check, 2*time.Second); g.status != c.check {
					t.Errorf("the check is answered %d, want %d", g.status, c.check)
				}
				if n := s.e.Touched(f); n != c.touched {
					t.Errorf("touched %d, want %d", n, c.touched)
				}
				s.e.End(f)
				time.Sleep(time.Second)
				if g := s.ask(s.get(), time.Second); !is(g, well, 5*ms) {
					t.Errorf("after: %+v", g)
				}
				if n, checks := len(s.e.Visits()), s.e.Checks(); n != 3 || checks != 1 {
					t.Errorf("%d visits, %d checks", n, checks)
				}
			})
		})
	}
}

var (
	errLate      = os.ErrDeadlineExceeded
	http1Garbage = errors.New("anything but an answer")
)

// A share of the requests fails, and those that wait in a pause are served at its end.
func TestErrorsAndPause(t *testing.T) {
	run(t, model.Options{Seed: 9, BodySize: 10}, func(s *site) {
		conn, failed := s.dial(), 0
		defer conn.Close()
		f := s.e.Begin(&scenario.Fault{Errors: &scenario.Errors{Percent: 30, Status: 500}})
		for range 1000 {
			if g := s.askOn(conn, s.get(), time.Second); g.status == 500 {
				failed++
			} else if g.status != 200 {
				t.Fatal(g)
			}
		}
		if failed < 240 || failed > 360 || s.e.Touched(f) != failed { // four standard deviations are 58
			t.Errorf("%d of 1000, touched %d", failed, s.e.Touched(f))
		}
		s.e.End(f)
		p := s.e.Begin(&scenario.Fault{Pause: true})
		time.AfterFunc(3*time.Second, func() { s.e.End(p) })
		if g := s.askOn(conn, s.get(), 10*time.Second); g.status != 200 || g.took < 3*time.Second-trip || g.took > 3*time.Second+trip {
			t.Errorf("%+v", g)
		}
	})
}

// A visit says how much of a request came, and how much of its answer went.
func TestVisits(t *testing.T) {
	run(t, model.Options{BodySize: 1000}, func(s *site) {
		s.ask("POST /cart HTTP/1.1\r\nHost: x\r\nX-Request-Id: half\r\nContent-Length: 100\r\n\r\n0123", 50*ms)
		s.ask("POST /cart HTTP/1.1\r\nHost: x\r\nX-Request-Id: all\r\nContent-Length: 4\r\n\r\n0123", 50*ms)
		v := s.e.Visits()
		if len(v) != 2 || v[0].ID != "half" || !v[0].Some || v[0].Sent != 0 || v[1].ID != "all" || v[1].Some || v[1].Sent != 1000 {
			t.Errorf("%+v", v)
		}
	})
}

// One that drains finishes what it has, and says that the connection ends.
func TestDrain(t *testing.T) {
	run(t, model.Options{Latency: scenario.Latency{P50: 50 * ms}}, func(s *site) {
		idle, busy := s.dial(), s.dial()
		defer idle.Close()
		defer busy.Close()
		s.askOn(idle, s.get(), time.Second)
		time.AfterFunc(10*ms, s.e.Drain)
		if g := s.askOn(busy, s.get(), time.Second); g.status != 200 || !g.closed {
			t.Errorf("%+v", g)
		}
		if g := s.askOn(idle, s.get(), time.Second); g.err == nil {
			t.Errorf("%+v", g)
		}
		if c, err := s.client.Dial(s.t.Context(), "tcp", "10.0.0.1:80"); err == nil {
			c.Close()
			t.Error("it listens still")
		}
	})
}
