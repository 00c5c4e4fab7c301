package names_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/names"
)

// What an answer makes of a name's addresses, answer after answer; what is told,
// and how often it is logged.
func TestAnswers(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		var want []event.Resolution
		logged := map[string]int{}
		for i, step := range []struct {
			answer  answer
			has     string
			changed bool
			log     string // the line that is new; empty: none is
			fails   string
		}{
			{answer{err: errNoHost}, "", false, "its pools do without", "no such host"},
			{answer{err: errors.New("timed out")}, "", false, "", "timed out"},
			{answer{addresses: "10.0.0.2 10.0.0.1"}, "10.0.0.1 10.0.0.2", true, "can be resolved again", ""},
			{answer{addresses: "10.0.0.1 10.0.0.2"}, "10.0.0.1 10.0.0.2", false, "", ""}, // in another order
			{answer{addresses: "10.0.0.2 10.0.0.3"}, "10.0.0.2 10.0.0.3", true, "changed", ""},
			{answer{err: errNoHost}, "10.0.0.2 10.0.0.3", false, "the addresses found last stay", "no such host"},
			{answer{}, "10.0.0.2 10.0.0.3", false, "", "without an address"},
			{answer{addresses: "0.0.0.0"}, "10.0.0.2 10.0.0.3", false, "", "none of its 1 addresses"},
			{answer{err: errNoHost, addresses: "10.0.0.9"}, "10.0.0.2 10.0.0.3", false, "", "no such host"},
			{answer{addresses: "10.0.0.3 10.0.0.2"}, "10.0.0.2 10.0.0.3", false, "can be resolved again", ""},
			{answer{}, "10.0.0.2 10.0.0.3", false, "the addresses found last stay", "without an address"},
			{answer{addresses: "10.0.0.2"}, "10.0.0.2", true, "can be resolved again", ""},
		} {
			s.say("a.test", step.answer)
			if i == 0 {
				s.learn(t, time.Second, "a.test")
			} else {
				for len(s.events()) == i {
					time.Sleep(50 * time.Millisecond)
				}
			}
			if got := s.of("a.test"); got != step.has {
				t.Fatalf("answer %d: addresses %q, want %q", i, got, step.has)
			}
			select {
			case <-s.Changed():
				if !step.changed {
					t.Errorf("answer %d: told as a change", i)
				}
			default:
				if step.changed {
					t.Errorf("answer %d: not told as a change", i)
				}
			}
			last := s.events()[i]
			if (last.Err == nil) != (step.fails == "") || last.Err != nil && !strings.Contains(last.Err.Error(), step.fails) {
				t.Errorf("answer %d: error %v, want %q", i, last.Err, step.fails)
			}
			want = append(want, event.Resolution{Host: "a.test", Addresses: len(strings.Fields(step.has)), Changed: step.changed})
			for _, text := range []string{"its pools do without", "the addresses found last stay", "can be resolved again"} {
				n := s.logged(text)
				if news := n - logged[text]; (news == 1) != (text == step.log) || news > 1 {
					t.Errorf("answer %d: %q was logged %d times", i, text, news)
				}
				logged[text] = n
			}
		}
		if diff := cmp.Diff(want, s.events(), cmpopts.IgnoreFields(event.Resolution{}, "Err", "At")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if n := s.logged("changed"); n != 3 {
			t.Errorf("%d changes were logged:\n%s", n, s.log.String())
		}
	})
}

// Which addresses of an answer are endpoints.
func TestAddresses(t *testing.T) {
	var many, first strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&many, "10.0.%d.%d ", (1199-i)/250, (1199-i)%250)
	}
	for i := range 1000 {
		fmt.Fprintf(&first, " 10.0.%d.%d", i/250, i%250)
	}
	for name, c := range map[string]struct{ found, want, log string }{
		"sorted, each once":   {"10.0.0.10 10.0.0.9 10.0.0.10", "10.0.0.9 10.0.0.10", ""},
		"both versions":       {"2001:db8::2 10.0.0.1", "10.0.0.1 [2001:db8::2]", ""},
		"IPv4 within IPv6":    {"::ffff:10.0.0.1 10.0.0.1 ::ffff:10.0.0.2", "10.0.0.1 10.0.0.2", ""},
		"of no one server":    {"0.0.0.0 :: 224.0.0.1 ff02::1 ::ffff:0.0.0.0 invalid 10.0.0.1", "10.0.0.1", ""},
		"zones":               {"fe80::1%eth0 2001:db8::1", "[2001:db8::1]", ""},
		"loopback":            {"127.0.0.1 ::1", "127.0.0.1 [::1]", ""},
		"not more than 1,000": {many.String(), first.String()[1:], "unused=200"},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, s *shelf) {
				s.say("a.test", answer{addresses: c.found})
				s.learn(t, time.Second, "a.test")
				time.Sleep(10 * time.Second)
				if got := s.of("a.test"); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				if got, want := s.events()[0].Addresses, len(strings.Fields(c.want)); got != want {
					t.Errorf("told of %d addresses, want %d", got, want)
				}
				if n := s.logged("more addresses than are used"); n != strings.Count(c.log, "unused") || !strings.Contains(s.log.String(), c.log) {
					t.Errorf("logged %d times", n)
				}
			})
		})
	}
}

// How long a policy waits for its names.
func TestLearn(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("quick.test", answer{addresses: "10.0.0.1", takes: 300 * time.Millisecond})
		s.say("slow.test", answer{addresses: "10.0.0.2", takes: 1900 * time.Millisecond})
		s.say("late.test", answer{addresses: "10.0.0.3", takes: 3 * time.Second})
		s.say("hung.test", answer{hangs: true})
		if took := s.learn(t, time.Hour, "quick.test"); took != 300*time.Millisecond {
			t.Errorf("a quick answer was waited for %v", took)
		}
		if took := s.learn(t, time.Hour, "quick.test"); took != 0 || s.of("quick.test") != "10.0.0.1" || len(s.times("quick.test")) != 1 {
			t.Errorf("a known name was waited for %v; looked up at %v", took, s.times("quick.test"))
		}
		if took := s.learn(t, time.Hour, "quick.test", "nowhere.test"); took != 0 {
			t.Errorf("a failure was waited for %v", took)
		}
		if s.logged("have no answer yet") != 0 {
			t.Errorf("names are called late that were not:\n%s", s.log.String())
		}
		if took := s.learn(t, time.Hour, "quick.test", "slow.test", "late.test", "hung.test"); took != 2*time.Second || s.of("slow.test") != "10.0.0.2" || s.of("late.test") != "" {
			t.Errorf("late ones were waited for %v", took)
		}
		if !strings.Contains(s.log.String(), `names="[hung.test late.test]" count=2`) {
			t.Errorf("the log does not say which:\n%s", s.log.String())
		}
		// They are not new any more.
		if took := s.learn(t, time.Hour, "quick.test", "slow.test", "late.test", "hung.test"); took != 0 {
			t.Errorf("late ones were waited for again, %v", took)
		}
		<-s.Changed()
		time.Sleep(1500 * time.Millisecond)
		select {
		case <-s.Changed():
		default:
			t.Error("a late answer is no change")
		}
		if got := s.of("late.test"); got != "10.0.0.3" {
			t.Errorf("the late answer is %q", got)
		}
		s.say("hung.test", answer{addresses: "10.0.0.4"})
		time.Sleep(5 * time.Second)
		if got := s.of("hung.test"); got != "10.0.0.4" {
			t.Errorf("after one look-up that hung the name has %q", got)
		}
	})
}

// Whoever waits may be called off.
func TestLearnIsCanceled(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("hung.test", answer{hangs: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Learn(ctx, names.Hosts{"hung.test": time.Hour}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A name that is kept keeps its answers; one that is not is looked up no more,
// and what was known of it is forgotten.
func TestKeep(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("a.test", answer{addresses: "10.0.0.1"})
		s.say("b.test", answer{addresses: "10.0.0.2"})
		s.say("hung.test", answer{hangs: true})
		s.learn(t, 10*time.Second, "a.test", "b.test", "hung.test")
		s.Keep(names.Hosts{"a.test": 10 * time.Second})
		synctest.Wait()
		if now, _ := s.load(); now != 0 {
			t.Error("a look-up of a forgotten name goes on")
		}
		time.Sleep(time.Minute)
		if a, b := len(s.times("a.test")), len(s.times("b.test")); a < 5 || b != 1 {
			t.Errorf("%d and %d look-ups", a, b)
		}
		if s.of("a.test") != "10.0.0.1" || s.of("b.test") != "" {
			t.Errorf("addresses %q and %q", s.of("a.test"), s.of("b.test"))
		}
		for _, r := range s.events() {
			if r.Host == "hung.test" {
				t.Errorf("what was called off is told: %+v", r)
			}
		}
		s.say("b.test", answer{hangs: true})
		if took := s.learn(t, 10*time.Second, "a.test", "b.test"); took != 2*time.Second || s.of("b.test") != "" {
			t.Errorf("a name that came back was waited for %v and has %q", took, s.of("b.test"))
		}
	})
}

// However many names there are, few look-ups run at a time, and each has its
// turn.
func TestLookUpsTakeTurns(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		var hosts []string
		for i := range 100 {
			hosts = append(hosts, fmt.Sprintf("n%d.test", i))
			s.say(hosts[i], answer{hangs: i%2 == 0, addresses: "10.0.0.1", takes: time.Second})
		}
		s.learn(t, time.Hour, hosts...)
		time.Sleep(time.Minute)
		if _, most := s.load(); most != 16 {
			t.Errorf("%d at a time, want 16", most)
		}
		for i, h := range hosts {
			if n := len(s.times(h)); n == 0 {
				t.Errorf("%s was never looked up", h)
			}
			if i%2 == 1 && s.of(h) != "10.0.0.1" {
				t.Errorf("%s has %q", h, s.of(h))
			}
		}
	})
}

// Close waits for nobody's answer.
func TestCloseWhileAsking(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		var hosts []string
		for i := range 100 { // some ask, some wait for their turn
			hosts = append(hosts, fmt.Sprintf("n%d.test", i))
			s.say(hosts[i], answer{hangs: true})
		}
		s.say("a.test", answer{addresses: "10.0.0.1"})
		s.learn(t, time.Hour, "a.test")
		s.learn(t, time.Hour, append(hosts, "a.test")...)
		began := time.Now()
		s.Close()
		took := time.Since(began)
		if now, _ := s.load(); took != 0 || now != 0 {
			t.Errorf("took %v; %d look-ups run", took, now)
		}
		if s.of("a.test") != "10.0.0.1" {
			t.Error("a closed book forgets")
		}
		if n := s.logged("cannot be resolved"); n != 0 {
			t.Errorf("what was called off is logged as a failure:\n%s", s.log.String())
		}
	})
}

// Without a resolver names have no addresses, and the log says why.
func TestNoResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		b := names.New(names.Options{Events: &event.Listener{NameResolved: func(r *event.Resolution) { failed = r.Err }}})
		defer b.Close()
		if err := b.Learn(t.Context(), names.Hosts{"a.test": time.Hour}); err != nil {
			t.Fatal(err)
		}
		if failed == nil || !strings.Contains(failed.Error(), "no resolver") {
			t.Errorf("told %v", failed)
		}
	})
}
