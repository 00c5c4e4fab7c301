package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
)

// TestProbes is about who may be a probe, and until when. Two at once are
// allowed, and each opening lasts 5 s.
func TestProbes(t *testing.T) {
	const (
		opened  = "closed>open consecutive_failures, open>half-open open_elapsed"
		again   = ", half-open>open probe_timeout, open>half-open open_elapsed"
		closing = ", half-open>closed probes_succeeded"
	)
	tests := []struct{ name, script, want string }{
		{"a lost probe opens", "f f f +5s p +30999ms =half-open +1ms =open - +4999ms - +1ms =half-open s",
			opened + again},
		{"the slots of lost probes are free again", "f f f +5s p p +36s p p - +36s s s =closed",
			opened + again + again + closing},
		{"each has a deadline of its own", "f f f +5s p +10s p S +20999ms =half-open +10s =half-open +1ms =open",
			opened + ", half-open>open probe_timeout"},
		{"it opens when the probe is late, not when that is seen", "f f f +5s p +35999ms - =open +1ms s",
			opened + again},
		{"long after", "f f f +5s p +1h s s =closed",
			opened + again + closing},
		{"just in time", "f f f +5s p +30s S +30s s =closed",
			opened + closing},
		{"late", "f f f +5s p +31s S =open +5s s =half-open s =closed",
			opened + again + closing},
		{"late and failed is told as late", "f f f +5s p +31s F =open",
			opened + ", half-open>open probe_timeout"},
		{"an excluded one has no deadline", "f f f +5s p X +1h =half-open s s =closed",
			opened + closing},
		{"one that is left is nothing", "f f f +5s p +9999ms U9999ms =half-open s s =closed",
			opened + closing},
		{"unless it waited for all the time there is", "f f f +5s p +10s U10s =open",
			opened + ", half-open>open probe_timeout"},
		{"those that are left one after the other are late together", "f f f +5s p +4s U4s +1m p +4s U4s =half-open p +1999ms U1999ms =half-open p +1ms U1ms =open",
			opened + ", half-open>open probe_timeout"},
		{"those at once wait once", "f f f +5s p p +6s U6s U6s =half-open p p +2s U2s +2s U4s =open",
			opened + ", half-open>open probe_timeout"},
		{"an answer between makes them forgotten", "f f f +5s p +6s U6s s p +6s U6s =half-open s =closed",
			opened + closing},
		{"an answer meanwhile too", "f f f +5s p +9s s +2s U11s =half-open s =closed",
			opened + closing},
		{"one of an earlier period says nothing in the next", "f f f +5s p p F +5s p +20s U20s =half-open",
			opened + ", half-open>open probe_failed, open>half-open open_elapsed"},
		{"one of an earlier half-open period is under way still", "f f f +5s p p F =open +5s p - F =half-open p - S S =closed",
			opened + ", half-open>open probe_failed, open>half-open open_elapsed" + closing},
		{"until it is late", "f f f +5s p p F =open +30999ms p - +1ms p -",
			opened + ", half-open>open probe_failed, open>half-open open_elapsed"},
		{"its lateness opens nothing", "f f f +5s p f =open +20s p +11s =half-open S S =half-open s =closed",
			opened + ", half-open>open probe_failed, open>half-open open_elapsed" + closing},
		{"while open none is let through for one", "f f f +5s p p F +5s p - =half-open",
			opened + ", half-open>open probe_failed, open>half-open open_elapsed"},

		{"reluctant like any while closed", "pr pr pr F F F =open -r", "closed>open consecutive_failures"},
		{"reluctant after the open time again", "f f f +5s -r +4999ms -r =half-open +1ms pr -r",
			opened},
		{"reluctant after a taken probe", "f f f +5s p +4999ms -r +1ms pr -r - S S =closed",
			opened + closing},
		{"reluctant after the last taken probe", "f f f +5s p S +1s s =closed f f f +5s p X +4s p X +4999ms -r +1ms pr",
			opened + closing + ", closed>open consecutive_failures, open>half-open open_elapsed"},
		{"reluctant alone", "f f f +10s pr S -r +5s pr S =closed",
			opened + closing},
		{"reluctant never beyond the slots", "f f f +5s p p +20s -r S -r S =closed",
			opened + closing},
		{"reluctant after a lost probe", "f f f +5s p +40999ms -r +1ms pr",
			opened + again},
		{"willing before reluctant", "f f f +10s p +4999ms -r p",
			opened},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				play(t, breaker.New(usual, nil, r.changed), tt.script)
				if got := r.String(); got != tt.want {
					t.Errorf("transitions\n got %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

// TestLateProbeIsSeen asks each method first after a probe was lost: all have to
// know.
func TestLateProbeIsSeen(t *testing.T) {
	methods := map[string]func(b *breaker.Breaker){
		"Allow":          func(b *breaker.Breaker) { b.Allow(breaker.Willing) },
		"AllowUnwilling": func(b *breaker.Breaker) { b.Allow(breaker.Unwilling) },
		"Admits":         func(b *breaker.Breaker) { b.Admits(breaker.Willing) },
		"State":          func(b *breaker.Breaker) { b.State() },
		"Trips":          func(b *breaker.Breaker) { b.Trips() },
		"Update":         func(b *breaker.Breaker) { b.Update(usual) },
	}
	for name, ask := range methods {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				b := breaker.New(usual, nil, r.changed)
				play(t, b, "f f f +5s p")
				time.Sleep(lost)
				ask(b)
				want := "closed>open consecutive_failures, open>half-open open_elapsed, half-open>open probe_timeout"
				if got := r.String(); got != want {
					t.Errorf("transitions\n got %s\nwant %s", got, want)
				}
				if s, until := b.State(); s != breaker.Open || time.Until(until) != usual.OpenDuration {
					t.Errorf("%s for %v", s, time.Until(until))
				}
			})
		})
	}
}
