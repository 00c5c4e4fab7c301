package load_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/http1"
	"go-loadbalancer/sim/load"
	"go-loadbalancer/sim/memnet"
	"go-loadbalancer/sim/scenario"
)

// server is what clients ask: it answers as f says, and keeps what it was asked.
type server struct {
	mu    sync.Mutex
	asked []asked
	conns int
}

type asked struct {
	at     time.Duration
	id     string
	path   string
	cookie string
	conn   int
}

// reply is an answer: its status and fields, after a time. A status of 0 ends the connection.
type reply struct {
	status int
	fields string
	after  time.Duration
	more   string // what follows it unasked
}

// play has loads come at a server for a time, and returns what their clients tell.
func play(t *testing.T, o load.Options, f func(asked) reply) (requests []history.Request, s *server, g *load.Generator) {
	t.Helper()
	s = &server{}
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(memnet.Options{Seed: 7})
		host := n.Process("lb/1", netip.MustParseAddrPort("198.18.0.1:0"))
		l, err := host.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		o.Began = time.Now()
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				s.mu.Lock()
				s.conns++
				number := s.conns
				s.mu.Unlock()
				serving.Go(func() { s.serve(c, number, o.Began, f) })
			}
		})
		if o.Replicas == nil {
			o.Replicas = func() []string { return []string{"lb/1"} }
		}
		o.Host = func(string, *scenario.Load, *scenario.Request) string { return "shop" }
		o.Clock = func() load.Clock { return n.Clock() }
		o.Dial = func(ctx context.Context, client int, replica, _ string) (net.Conn, error) {
			from := n.Process(fmt.Sprint("client/", client), netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 19, byte(client >> 8), byte(client)}), 0))
			return from.Dial(ctx, "tcp", "198.18.0.1:80")
		}
		g = load.New(o)
		g.Run(context.Background())
		requests = g.Requests()
		l.Close()
		serving.Wait()
		if left := n.Left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	return requests, s, g
}

func (s *server) serve(c net.Conn, number int, began time.Time, f func(asked) reply) {
	defer c.Close()
	for in := http1.NewReader(c); ; {
		head, err := in.Head()
		if err != nil {
			return
		}
		a := asked{time.Since(began), string(head.Get("X-Request-Id")), string(head.First[1]), string(head.Get("Cookie")), number}
		body, err := head.RequestBody()
		if err != nil || in.Body(body, nil) != nil {
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, a)
		s.mu.Unlock()
		r := f(a)
		time.Sleep(r.after)
		if r.status == 0 {
			return
		}
		if _, err := io.WriteString(c, fmt.Sprintf("HTTP/1.1 %d X\r\nX-Backend: cart/1\r\nX-Size: 4\r\nContent-Length: 4\r\n%s\r\n0123%s", r.status, r.fields, r.more)); err != nil {
			return
		}
	}
}

func fine(asked) reply { return reply{status: 200, after: 5 * time.Millisecond} }

func get(paths ...string) (all []scenario.Request) {
	for _, p := range paths {
		all = append(all, scenario.Request{Method: "GET", Path: p, Weight: 1})
	}
	return all
}

// Arrivals are as many as the rate says, within five standard deviations where they come at
// random; the first half of a ramp has its part of them.
func TestArrivals(t *testing.T) {
	const length = 20 * time.Second
	for _, c := range []struct {
		name       string
		rate, end  float64
		arrivals   string
		want, half float64 // in all, and in the first half
	}{
		{"constant", 50, 50, scenario.Constant, 1000, 500},
		{"constant up", 0, 100, scenario.Constant, 1000, 250},
		{"constant down", 100, 0, scenario.Constant, 1000, 750},
		{"hardly up", 50, 50.000001, scenario.Constant, 1000, 500},
		{"poisson", 50, 50, scenario.Poisson, 1000, 500},
		{"poisson up", 0, 100, scenario.Poisson, 1000, 250},
		{"poisson down", 100, 0, scenario.Poisson, 1000, 750},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(c.name, " ", seed), func(t *testing.T) {
				l := scenario.Load{Rate: c.rate, RateEnd: c.end, Arrivals: c.arrivals, From: 10 * time.Second, To: 10*time.Second + length, Requests: get("/")}
				got, _, _ := play(t, load.Options{Loads: []scenario.Load{l}, Seed: seed, End: time.Minute}, fine)
				half, gaps, squares := 0.0, 0.0, 0.0
				for i, r := range got {
					if r.Intended < l.From || r.Intended >= l.To {
						t.Errorf("one at %v", r.Intended)
					}
					if r.Intended < l.From+length/2 {
						half++
					}
					if i > 0 {
						gap := (r.Intended - got[i-1].Intended).Seconds()
						gaps, squares = gaps+gap, squares+gap*gap
					}
				}
				off := 1.0
				if c.arrivals == scenario.Poisson {
					off = 5 * math.Sqrt(c.want)
				}
				if n := float64(len(got)); math.Abs(n-c.want) > off || math.Abs(half-c.half) > off {
					t.Errorf("%v came, %v of them in the first half; want about %v, and %v", n, half, c.want, c.half)
				}
				// Even gaps do not vary; those of a Poisson process vary by as much as they are long.
				n := float64(len(got) - 1)
				deviation := math.Sqrt(max(0, squares/n-gaps/n*gaps/n)) / (gaps / n)
				if c.rate == c.end && (c.arrivals == scenario.Poisson) != (math.Abs(deviation-1) < 0.2) || c.rate == c.end && c.arrivals == scenario.Constant && deviation > 1e-6 {
					t.Errorf("gaps vary by %v of what they are", deviation)
				}
			})
		}
	}
}

// The same seed gives the same arrivals, another one others.
func TestSeeds(t *testing.T) {
	l := []scenario.Load{{Rate: 100, RateEnd: 100, Requests: get("/a", "/b")}}
	times := func(seed uint64) string {
		got, _, _ := play(t, load.Options{Loads: l, Seed: seed, End: 2 * time.Second}, fine)
		var b strings.Builder
		for _, r := range got {
			fmt.Fprintln(&b, r.ID, r.Intended, r.Path, r.End)
		}
		return b.String()
	}
	if first, again := times(1), times(1); first != again {
		t.Error("seed 1 gives two runs")
	}
	if times(1) == times(2) {
		t.Error("seeds 1 and 2 give one run")
	}
}

// An open loop waits for nobody, and the latency of what has to wait for its answer counts
// from when it was to begin.
func TestOpenLoop(t *testing.T) {
	l := []scenario.Load{{Rate: 10, RateEnd: 10, Arrivals: scenario.Constant, Deadline: time.Second, Requests: get("/")}}
	got, _, g := play(t, load.Options{Loads: l, End: 2 * time.Second}, func(asked) reply { return reply{status: 200, after: 3 * time.Second} })
	for i, r := range got {
		if want := time.Duration(i+1) * 100 * time.Millisecond; r.Intended/time.Millisecond != want/time.Millisecond || r.Latency() != time.Second || r.Err != "deadline" || r.OK() {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if len(got) != 19 || g.Behind() > time.Millisecond {
		t.Errorf("%d came, %v late", len(got), g.Behind())
	}
}

// A request is made again after its backoff, doubled each time and cut by up to half, and
// not after the end of the run.
func TestRetries(t *testing.T) {
	l := []scenario.Load{{Rate: 1, RateEnd: 1, Arrivals: scenario.Constant, To: 1500 * time.Millisecond, Requests: get("/"),
		Retries: scenario.ClientRetries{Attempts: 100, Backoff: 100 * time.Millisecond}}}
	got, s, _ := play(t, load.Options{Loads: l, Seed: 3, End: 10 * time.Second}, func(asked) reply { return reply{status: 503} })
	if len(got) < 6 || len(got) > 8 {
		t.Fatalf("%d requests", len(got)) // 100 ms doubled until there are 9 s of it
	}
	for i, r := range got {
		if r.Retry != i || (r.ID == "r0-1") != (i == 0) || s.asked[i].id != r.ID || r.Intended >= 10*time.Second {
			t.Errorf("%d: %+v", i, r)
		}
		if i == 0 {
			continue
		}
		most := 100 * time.Millisecond << (i - 1)
		if pause := r.Intended - got[i-1].End; pause < most/2 || pause > most+time.Microsecond {
			t.Errorf("before retry %d are %v, want %v to %v", i, pause, most/2, most)
		}
	}
	// One that goes well is not made again.
	got, _, _ = play(t, load.Options{Loads: l, End: 10 * time.Second}, func(a asked) reply {
		return reply{status: map[bool]int{true: 200, false: 500}[strings.HasSuffix(a.id, ".2")]}
	})
	if len(got) != 3 || !got[2].OK() {
		t.Errorf("%+v", got)
	}
}

// Users wait for their answers, and think.
func TestClosedLoop(t *testing.T) {
	l := []scenario.Load{{Users: 3, Think: 900 * time.Millisecond, From: time.Second, To: 11 * time.Second, Requests: get("/")}}
	got, _, _ := play(t, load.Options{Loads: l, Seed: 1, End: time.Minute}, func(asked) reply { return reply{status: 200, after: 100 * time.Millisecond} })
	if len(got) < 27 || len(got) > 30 { // each takes a second and a little
		t.Errorf("%d requests", len(got))
	}
	under := 0
	for i, r := range got {
		under = 0
		for _, o := range got[:i] {
			if o.End > r.Start {
				under++
			}
		}
		if under >= 3 || r.Intended < time.Second || r.Intended >= 11*time.Second {
			t.Errorf("%d others are under way: %+v", under, r)
		}
	}
}

// What is asked is drawn by weight, and nothing is of the weight 0.
func TestWeights(t *testing.T) {
	l := []scenario.Load{{Rate: 500, RateEnd: 500, Requests: []scenario.Request{
		{Method: "GET", Path: "/a", Weight: 9}, {Method: "POST", Path: "/b", Weight: 1, Body: 3}, {Method: "GET", Path: "/never"},
	}}}
	got, _, _ := play(t, load.Options{Loads: l, Seed: 5, End: 10 * time.Second}, fine)
	n := map[string]float64{}
	for _, r := range got {
		n[r.Method+" "+r.Path]++
	}
	if of := n["POST /b"] / float64(len(got)); n["GET /never"] > 0 || math.Abs(of-0.1) > 0.025 || len(n) != 2 {
		t.Errorf("%v", n)
	}
}

// Who has a session keeps the cookies it is given, and what is deleted is gone; the others
// keep none.
func TestCookies(t *testing.T) {
	answer := func(a asked) reply {
		r := reply{status: 200}
		switch {
		case !strings.Contains(a.cookie, "home="):
			r.fields = "Set-Cookie: home=" + a.id + "; Path=/; HttpOnly\r\nSet-Cookie: other=1\r\n"
		case strings.Contains(a.cookie, "other=1"):
			r.fields = "Set-Cookie: other=; Max-Age=0\r\n"
		}
		return r
	}
	l := []scenario.Load{{Rate: 50, RateEnd: 50, Arrivals: scenario.Constant, Sessions: 4, Requests: get("/")}}
	got, s, _ := play(t, load.Options{Loads: l, Seed: 1, End: 4 * time.Second}, answer)
	client := map[string]int{}
	for _, r := range got {
		client[r.ID] = r.Session
	}
	homes, turns := map[int]string{}, map[int]int{}
	for _, a := range s.asked {
		who := client[a.id]
		turns[who]++
		want := homes[who]
		if want == "" {
			homes[who] = "home=" + a.id
		}
		if turns[who] == 2 {
			want += "; other=1"
		}
		if a.cookie != want || who < 1 || who > 4 {
			t.Errorf("client %d comes with %q, want %q", who, a.cookie, want)
		}
	}
	if len(homes) != 4 {
		t.Errorf("%d clients", len(homes))
	}
	l[0].Sessions = 0
	_, s, _ = play(t, load.Options{Loads: l, Seed: 1, End: 2 * time.Second}, answer)
	for _, a := range s.asked {
		if a.cookie != "" {
			t.Errorf("nobody's client comes with %q", a.cookie)
		}
	}
}

// What a client is told of its answer is what it got.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		reply           reply
		whole, looks    bool
		err, retryAfter string
	}{
		"whole":             {reply{status: 200}, true, true, "", ""},
		"refused":           {reply{status: 503, fields: "Retry-After: 3\r\n"}, true, true, "", "3"},
		"more than was due": {reply{status: 200, more: "HTTP/1.1 200 OK\r\n"}, false, true, "more came than was asked for", ""},
		"none":              {reply{}, false, false, "closed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := []scenario.Load{{Rate: 1, RateEnd: 1, Arrivals: scenario.Constant, Requests: get("/")}}
			got, _, _ := play(t, load.Options{Loads: l, End: 1500 * time.Millisecond}, func(asked) reply { return c.reply })
			if r := got[0]; len(got) != 1 || r.Whole != c.whole || r.LooksWhole != c.looks || r.Err != c.err || r.RetryAfter != c.retryAfter || r.Status != c.reply.status {
				t.Errorf("%+v", got)
			}
		})
	}
}

// More requests than there may be do not come, and that is told.
func TestFull(t *testing.T) {
	for name, l := range map[string]scenario.Load{
		"open":    {Rate: 100, RateEnd: 100, Requests: get("/")},
		"closed":  {Users: 10, Requests: get("/")},
		"retries": {Rate: 1, RateEnd: 1, Arrivals: scenario.Constant, Requests: get("/"), Retries: scenario.ClientRetries{Attempts: 100, Backoff: time.Millisecond}},
	} {
		status := 200
		if name == "retries" {
			status = 503
		}
		got, _, g := play(t, load.Options{Loads: []scenario.Load{l}, Most: 8, End: 5 * time.Second}, func(asked) reply { return reply{status: status} })
		if len(got) != 8 || !g.Full() {
			t.Errorf("%s: %d requests, full: %v", name, len(got), g.Full())
		}
	}
	if got, _, g := play(t, load.Options{Loads: []scenario.Load{{Rate: 4, RateEnd: 4, Arrivals: scenario.Constant, Requests: get("/")}}, Most: 8, End: 2 * time.Second}, fine); len(got) != 7 || g.Full() {
		t.Errorf("%d requests, full: %v", len(got), g.Full())
	}
}

// Without a replica a request fails at once.
func TestNobodyThere(t *testing.T) {
	l := []scenario.Load{{Rate: 10, RateEnd: 10, Arrivals: scenario.Constant, Requests: get("/")}}
	got, s, _ := play(t, load.Options{Loads: l, End: time.Second, Replicas: func() []string { return nil }}, fine)
	for _, r := range got {
		if r.OK() || r.Err != "no replica is there" || r.Latency() > time.Microsecond {
			t.Errorf("%+v", r)
		}
	}
	if len(got) != 9 || len(s.asked) > 0 {
		t.Errorf("%d requests, %d came", len(got), len(s.asked))
	}
}

// Those who have no session share connections and use them again; one that was closed
// meanwhile is found to be, and costs nothing.
func TestConnections(t *testing.T) {
	l := []scenario.Load{{Rate: 10, RateEnd: 10, Arrivals: scenario.Constant, Requests: get("/")}}
	got, s, _ := play(t, load.Options{Loads: l, End: 2 * time.Second}, fine)
	if s.conns != 1 || len(got) != 19 {
		t.Errorf("%d connections for %d requests", s.conns, len(got))
	}
	for i, r := range got {
		if r.First != (i == 0) {
			t.Errorf("%+v", r)
		}
	}
	got, s, _ = play(t, load.Options{Loads: l, End: 2 * time.Second}, func(asked) reply { return reply{status: 200, fields: "Connection: close\r\n"} })
	for _, r := range got {
		if !r.OK() || !r.First {
			t.Errorf("%+v", r)
		}
	}
	if s.conns != 19 {
		t.Errorf("%d connections for %d requests", s.conns, len(got))
	}
}
