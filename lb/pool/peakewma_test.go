package pool_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/pool"
)

// answer is how an endpoint answers.
type answer struct {
	after  time.Duration
	failed bool
	fails  float64 // the share of answers that fail, at once
}

// traffic is requests that come at a steady rate, whatever the answers do, and
// take as long as their endpoint says. It runs in virtual time.
type traffic struct {
	t        *testing.T
	rnd      *rand.Rand
	pool     *pool.Pool
	answers  map[string]answer // by address; the zero answer never comes
	underway []request
}

type request struct {
	e      *pool.Endpoint
	wait   pool.Wait
	ends   time.Time // zero: never
	failed bool
}

func newTraffic(t *testing.T, p *pool.Pool, answers map[string]answer) *traffic {
	return &traffic{t: t, rnd: seeded(t), pool: p, answers: answers}
}

// run sends one request each interval for a time and returns each endpoint's
// share of them.
func (f *traffic) run(interval, during time.Duration) map[string]float64 {
	f.t.Helper()
	shares := map[string]float64{}
	each := float64(interval) / float64(during)
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(interval) {
		f.settle()
		e, refusal := f.pool.Pick(f.rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
		if refusal != pool.None || e.Begin(nil) != pool.Started {
			f.t.Fatal(refusal)
		}
		shares[e.Address] += each
		r := request{e: e, wait: e.Wait(true)}
		if a := f.answers[e.Address]; a != (answer{}) {
			jitter := 0.8 + 0.4*f.rnd.Float64()
			r.ends, r.failed = time.Now().Add(time.Duration(float64(a.after)*jitter)), a.failed
			if a.fails > 0 && f.rnd.Float64() < a.fails {
				r.ends, r.failed = time.Now().Add(ms), true
			}
		}
		f.underway = append(f.underway, r)
	}
	return shares
}

// settle ends the requests whose time has come.
func (f *traffic) settle() {
	now := time.Now()
	f.underway = slices.DeleteFunc(f.underway, func(r request) bool {
		if r.ends.IsZero() || r.ends.After(now) {
			return false
		}
		if r.failed {
			r.wait.Failed()
		} else {
			r.wait.Answered(0)
		}
		r.e.End()
		return true
	})
}

// abandon gives up every request under way: its client leaves.
func (f *traffic) abandon() {
	for _, r := range f.underway {
		r.wait.Abandoned()
		r.e.End()
	}
	f.underway = nil
}

// ewma plays traffic to a PeakEWMA pool of endpoints of the given weights.
func ewma(t *testing.T, weights []int, answers map[string]answer, play func(*traffic)) {
	synctest.Test(t, func(t *testing.T) {
		f := newTraffic(t, newWorld(t).serve(policyPool("PeakEWMA", endpoints(weights...)))[0], answers)
		defer f.abandon()
		play(f)
	})
}

const ms = time.Millisecond

func TestPeakEWMASharesAlikeAmongEquals(t *testing.T) {
	statistics(t)
	ewma(t, []int{1, 1, 1, 1}, map[string]answer{"e1:80": {after: 20 * ms}, "e2:80": {after: 20 * ms}, "e3:80": {after: 20 * ms}, "e4:80": {after: 20 * ms}}, func(f *traffic) {
		for address, share := range f.run(5*ms, 2*time.Minute) {
			within(f.t, address, share, 0.25, 0.1)
		}
	})
}

// TestPeakEWMAHonoursWeights: among equally quick endpoints weights decide, also
// where a canary stands beside the rest and little is under way.
func TestPeakEWMAHonoursWeights(t *testing.T) {
	statistics(t)
	for name, set := range weightSets {
		for _, interval := range []time.Duration{ms, 20 * ms} {
			t.Run(name+"/"+interval.String(), func(t *testing.T) {
				answers := map[string]answer{}
				total := 0
				for i, e := range endpoints(set...) {
					answers[e.Address] = answer{after: 20 * ms}
					total += set[i]
				}
				ewma(t, set, answers, func(f *traffic) {
					got := f.run(interval, 4*time.Minute)
					for _, m := range f.pool.Members() {
						due := float64(m.Weight) / float64(total)
						if share := got[m.Address]; share < 0.5*due-0.002 || share > 2.5*due+0.002 {
							t.Errorf("%s of weight %d: share %.4f, want about %.4f", m.Address, m.Weight, share, due)
						}
					}
				})
			})
		}
	}
}

// TestPeakEWMAShunsTheSlow: an endpoint that turns slow keeps a share of next to
// nothing, and has its full share back within a minute of being quick again.
func TestPeakEWMAShunsTheSlow(t *testing.T) {
	statistics(t)
	for name, set := range map[string][]int{"two": {1, 1}, "four": {1, 1, 1, 1}, "a heavy one": {4, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			answers, total := map[string]answer{}, 0
			for i, e := range endpoints(set...) {
				answers[e.Address] = answer{after: 10 * ms}
				total += set[i]
			}
			due := float64(set[0]) / float64(total)
			ewma(t, set, answers, func(f *traffic) {
				f.run(5*ms, 30*time.Second)
				answers["e1:80"] = answer{after: time.Second}
				f.run(5*ms, 2*time.Second)
				if share := f.run(5*ms, time.Minute)["e1:80"]; share > 0.02 {
					t.Errorf("slow, it has share %.3f", share)
				}
				answers["e1:80"] = answer{after: 10 * ms}
				f.run(5*ms, time.Minute)
				within(t, "quick again", f.run(5*ms, time.Minute)["e1:80"], due, 0.2)
			})
		})
	}
}

// TestPeakEWMASeesSilence: an endpoint that stops answering is avoided before the
// first request to it has timed out, however long it was quick before, and the
// requests it holds go on keeping others away.
func TestPeakEWMASeesSilence(t *testing.T) {
	answers := map[string]answer{"e1:80": {after: 10 * ms}, "e2:80": {after: 10 * ms}, "e3:80": {after: 10 * ms}}
	ewma(t, []int{1, 1, 1}, answers, func(f *traffic) {
		f.run(5*ms, 30*time.Second)
		delete(answers, "e1:80")
		f.run(5*ms, time.Second)
		if held := f.pool.Members()[0].InFlight(); held == 0 || held > 10 {
			t.Errorf("%d of 200 requests went to an endpoint that never answered", held)
		}
		if share := f.run(5*ms, 2*time.Minute)["e1:80"]; share > 0 {
			t.Errorf("it has share %.4f while requests wait for it", share)
		}
		if share := f.run(ms/5, 2*time.Second)["e1:80"]; share > 0 { // the others have far more in flight now
			t.Errorf("it has share %.4f of heavy load while requests wait for it", share)
		}
		// Its clients leave: that is all that becomes known of it.
		f.abandon()
		if share := f.run(5*ms, 20*time.Second)["e1:80"]; share > 0 {
			t.Errorf("it has share %.4f after its clients left", share)
		}
	})
}

// TestPeakEWMAIsNotAttractedByFailures: an endpoint that fails fast is no quick
// one, whether it ever answered or not, and whatever the others take.
func TestPeakEWMAIsNotAttractedByFailures(t *testing.T) {
	for _, took := range []time.Duration{10 * ms, 100 * ms, 5 * time.Second} {
		for _, before := range []time.Duration{0, time.Minute} {
			t.Run(took.String()+" after "+before.String(), func(t *testing.T) {
				answers := map[string]answer{"e1:80": {after: took}, "e2:80": {after: took}, "e3:80": {after: took}}
				ewma(t, []int{1, 1, 1}, answers, func(f *traffic) {
					interval := took / 4
					if before > 0 {
						f.run(interval, before)
					}
					answers["e1:80"] = answer{after: ms, failed: true}
					f.run(interval, time.Minute)
					if share := f.run(interval, 10*time.Minute)["e1:80"]; share > 0.12 {
						t.Errorf("failing, it has share %.3f", share)
					}
				})
			})
		}
	}
}

// TestPeakEWMAProbesTheUnknown: an endpoint that is new gets one request, and no
// second before that was answered.
func TestPeakEWMAProbesTheUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		answers := map[string]answer{"e1:80": {after: 10 * ms}, "e2:80": {after: 10 * ms}}
		f := newTraffic(t, w.serve(policyPool("PeakEWMA", equal(2)))[0], answers)
		defer f.abandon()
		f.run(5*ms, time.Minute)
		f.pool = w.serve(policyPool("PeakEWMA", equal(3)))[0] // e3 never answers
		f.run(5*ms, 10*time.Second)
		if n := f.pool.Members()[2].InFlight(); n != 1 {
			t.Errorf("a new endpoint has %d requests before it answered one", n)
		}
	})
}

// TestPeakEWMAOutlivesReloads: what was learnt of an endpoint is known to the
// pools of later policies, and that a pool was balanced otherwise meanwhile does
// no harm.
func TestPeakEWMAOutlivesReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		answers := map[string]answer{"e1:80": {after: time.Second}, "e2:80": {after: 10 * ms}}
		f := newTraffic(t, w.serve(policyPool("PeakEWMA", equal(2)))[0], answers)
		defer f.abandon()
		f.run(10*ms, 10*time.Second)
		f.pool = w.serve(policyPool("PeakEWMA", equal(2)))[0]
		// It is not even asked once: that would be learning anew.
		if share := f.run(10*ms, 2*time.Second)["e1:80"]; share > 0 {
			t.Errorf("after a reload the slow one has share %.3f", share)
		}
		f.pool = w.serve(policyPool("RoundRobin", equal(2)))[0]
		f.run(10*ms, 10*time.Second)
		f.pool = w.serve(policyPool("PeakEWMA", equal(2)))[0]
		f.run(10*ms, 10*time.Second)
		answers["e1:80"] = answer{after: 10 * ms}
		f.run(10*ms, time.Minute)
		within(t, "quick again", f.run(10*ms, time.Minute)["e1:80"], 0.5, 0.2)
	})
}

// TestPeakEWMATimesStreamedBodiesFromTheirEnd: how long a client takes to send a
// body is not the endpoint's doing.
func TestPeakEWMATimesStreamedBodiesFromTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorld(t).serve(policyPool("PeakEWMA", equal(2)))[0]
		a, b := p.Members()[0].Endpoint, p.Members()[1].Endpoint
		slow := b.Wait(true)
		time.Sleep(100 * ms)
		slow.Answered(0)
		upload, early := a.Wait(false), a.Wait(false)
		time.Sleep(time.Minute)
		slow = b.Wait(true)
		time.Sleep(100 * ms)
		slow.Answered(0)
		upload.Answered(10 * ms)
		early.Answered(-1)
		rnd := seeded(t)
		if got := shares(t, p, rnd, 100)[a.Address]; got < 0.999 {
			t.Errorf("share %.2f: the upload was held against the endpoint", got)
		}
		upload.Failed()
		if got := shares(t, p, rnd, 100)[a.Address]; got != 0 {
			t.Errorf("share %.2f after its answer broke off", got)
		}
	})
}

// TestPeakEWMABoundsFailures: a failure counts for a minute at most however long
// it took, a body that breaks off for no more than what fails at once, and what
// never got to the endpoint for nothing.
func TestPeakEWMABoundsFailures(t *testing.T) {
	fail := func(e *pool.Endpoint, whole bool, after time.Duration, answered bool) {
		w := e.Wait(whole)
		if answered {
			w.Answered(10 * ms)
		}
		time.Sleep(after)
		w.Failed()
	}
	for name, x := range map[string]struct {
		play func(*pool.Endpoint)
		took time.Duration // as which it counts
	}{
		"refused":         {func(e *pool.Endpoint) { fail(e, true, 0, false) }, time.Second},
		"silent":          {func(e *pool.Endpoint) { fail(e, true, 20*time.Second, false) }, 20 * time.Second},
		"silent for long": {func(e *pool.Endpoint) { fail(e, true, time.Hour, false) }, time.Minute},
		"a long body":     {func(e *pool.Endpoint) { fail(e, true, time.Hour, true) }, time.Second},
		"a long upload":   {func(e *pool.Endpoint) { fail(e, false, time.Hour, false) }, time.Second},
		"after long up":   {func(e *pool.Endpoint) { fail(e, false, time.Hour, true) }, time.Second},
		"twice":           {func(e *pool.Endpoint) { fail(e, true, 0, false); fail(e, true, 0, false) }, 2 * time.Second},
		"after an answer of two minutes": {func(e *pool.Endpoint) {
			w := e.Wait(true)
			time.Sleep(2 * time.Minute)
			w.Answered(0)
			fail(e, true, 0, false)
		}, 2 * time.Minute},
		"never sent": {func(e *pool.Endpoint) {
			w := e.Wait(true)
			time.Sleep(10 * ms)
			w.Answered(0)
			w = e.Wait(true)
			time.Sleep(500 * ms)
			w.Excluded()
		}, 10 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for took, want := range map[time.Duration]float64{x.took * 9 / 10: 0, x.took * 11 / 10: 1} {
					p := newWorld(t).serve(policyPool("PeakEWMA", equal(2)))[0]
					a, b := p.Members()[0].Endpoint, p.Members()[1].Endpoint
					x.play(a)
					w := b.Wait(false)
					w.Answered(took)
					if got := shares(t, p, seeded(t), 100)[a.Address]; math.Abs(got-want) > 0.001 {
						t.Errorf("beside one that takes %v: share %.2f, want %v", took, got, want)
					}
				}
			})
		})
	}
}

func TestPeakEWMAAllocatesNothing(t *testing.T) {
	p := newWorld(t).serve(policyPool("PeakEWMA", endpoints(1, 2, 3)))[0]
	rnd := seeded(t)
	if n := testing.AllocsPerRun(1000, func() {
		e, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
		e.Begin(nil)
		w := e.Wait(true)
		w.Answered(0)
		e.End()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
