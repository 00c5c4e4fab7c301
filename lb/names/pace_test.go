package names_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/names"
)

// When a name is looked up again: each gap lies within its bounds, and they are
// not all the same.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		interval time.Duration
		answer   answer
		least    []time.Duration // of the gaps; the last one is that of all further ones
		most     []time.Duration
		even     bool // no jitter
	}{
		"interval":              {10 * time.Second, answer{addresses: "10.0.0.1"}, []time.Duration{9000 * ms}, []time.Duration{11000 * ms}, false},
		"short interval":        {100 * ms, answer{addresses: "10.0.0.1"}, []time.Duration{90 * ms}, []time.Duration{110 * ms}, false},
		"shorter time to live":  {10 * time.Second, answer{addresses: "10.0.0.1", ttl: 5 * time.Second}, []time.Duration{4500 * ms}, []time.Duration{5500 * ms}, false},
		"longer time to live":   {10 * time.Second, answer{addresses: "10.0.0.1", ttl: time.Hour}, []time.Duration{9000 * ms}, []time.Duration{11000 * ms}, false},
		"tiny time to live":     {10 * time.Second, answer{addresses: "10.0.0.1", ttl: ms}, []time.Duration{1000 * ms}, []time.Duration{1000 * ms}, true},
		"a second to live":      {10 * time.Second, answer{addresses: "10.0.0.1", ttl: time.Second}, []time.Duration{1000 * ms}, []time.Duration{1100 * ms}, false},
		"negative time to live": {10 * time.Second, answer{addresses: "10.0.0.1", ttl: -time.Second}, []time.Duration{9000 * ms}, []time.Duration{11000 * ms}, false},
		"failures": {10 * time.Second, answer{err: errNoHost},
			[]time.Duration{900 * ms, 1800 * ms, 3600 * ms, 7200 * ms, 9000 * ms}, []time.Duration{1100 * ms, 2200 * ms, 4400 * ms, 8800 * ms, 11000 * ms}, false},
		"empty answers": {4 * time.Second, answer{ttl: time.Millisecond},
			[]time.Duration{900 * ms, 1800 * ms, 3600 * ms}, []time.Duration{1100 * ms, 2200 * ms, 4400 * ms}, false},
		"failures at a short interval": {100 * ms, answer{err: errNoHost}, []time.Duration{90 * ms}, []time.Duration{110 * ms}, false},
		// A look-up that hangs takes its 5 s first.
		"timeouts": {10 * time.Second, answer{hangs: true},
			[]time.Duration{5900 * ms, 6800 * ms, 8600 * ms, 12200 * ms, 14000 * ms}, []time.Duration{6100 * ms, 7200 * ms, 9400 * ms, 13800 * ms, 16000 * ms}, false},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, s *shelf) {
				s.say("a.test", c.answer)
				s.learn(t, c.interval, "a.test")
				time.Sleep(100 * c.most[len(c.most)-1])
				times := s.times("a.test")
				if len(times) < 80 {
					t.Fatalf("%d look-ups", len(times))
				}
				var gaps []time.Duration
				for i := 1; i < len(times); i++ {
					n := min(i-1, len(c.least)-1)
					gap := times[i] - times[i-1]
					if gap < c.least[n] || gap > c.most[n] {
						t.Fatalf("gap %d is %v, want %v to %v", i, gap, c.least[n], c.most[n])
					}
					gaps = append(gaps, gap)
				}
				gaps = gaps[len(c.least)-1:]
				spread := slices.Max(gaps) - slices.Min(gaps)
				if want := (c.most[len(c.most)-1] - c.least[len(c.least)-1]) / 2; !c.even && spread < want || c.even && spread > 0 {
					t.Errorf("gaps differ by %v, want %v", spread, want)
				}
			})
		})
	}
}

// A success after failures is followed by the interval, and the next failure by
// a second again.
func TestFailuresAreForgiven(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("a.test", answer{err: errNoHost})
		s.learn(t, time.Hour, "a.test")
		time.Sleep(5 * time.Minute)
		s.say("a.test", answer{addresses: "10.0.0.1", ttl: time.Minute})
		time.Sleep(5 * time.Minute)
		s.say("a.test", answer{err: errNoHost})
		time.Sleep(time.Minute + 8*time.Second)
		times := s.times("a.test")
		for i := len(times) - 1; ; i-- {
			if i == 0 {
				t.Fatalf("no gap of a second: %v", times)
			}
			if gap := times[i] - times[i-1]; gap < 1100*time.Millisecond {
				return
			} else if gap > 20*time.Second {
				t.Fatalf("after an answer, failures pause longer than at first: %v", times)
			}
		}
	})
}

// Numbers come from the seed and the name: the same run is the same run.
func TestSeed(t *testing.T) {
	run := func(seed uint64, others int) (out []time.Duration) {
		virtually(t, seed, func(t *testing.T, s *shelf) {
			hosts := []string{"a.test"}
			for i := range others {
				hosts = append(hosts, fmt.Sprintf("other-%d.test", i))
			}
			s.say("a.test", answer{addresses: "10.0.0.1"})
			s.learn(t, 10*time.Second, hosts...)
			time.Sleep(10 * time.Minute)
			out = s.times("a.test")
		})
		return out
	}
	one := run(7, 0)
	if !slices.Equal(one, run(7, 0)) || !slices.Equal(one, run(7, 10)) {
		t.Error("the same seed gave other times")
	}
	if slices.Equal(one, run(8, 0)) {
		t.Error("another seed gave the same times")
	}
}

// Names that are new at the same time do not stay in step.
func TestNamesFallOutOfStep(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.learn(t, 10*time.Second, "a.test", "b.test")
		s.say("a.test", answer{addresses: "10.0.0.1"})
		s.say("b.test", answer{addresses: "10.0.0.1"})
		time.Sleep(10 * time.Minute)
		if slices.Equal(s.times("a.test"), s.times("b.test")) {
			t.Error("they are always looked up together")
		}
	})
}

// Another interval holds at once, for the wait that is under way, too.
func TestIntervalChanges(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("a.test", answer{addresses: "10.0.0.1"})
		s.learn(t, 24*time.Hour, "a.test")
		time.Sleep(time.Minute)
		s.Keep(names.Hosts{"a.test": 10 * time.Second})
		synctest.Wait()
		if n := len(s.times("a.test")); n != 2 {
			t.Errorf("%d look-ups, want 2: the second one was due", n)
		}
		time.Sleep(time.Minute)
		if n := len(s.times("a.test")); n < 7 || n > 9 {
			t.Errorf("%d look-ups after a minute more", n)
		}
		s.Keep(names.Hosts{"a.test": time.Hour})
		before := len(s.times("a.test"))
		time.Sleep(50 * time.Minute)
		if n := len(s.times("a.test")); n != before {
			t.Errorf("%d look-ups at the longer interval", n-before)
		}
	})
}
