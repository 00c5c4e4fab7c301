package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
)

// model says what a breaker does, as plainly as it can be said: it keeps
// everything that happened and counts it anew each time.
type model struct {
	s      breaker.Settings
	actual func() time.Duration // for how long the breaker opened last

	state   breaker.State
	period  int // number of changes of state
	since   time.Time
	until   time.Time
	trips   int
	open    time.Duration
	window  time.Time     // began
	results []result      // of the period
	before  int           // so many of them came before the window
	probes  []*ticket     // all there ever were
	silent  time.Duration // for how long probes of the period have waited in vain, since the last success
	heard   time.Time     // until when that was counted
	told    []string
	wrong   string
}

type result struct {
	at     time.Time
	failed bool
}

// ticket is a request that was allowed.
type ticket struct {
	done   func(error)
	period int
	probe  bool
	taken  time.Time
	ended  bool
}

func (m *model) turn(to breaker.State, reason string, at time.Time) {
	if to == breaker.Open {
		most := max(m.s.OpenDuration, m.s.MaxOpenDuration)
		if m.state == breaker.Closed && at.Sub(m.since) >= most {
			m.trips = 0
		}
		m.trips++
		m.until = at.Add(m.opens())
	}
	m.told = append(m.told, fmt.Sprintf("%s>%s %s", m.state, to, reason))
	m.state, m.since, m.window, m.results, m.before = to, at, at, nil, 0
	m.silent, m.heard = 0, time.Time{}
	m.period++
}

// openFor is for how long it opens by its settings, but for the jitter.
func (m *model) openFor() time.Duration {
	want := m.s.OpenDuration
	for range m.trips - 1 {
		want = min(2*want, max(m.s.OpenDuration, m.s.MaxOpenDuration))
	}
	return want
}

// opens is for how long it did.
func (m *model) opens() time.Duration {
	want := m.openFor()
	if m.open = m.actual(); m.open < want || m.open > want+want/10 {
		m.wrong = fmt.Sprintf("open for %v, want %v and up to a tenth", m.open, want)
	}
	return m.open
}

// look lets happen what time brought about.
func (m *model) look(now time.Time) {
	for _, p := range m.probes {
		if due := p.taken.Add(lost); !p.ended && !now.Before(due) {
			p.ended = true
			if p.period == m.period {
				m.turn(breaker.Open, breaker.ProbeTimedOut, due)
			}
		}
	}
}

func (m *model) cap() int { return max(1, m.s.HalfOpenRequests) }

// underway counts the probes that hold a slot: all, and those of this period.
func (m *model) underway() (all, own int) {
	for _, p := range m.probes {
		if !p.ended {
			all++
			if p.period == m.period {
				own++
			}
		}
	}
	return all, own
}

func (m *model) admits(how breaker.Probing, now time.Time) bool {
	if m.state == breaker.Closed {
		return true
	}
	all, own := m.underway()
	had := 0
	if m.state == breaker.HalfOpen {
		had = own + len(m.results)
	}
	if how == breaker.Unwilling || now.Before(m.until) || all >= m.cap() || had >= m.cap() {
		return false
	}
	if how == breaker.Willing {
		return true
	}
	free := m.until
	for _, p := range m.probes {
		if p.taken.After(free) {
			free = p.taken
		}
	}
	return now.Sub(free) >= m.s.OpenDuration
}

func (m *model) allow(t *ticket, now time.Time) {
	if m.state == breaker.Open {
		m.turn(breaker.HalfOpen, breaker.OpenElapsed, now)
	}
	t.period, t.taken, t.probe = m.period, now, m.state == breaker.HalfOpen
	if t.probe {
		m.probes = append(m.probes, t)
	}
}

func (m *model) done(t *ticket, err error, now time.Time) {
	late := t.ended
	t.ended = true
	if late || t.period != m.period || err == breaker.Excluded {
		return
	}
	if u, is := err.(breaker.Unanswered); is {
		from := now.Add(-u.Waited)
		if from.Before(m.heard) {
			from = m.heard
		}
		if m.silent, m.heard = m.silent+now.Sub(from), now; t.probe && m.silent >= u.Limit {
			m.turn(breaker.Open, breaker.ProbeTimedOut, now)
		}
		return
	}
	if err == nil {
		m.silent, m.heard = 0, now
	}
	m.results = append(m.results, result{now, err != nil})
	switch {
	case t.probe && err != nil:
		m.turn(breaker.Open, breaker.ProbeFailed, now)
	case t.probe:
		m.close(now)
	case err != nil:
		if reason := m.trip(now); reason != "" {
			m.turn(breaker.Open, reason, now)
		}
	}
}

func (m *model) close(now time.Time) {
	if m.state == breaker.HalfOpen && len(m.results) >= m.cap() {
		m.turn(breaker.Closed, breaker.ProbesSucceeded, now)
	}
}

func (m *model) trip(now time.Time) string {
	row, failures, n := 0, 0, 0
	step := m.s.Interval / 10
	for i, r := range m.results {
		row++
		if !r.failed {
			row = 0
		}
		if i < m.before || step > 0 && now.Sub(m.window)/step-r.at.Sub(m.window)/step >= 10 {
			continue
		}
		n++
		if r.failed {
			failures++
		}
	}
	if m.s.ConsecutiveFailures > 0 && row >= m.s.ConsecutiveFailures {
		return breaker.ConsecutiveFailures
	}
	if m.s.FailurePercent > 0 && n >= max(1, m.s.MinRequests) && failures*100 >= m.s.FailurePercent*n {
		return breaker.FailurePercent
	}
	return ""
}

func (m *model) update(s breaker.Settings, now time.Time) {
	if s.Interval != m.s.Interval {
		m.window, m.before = now, len(m.results)
	}
	before := m.openFor()
	m.s = s
	switch {
	case m.state != breaker.Closed && !s.CanTrip():
		m.turn(breaker.Closed, breaker.TurnedOff, now)
	case m.state == breaker.Open && now.Before(m.until) && m.openFor() != before:
		if m.until = m.since.Add(m.opens()); m.until.Before(now) {
			m.until = now
		}
	}
	m.close(now)
}

// legal are all transitions there are.
var legal = []string{
	"closed>open consecutive_failures", "closed>open failure_percent", "open>half-open open_elapsed",
	"half-open>open probe_failed", "half-open>open probe_timeout", "half-open>closed probes_succeeded",
	"open>closed turned_off", "half-open>closed turned_off",
}

// checkTransitions says what is wrong with them, one after the other.
func checkTransitions(all []string) error {
	state := "closed"
	for i, tr := range all {
		if !slices.Contains(legal, tr) || !strings.HasPrefix(tr, state+">") {
			return fmt.Errorf("transition %d is %q in state %s", i, tr, state)
		}
		state, _, _ = strings.Cut(tr[len(state)+1:], " ")
	}
	return nil
}

func randomSettings(rnd *rand.Rand) breaker.Settings {
	pick := func(of ...time.Duration) time.Duration { return of[rnd.IntN(len(of))] }
	return breaker.Settings{
		ConsecutiveFailures: rnd.IntN(4), FailurePercent: []int{0, 30, 60}[rnd.IntN(3)], MinRequests: rnd.IntN(7),
		Interval:        pick(0, time.Second, 10*time.Second),
		OpenDuration:    pick(time.Second, 5*time.Second),
		MaxOpenDuration: pick(0, 2*time.Second, 8*time.Second, 40*time.Second),
		// 0 counts as 1.
		HalfOpenRequests: rnd.IntN(5),
	}
}

// TestModel does thousands of random sequences of everything that can be done to
// a breaker, and compares it to the model after each step.
func TestModel(t *testing.T) {
	sequences := uint64(2000)
	if testing.Short() {
		sequences = 200
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	seen := map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		for i := range sequences {
			rnd := rand.New(rand.NewPCG(seed, i))
			for _, tr := range sequence(t, i, rnd) {
				seen[tr]++
			}
			if t.Failed() {
				return
			}
		}
	})
	for _, tr := range legal {
		if seen[tr] < int(sequences)/10 {
			t.Errorf("%q was seen %d times: the sequences are too tame", tr, seen[tr])
		}
	}
}

func sequence(t *testing.T, number uint64, rnd *rand.Rand) (transitions []string) {
	s := randomSettings(rnd)
	s.ConsecutiveFailures++ // else there may be none
	random := rnd.Uint64
	if rnd.IntN(2) == 0 {
		random = nil
	}
	var r recorder
	b := breaker.New(s, random, r.changed)
	m := &model{s: s, state: breaker.Closed, since: time.Now(), window: time.Now()}
	m.actual = func() time.Duration { _, open := b.Trips(); return open }

	var trace []string
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("sequence %d: "+format+"\nsettings %+v\n%s", append(append([]any{number}, args...), m.s, strings.Join(trace, "\n"))...)
	}
	agree := func() {
		t.Helper()
		now := time.Now()
		state, until := b.State()
		m.look(now)
		want, wantUntil := m.state, time.Time{}
		switch {
		case want == breaker.Open && !now.Before(m.until):
			want = breaker.HalfOpen
		case want == breaker.Open:
			wantUntil = m.until
		}
		if state != want || !until.Equal(wantUntil) {
			fail("%s until %v, want %s until %v", state, until, want, wantUntil)
		}
		trips, _ := b.Trips()
		wantTrips := m.trips
		if m.state == breaker.Closed && now.Sub(m.since) >= max(m.s.OpenDuration, m.s.MaxOpenDuration) {
			wantTrips = 0
		}
		if trips != wantTrips {
			fail("%d trips in a row, want %d", trips, wantTrips)
		}
		if !slices.Equal(r.all, m.told) {
			fail("told %q\nwant %q", r.all, m.told)
		}
		if err := checkTransitions(r.all); err != nil || m.wrong != "" {
			fail("%v; %s", err, m.wrong)
		}
	}
	var underway []*ticket
	ask := func(how breaker.Probing) *ticket {
		t.Helper()
		now := time.Now()
		first := rnd.IntN(2) == 0 // or Allow is the first to look
		admitted := first && b.Admits(how)
		done, probe, ok := b.Allow(how)
		m.look(now)
		want := m.admits(how, now)
		if ok != want || first && admitted != want || (done != nil) != ok {
			fail("allowed %v, want %v; admitted (%v) %v", ok, want, first, admitted)
		}
		if !ok {
			return nil
		}
		tk := &ticket{done: done}
		if m.allow(tk, now); tk.probe != probe {
			fail("a probe: %v", probe)
		}
		if all, _ := m.underway(); probe && all > m.cap() {
			fail("%d probes under way", all)
		}
		return tk
	}
	for range 150 {
		now := time.Now()
		switch n := rnd.IntN(20); {
		case n < 8: // ask
			how := []breaker.Probing{breaker.Willing, breaker.Willing, breaker.Reluctant, breaker.Unwilling}[rnd.IntN(4)]
			trace = append(trace, fmt.Sprintf("%v ask %d", now, how))
			if tk := ask(how); tk != nil && rnd.IntN(20) > 0 { // else it is never answered
				underway = append(underway, tk)
			}
		case n < 15: // answer
			if len(underway) == 0 {
				continue
			}
			at := rnd.IntN(len(underway))
			tk := underway[at]
			underway = slices.Delete(underway, at, at+1)
			left := breaker.Unanswered{Waited: now.Sub(tk.taken), Limit: 2 * time.Second}
			err := []error{nil, nil, breaker.Failed, breaker.Failed, breaker.Excluded, left}[rnd.IntN(6)]
			trace = append(trace, fmt.Sprintf("%v answer of %v: %v", now, tk.taken, err))
			tk.done(err)
			if tk.probe {
				m.look(now)
			}
			m.done(tk, err, now)
		case n < 19: // wait
			_, until := b.State()
			d := []time.Duration{
				1, 30 * time.Millisecond, 900 * time.Millisecond, m.s.OpenDuration, max(m.s.OpenDuration, m.s.MaxOpenDuration),
				breaker.ProbeTimeout, lost, max(0, time.Until(until)) - 1, time.Until(until),
			}[rnd.IntN(9)]
			trace = append(trace, fmt.Sprintf("%v wait %v", now, d))
			time.Sleep(d)
			if rnd.IntN(2) == 0 {
				continue // whoever comes next has to look
			}
		default:
			if rnd.IntN(3) > 0 {
				continue
			}
			s := randomSettings(rnd)
			if rnd.IntN(4) == 0 {
				s.ConsecutiveFailures, s.FailurePercent = 0, 0
			}
			trace = append(trace, fmt.Sprintf("%v update %+v", now, s))
			b.State() // for how long it opened by the old settings is not to be seen later
			m.look(now)
			b.Update(s)
			m.update(s, now)
		}
		if agree(); t.Failed() {
			return r.all
		}
	}
	// Nothing is answered any more, and nobody asks for a while.
	most := max(m.s.OpenDuration, m.s.MaxOpenDuration, m.open)
	how := breaker.Probing(rnd.IntN(2))
	wait := lost + most + most/10
	if how == breaker.Reluctant {
		wait += m.s.OpenDuration
	}
	trace = append(trace, fmt.Sprintf("%v wait %v for %d", time.Now(), wait, how))
	time.Sleep(wait)
	if ask(how) == nil {
		fail("wedged")
	}
	agree()
	return r.all
}
