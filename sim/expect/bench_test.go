package expect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// BenchmarkJudge judges 200,000 requests by ten expectations and all invariants.
func BenchmarkJudge(b *testing.B) {
	p := load(b, shop)
	r := newPlay(p, 1000*time.Second)
	rnd := rand.New(rand.NewPCG(1, 2))
	r.Replicas = 2
	r.fault("hole", 300*time.Second, 600*time.Second)
	for i := range 200_000 {
		at := time.Duration(i)*5*ms + time.Duration(rnd.IntN(1_000_000))
		endpoint := fmt.Sprint("cart/", 1+rnd.IntN(2))
		r.came(at, endpoint, func(r *history.Request) {
			r.End = at + time.Duration(rnd.ExpFloat64()*float64(20*ms))
			r.Session = 1 + rnd.IntN(500)
			if rnd.IntN(100) == 0 {
				r.Status = 500
			}
		})
		a := history.Attempt{Request: r.Requests[i].ID, Replica: "lb/1", Pool: "cart", Endpoint: endpoint, Number: 1, Start: at, End: r.Requests[i].End, Result: "ok", Arrived: "all"}
		r.Attempts = append(r.Attempts, a)
	}
	hole := scenario.Instant{Fault: "hole"}
	program := compiled(b, of(&r.Run,
		scenario.Expectation{That: `success("5s") >= 0.9`},
		scenario.Expectation{That: `success("5s") >= 0.9 && share("cart/1", "10s") <= 0.7`},
		scenario.Expectation{That: `share("cart/1", "10s") >= 0.3`},
		scenario.Expectation{That: `latency(0.99, "10s") <= duration("5s")`},
		scenario.Expectation{That: `latency(0.5, "1s") <= duration("5s")`},
		scenario.Expectation{That: `goodput("5s") >= 10.0`, Operator: scenario.During, During: hole},
		scenario.Expectation{That: `amplification("10s") <= 1.2`},
		scenario.Expectation{That: `rate("cart/1", "1s") <= 1000.0`},
		scenario.Expectation{That: `errors("10s") <= 0.1 || breaker("cart/1") == "open"`},
		scenario.Expectation{That: `share("cart/1", "10s") >= 0.9`, Operator: scenario.Within, Within: 600 * time.Second, After: hole},
	), p)
	for b.Loop() {
		result := program.Judge(&r.Run)
		for i, e := range result.Expectations {
			if want := i != 9; (e.Status == "held") != want {
				b.Fatalf("%s: %s", e.What, e.Why)
			}
		}
	}
}
