package breaker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
)

// recorder notes transitions as "closed>open consecutive_failures".
type recorder struct {
	mu  sync.Mutex
	all []string
}

func (r *recorder) changed(from, to breaker.State, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fmt.Sprintf("%s>%s %s", from, to, reason))
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, ", ")
}

var usual = breaker.Settings{
	ConsecutiveFailures: 3, FailurePercent: 50, MinRequests: 10,
	Interval: 10 * time.Second, OpenDuration: 5 * time.Second, HalfOpenRequests: 2,
}

// lost is after how long a probe without a result is given up.
const lost = breaker.ProbeTimeout + time.Second

// TestScript runs a breaker through a script of one step a word:
//
//	s f x   a request that succeeds, fails, is excluded, all at once
//	-       a request that must be refused
//	p       a request that must be allowed and stays under way
//	pr -r   the same of a reluctant request
//	S F X   the result of the oldest under way
//	U3s     it waited for 3 s in vain, of 10 s
//	+3s     time passes
//	=open   the state must be open
func TestScript(t *testing.T) {
	with := func(change func(*breaker.Settings)) breaker.Settings {
		s := usual
		change(&s)
		return s
	}
	percentOnly := with(func(s *breaker.Settings) { s.ConsecutiveFailures = 0 })
	consecutiveOnly := with(func(s *breaker.Settings) { s.FailurePercent = 0 })
	tests := []struct {
		name     string
		settings breaker.Settings
		script   string
		want     string // transitions
	}{
		{"stays closed", usual, "s f f s f f s =closed", ""},
		{"consecutive failures", usual, "s f f f =open -", "closed>open consecutive_failures"},
		{"excluded is nothing", usual, "f f x x x =closed f =open", "closed>open consecutive_failures"},
		{"failures far apart are consecutive still", consecutiveOnly, "f +1m f +1m f =open", "closed>open consecutive_failures"},
		{"a success is between", usual, "f f s f f =closed f =open", "closed>open consecutive_failures"},
		{"failures that took longer than the interval", usual, "p p p +30s F F F =open", "closed>open consecutive_failures"},
		{"slow failures count in the window", percentOnly, "p p p p p p p p p p +30s S S S S S F F F F =closed F =open", "closed>open failure_percent"},
		{"percent needs its minimum", percentOnly, "f f f f f f f f f =closed f =open", "closed>open failure_percent"},
		{"percent below", percentOnly, "s s s s s s f f f f f =closed f =open", "closed>open failure_percent"},
		{"excluded is not in the percentage", percentOnly, "s s s s s s x x x x x x x x f f f f f =closed f =open", "closed>open failure_percent"},
		{"in flight is not in the percentage", percentOnly, "p p p p p p p p p p p p f s f s f s f s f =closed f =open", "closed>open failure_percent"},
		{"window forgets", percentOnly, "f f f f f f f f f +11s f =closed", ""},
		{"window moves in steps", percentOnly, "s s s s s s s s +6s f f f f +6s f =closed f f f f f =open", "closed>open failure_percent"},
		{"open for the whole time", usual, "f f f +4999ms - =open +1ms =half-open",
			"closed>open consecutive_failures"},
		{"closes after the probes", usual, "f f f +5s s =half-open s =closed s",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded"},
		{"first failed probe opens", usual, "f f f +5s s f =open - +5s =half-open",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>open probe_failed"},
		{"no more probes than asked for", usual, "f f f +5s p p - - S - S =closed",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded"},
		{"an excluded probe frees its slot", usual, "f f f +5s p p - X p - X X p p - S S =closed",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded"},
		{"unanswered is nothing while closed", usual, "f f p U1h =closed f =open", "closed>open consecutive_failures"},
		{"results from before it opened are void", usual, "p p p f f f =open F +5s =half-open F S =half-open s s =closed",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded"},
		{"results from before it closed are void", usual, "p p p f f f +5s s s =closed F F F =closed f f =closed f =open",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded, closed>open consecutive_failures"},
		{"a late probe is void", usual, "f f f +5s p f =open S +5s s s =closed",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>open probe_failed, open>half-open open_elapsed, half-open>closed probes_succeeded"},
		{"counting begins anew after closing", percentOnly, "f f f f f f f f f f =open +5s s s =closed f f f f f f f f f =closed f =open",
			"closed>open failure_percent, open>half-open open_elapsed, half-open>closed probes_succeeded, closed>open failure_percent"},
		{"no interval: since it closed", with(func(s *breaker.Settings) { s.ConsecutiveFailures, s.Interval = 0, 0 }), "f f f f f f f f f +1h f =open",
			"closed>open failure_percent"},
		{"at least one probe", with(func(s *breaker.Settings) { s.HalfOpenRequests = 0 }), "f f f +5s p - S =closed",
			"closed>open consecutive_failures, open>half-open open_elapsed, half-open>closed probes_succeeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				play(t, breaker.New(tt.settings, nil, r.changed), tt.script)
				if got := r.String(); got != tt.want {
					t.Errorf("transitions\n got %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

// play returns what is still under way.
func play(t *testing.T, b *breaker.Breaker, script string, underway ...func(error)) []func(error) {
	t.Helper()
	results := map[string]error{"s": nil, "f": errors.New("any other error fails too"), "x": breaker.Excluded}
	for i, step := range strings.Fields(script) {
		where := fmt.Sprintf("step %d %q", i+1, step)
		if rest, ok := strings.CutPrefix(step, "+"); ok {
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			continue
		}
		if want, ok := strings.CutPrefix(step, "="); ok {
			if got, _ := b.State(); string(got) != want {
				t.Fatalf("%s: state %s", where, got)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(step, "U"); ok {
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			underway[0](breaker.Unanswered{Waited: d, Limit: 10 * time.Second})
			underway = underway[1:]
			continue
		}
		if strings.ContainsAny(step, "SFX") {
			underway[0](results[strings.ToLower(step)])
			underway = underway[1:]
			continue
		}
		how := breaker.Willing
		if len(step) == 2 {
			step, how = step[:1], breaker.Reluctant
		}
		admits := b.Admits(how)
		before, _ := b.State()
		if _, _, ok := b.Allow(breaker.Unwilling); ok != (before == breaker.Closed) {
			t.Fatalf("%s: %s, Allow(Unwilling) %v", where, before, ok)
		}
		done, probe, ok := b.Allow(how)
		if ok != (step != "-") || admits != ok {
			t.Fatalf("%s: allowed %v, Admits %v", where, ok, admits)
		}
		if probe != (ok && before != breaker.Closed) {
			t.Fatalf("%s: %s, a probe: %v", where, before, probe)
		}
		switch {
		case !ok:
		case step == "p":
			underway = append(underway, done)
		default:
			done(results[step])
		}
	}
	return underway
}

func TestStateTellsUntilWhenItIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(usual, nil, nil)
		if s, until := b.State(); s != breaker.Closed || !until.IsZero() {
			t.Errorf("closed: %s until %v", s, until)
		}
		play(t, b, "f f f")
		want := time.Now().Add(usual.OpenDuration)
		time.Sleep(time.Second)
		if s, until := b.State(); s != breaker.Open || !until.Equal(want) {
			t.Errorf("open: %s until %v, want %v", s, until, want)
		}
		time.Sleep(4 * time.Second)
		if s, until := b.State(); s != breaker.HalfOpen || !until.IsZero() {
			t.Errorf("elapsed: %s until %v", s, until)
		}
	})
}

func TestNil(t *testing.T) {
	b := breaker.New(breaker.Settings{MinRequests: 1, OpenDuration: time.Second}, nil, nil)
	if b != nil {
		t.Fatal("a breaker that cannot trip was built")
	}
	b.Update(usual)
	for range 10 {
		done, _, ok := b.Allow(breaker.Willing)
		if !ok || !b.Admits(breaker.Willing) {
			t.Fatal("refused")
		}
		done(breaker.Failed)
		if done, _, ok = b.Allow(breaker.Unwilling); !ok {
			t.Fatal("refused")
		}
		done(breaker.Failed)
	}
	if s, until := b.State(); s != breaker.Closed || !until.IsZero() {
		t.Errorf("%s until %v", s, until)
	}
}

func TestUpdate(t *testing.T) {
	stricter := usual
	stricter.ConsecutiveFailures = 2
	longer := usual
	longer.OpenDuration = time.Minute
	shorter := usual
	shorter.OpenDuration = 2 * time.Second
	off := breaker.Settings{OpenDuration: time.Second, HalfOpenRequests: 2}
	wider := usual
	wider.Interval = time.Minute
	more := usual
	more.HalfOpenRequests = 3
	one := usual
	one.HalfOpenRequests = 1
	growing := usual
	growing.MaxOpenDuration = 20 * time.Second
	tests := []struct {
		name          string
		before, after string
		settings      breaker.Settings
	}{
		{"threshold", "f", "f =open", stricter},
		{"threshold passed already", "f f", "=closed f =open", stricter},
		{"open stays open", "f f f", "- =open +5s =half-open", wider},
		{"open for longer", "f f f +4s", "- =open +55999ms =open - +1ms =half-open", longer},
		{"open for less", "f f f +1s", "- =open +999ms =open - +1ms =half-open", shorter},
		{"open for long enough", "f f f +4s", "=half-open s s =closed", shorter},
		{"the open time was over already", "f f f +5s", "=half-open s s =closed", longer},
		{"half-open stays so", "f f f +5s p", "=half-open F =open +59s - +1s =half-open", longer},
		{"interval while closed keeps the failures in a row", "f f", "f =open", wider},
		{"interval while open", "f f f", "- +5s s s =closed f f f =open", wider},
		{"interval while half-open", "f f f +5s s", "=half-open s =closed", wider},
		{"results under way count", "p p p", "F F F =open", wider},
		{"more probes", "f f f +5s p p -", "p - S S =half-open S =closed", more},
		{"fewer probes", "f f f +5s p p", "- S =closed", one},
		{"fewer probes than are under way", "f f f +5s p p X", "- X p - S =closed", one},
		{"fewer probes than succeeded close", "f f f +5s s", "=closed", one},
		{"fewer probes than are under way and succeeded close", "f f f +5s p s", "=closed F =closed", one},
		{"the trips in a row are kept", "f f f +5s f +5s f", "=open +19999ms - +1ms f =open +19999ms - +1ms =half-open", growing},
		{"no growth any more", "f f f +5s f +5s f +5s f", "=open +5s f =open +4999ms - +1ms =half-open", usual},
		{"a late probe is late by the old settings", "f f f +5s p p +34s", "=open +57s p", longer},
		{"turned off while open", "f f f", "=closed f f f f f f f f f f f f f f =closed", off},
		{"turned off while half-open", "f f f +5s p p", "=closed F F =closed s f f f f f f =closed", off},
		{"turned off while closed", "f f", "=closed f f f =closed", off},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(usual, nil, nil)
				underway := play(t, b, tt.before)
				b.Update(tt.settings)
				play(t, b, tt.after, underway...)
			})
		})
	}
}

func TestAllocations(t *testing.T) {
	b := breaker.New(usual, nil, nil)
	check := func(what string, most float64, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, f); n > most {
			t.Errorf("%s: %v allocations, at most %v", what, n, most)
		}
	}
	i := 0
	check("Allow and done, closed", 0, func() {
		done, _, _ := b.Allow(breaker.Willing)
		if i++; i%3 == 0 {
			done(breaker.Failed)
		} else {
			done(nil)
		}
	})
	check("Allow(Unwilling) and done", 0, func() { done, _, _ := b.Allow(breaker.Unwilling); done(nil) })
	check("Admits and State, closed", 0, func() { b.Admits(breaker.Willing); b.State() })
	var none *breaker.Breaker
	check("nil", 0, func() { done, _, _ := none.Allow(breaker.Willing); done(nil) })
	s := usual
	s.OpenDuration = time.Nanosecond
	b = breaker.New(s, nil, nil)
	for range 3 {
		done, _, _ := b.Allow(breaker.Willing)
		done(breaker.Failed)
	}
	time.Sleep(time.Millisecond)
	check("probe", 1, func() { done, _, _ := b.Allow(breaker.Willing); done(breaker.Excluded) })
	if s, _ := b.State(); s != breaker.HalfOpen {
		t.Fatalf("state %s", s)
	}
}

func BenchmarkAllowDone(b *testing.B) {
	cb := breaker.New(usual, nil, nil)
	for b.Loop() {
		done, _, _ := cb.Allow(breaker.Willing)
		done(nil)
	}
}

func BenchmarkAdmits(b *testing.B) {
	cb := breaker.New(usual, nil, nil)
	for b.Loop() {
		cb.Admits(breaker.Willing)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		breaker.New(usual, nil, nil)
	}
}
