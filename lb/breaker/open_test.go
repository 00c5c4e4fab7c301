package breaker_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
)

// TestOpenTime is told what happens to a breaker, and for how long it is open
// then:
//
//	trip=5s   three requests fail
//	fail=5s   a probe fails, after the open time
//	late=5s   a probe is lost
//	close     the probes succeed
//	+30s      time passes
//	n=2       so many times in a row did it open
func TestOpenTime(t *testing.T) {
	tests := []struct {
		name      string
		base, max time.Duration
		script    string
	}{
		{"doubles up to the most", 5 * time.Second, 30 * time.Second, "n=0 trip=5s n=1 fail=10s n=2 fail=20s n=3 fail=30s n=4 fail=30s n=5"},
		{"exactly the most", 5 * time.Second, 20 * time.Second, "trip=5s fail=10s fail=20s fail=20s"},
		{"lost probes count", 5 * time.Second, 30 * time.Second, "trip=5s late=10s late=20s late=30s late=30s"},
		{"tripping again soon", 5 * time.Second, 30 * time.Second, "trip=5s close trip=10s close +29999ms trip=20s close +29999ms trip=30s n=4"},
		{"closed for long enough", 5 * time.Second, 30 * time.Second, "trip=5s fail=10s close n=2 +29999ms n=2 +1ms n=0 trip=5s n=1 fail=10s n=2"},
		{"short of it each time", 5 * time.Second, 30 * time.Second, "trip=5s close +20s trip=10s close +20s trip=20s"},
		{"the first trip soon after the start", 5 * time.Second, 30 * time.Second, "+1s trip=5s"},
		{"no most", 5 * time.Second, 0, "trip=5s fail=5s late=5s close trip=5s n=4 close +5s n=0"},
		{"most below the base", 5 * time.Second, time.Second, "trip=5s fail=5s close +4s trip=5s n=3 close +5s trip=5s n=1"},
		{"most equal to the base", 5 * time.Second, 5 * time.Second, "trip=5s fail=5s fail=5s"},
		{"most just above the base", 5 * time.Second, 5001 * time.Millisecond, "trip=5s fail=5001ms fail=5001ms"},
		{"does not overflow", time.Hour, math.MaxInt64, "trip=1h" + strings.Repeat(" fail=*", 70)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := usual
				s.OpenDuration, s.MaxOpenDuration = tt.base, tt.max
				b := breaker.New(s, nil, nil)
				until := func() time.Duration {
					_, at := b.State()
					return time.Until(at)
				}
				for i, step := range strings.Fields(tt.script) {
					what, want, _ := strings.Cut(step, "=")
					switch what {
					case "trip":
						play(t, b, "f f f")
					case "fail":
						if d := until(); d < math.MaxInt64/4 { // else it is for ever
							time.Sleep(d)
							play(t, b, "f")
						}
					case "late":
						time.Sleep(until())
						play(t, b, "p +31s")
					case "close":
						time.Sleep(until())
						play(t, b, "s s =closed")
						continue
					case "n":
						n, _ := b.Trips()
						if string(rune('0'+n)) != want {
							t.Errorf("step %d %q: %d times in a row", i+1, step, n)
						}
						continue
					default:
						play(t, b, step)
						continue
					}
					got := until()
					if want == "*" && got >= tt.base {
						continue
					}
					if d, err := time.ParseDuration(want); err != nil || got != d {
						t.Fatalf("step %d %q: open for %v", i+1, step, got)
					}
					if _, open := b.Trips(); open != got {
						t.Errorf("step %d %q: Trips says %v", i+1, step, open)
					}
				}
			})
		})
	}
}

// TestJitter looks at the first and at the longest open times.
func TestJitter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := usual
	s.MaxOpenDuration = 20 * time.Second
	opens := func(rand func() uint64) (first, longest time.Duration) {
		b := breaker.New(s, rand, nil)
		play(t, b, "f f f")
		_, until := b.State()
		first = time.Until(until)
		for range 3 {
			time.Sleep(time.Until(until))
			play(t, b, "f")
			_, until = b.State()
		}
		return first, time.Until(until)
	}
	synctest.Test(t, func(t *testing.T) {
		if first, longest := opens(func() uint64 { return 0 }); first != 5*time.Second || longest != 20*time.Second {
			t.Errorf("least: %v and %v", first, longest)
		}
		least, most := [2]float64{2, 2}, [2]float64{}
		for range 1000 {
			first, longest := opens(rnd.Uint64)
			for i, r := range []float64{first.Seconds() / 5, longest.Seconds() / 20} {
				if r < 1 || r > 1.1 {
					t.Fatalf("%v and %v", first, longest)
				}
				least[i], most[i] = min(least[i], r), max(most[i], r)
			}
		}
		for i := range least {
			if least[i] > 1.002 || most[i] < 1.098 { // of 1000: missed once in 10⁸
				t.Errorf("from %.4f to %.4f times the open time", least[i], most[i])
			}
		}
	})
}

// TestRepeatedTrips is pattern 7: the n-th trip needs the same evidence as the
// first (Envoy #40697: it needed less each time).
func TestRepeatedTrips(t *testing.T) {
	tests := []struct {
		name     string
		settings breaker.Settings
		pattern  string // again and again
		want     int    // results until it trips
	}{
		{"consecutive failures", breaker.Settings{ConsecutiveFailures: 5}, "f", 5},
		{"successes between", breaker.Settings{ConsecutiveFailures: 5}, "s f f f f s f f f f f", 11},
		{"failure percent", breaker.Settings{FailurePercent: 20, MinRequests: 20, Interval: 10 * time.Second}, "s s s s f", 20},
		{"all of the minimum", breaker.Settings{FailurePercent: 20, MinRequests: 20, Interval: 10 * time.Second}, "f", 20},
		{"the shipped ones", breaker.Settings{ConsecutiveFailures: 5, FailurePercent: 20, MinRequests: 20, Interval: 10 * time.Second}, "s s s s f", 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tt.settings
				s.OpenDuration, s.MaxOpenDuration, s.HalfOpenRequests = time.Second, 4*time.Second, 3
				b := breaker.New(s, nil, nil)
				for trip := 1; trip <= 8; trip++ {
					n := 0
					for pattern := strings.Fields(tt.pattern); ; n++ {
						if state, _ := b.State(); state != breaker.Closed {
							break
						}
						play(t, b, pattern[n%len(pattern)])
					}
					if n != tt.want {
						t.Errorf("trip %d after %d results, want %d", trip, n, tt.want)
					}
					if inARow, _ := b.Trips(); inARow != trip {
						t.Errorf("trip %d is the %d. in a row", trip, inARow)
					}
					_, until := b.State()
					time.Sleep(time.Until(until))
					play(t, b, "s s s =closed")
				}
			})
		})
	}
}
