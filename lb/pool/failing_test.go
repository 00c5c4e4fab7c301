package pool_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestFailingFastAttractsNothing is about a fast-failing black hole, without a
// breaker: of four endpoints that take 50 ms one begins to fail within 1 ms, always or
// often. In no second has it more than 1.3 times its fair share.
func TestFailingFastAttractsNothing(t *testing.T) {
	statistics(t)
	for _, algorithm := range algorithms {
		for _, rate := range []float64{1, 0.7, 0.3} {
			t.Run(fmt.Sprintf("%s/%.0f%%", algorithm, 100*rate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					answers := map[string]answer{}
					for _, e := range equal(4) {
						answers[e.Address] = answer{after: 50 * ms}
					}
					f := newTraffic(t, newWorld(t).serve(policyPool(algorithm, equal(4)))[0], answers)
					defer f.abandon()
					fair := 0.25
					if before := f.run(ms, 10*time.Second)["e1:80"]; algorithm == "ConsistentHash" {
						fair = before
					}
					answers["e1:80"] = answer{after: 50 * ms, fails: rate}
					most, sum := 0.0, 0.0
					for range 30 {
						share := f.run(ms, time.Second)["e1:80"]
						most = max(most, share)
						sum += share / 30
					}
					t.Logf("before %.3f, at most %.3f, on the whole %.3f", fair, most, sum)
					if most > 1.3*fair {
						t.Errorf("failing, it has share %.3f in a second", most)
					}
					if sum > 1.1*fair {
						t.Errorf("failing, it has share %.3f on the whole", sum)
					}
				})
			})
		}
	}
}

// TestFailingAlikeIsStillBalanced: where all endpoints fail now and then, and where
// all of them fail always, the slow one still gets less.
func TestFailingAlikeIsStillBalanced(t *testing.T) {
	statistics(t)
	for name, x := range map[string]struct {
		fast, slow answer
	}{
		"now and then": {answer{after: 20 * ms, fails: 0.05}, answer{after: 200 * ms, fails: 0.05}},
		"every tenth":  {answer{after: 20 * ms, fails: 0.1}, answer{after: 200 * ms, fails: 0.1}},
		"always":       {answer{after: 20 * ms, failed: true}, answer{after: 200 * ms, failed: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := map[string]answer{"e1:80": x.slow, "e2:80": x.fast, "e3:80": x.fast, "e4:80": x.fast}
				f := newTraffic(t, newWorld(t).serve(policyPool("LeastRequest", equal(4)))[0], answers)
				defer f.abandon()
				share := f.run(ms, time.Minute)["e1:80"]
				t.Logf("share %.3f", share)
				if share > 0.1 {
					t.Errorf("the slow one has share %.3f", share)
				}
			})
		})
	}
}

// TestFailuresAreForgotten: one that is well again has its share back, and what it
// gets depends on its load again.
func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]answer{}
		for _, e := range equal(4) {
			answers[e.Address] = answer{after: 50 * ms}
		}
		f := newTraffic(t, newWorld(t).serve(policyPool("LeastRequest", equal(4)))[0], answers)
		defer f.abandon()
		answers["e1:80"] = answer{after: ms, failed: true}
		f.run(ms, 10*time.Second)
		answers["e1:80"] = answer{after: 10 * ms}
		f.run(ms, time.Second)
		if share := f.run(ms, 10*time.Second)["e1:80"]; share < 0.35 {
			t.Errorf("it is the quickest by far, and has share %.3f", share)
		}
	})
}
