package scenario

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"time"

	"go-loadbalancer/lb/schema"
)

// scenario is what a document says together with those it builds on, checked. It is nil
// if there is something wrong with that.
func (doc *document) scenario(l *loader) *Scenario {
	if !doc.sound {
		return nil
	}
	r := l.report
	errors := r.Errors
	s := doc.draft.Scenario
	s.written = doc
	doc.locate()
	s.Load = slices.Clone(s.Load)
	s.Timeline = slices.Clone(s.Timeline)
	s.checkWhole(r)
	s.checkPolicies(l)
	planned := 0.0
	for i := range s.Load {
		l := &s.Load[i]
		s.checkLoadTimes(r, l)
		before := planned
		planned += (l.Rate + l.RateEnd) / 2 * max(0, l.To-l.From).Seconds()
		if before <= MostRequests && planned > MostRequests {
			s.fail(r, l.Pos, "rate", schema.CodeOutOfRange, "makes it about %.0f requests in all, and a run has at most %d: choose a lower rate, or a shorter run", planned, MostRequests)
		}
	}
	faults := s.checkTimeline(r)
	for i := range s.Expect {
		s.checkInstants(r, &s.Expect[i], faults)
	}
	s.checkTwice(r)
	if r.Errors > errors {
		return nil
	}
	slices.SortStableFunc(s.Timeline, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return &s
}

// checkWhole reports what is required of a scenario, and may come from another one.
func (s *Scenario) checkWhole(r *schema.Report) {
	miss := func(field, why string) {
		s.written.decoder(r).FailAt(s.written.root, "spec."+field, schema.CodeMissing, "is required: %s", why)
	}
	if s.Duration == 0 {
		miss("duration", "how long load comes and expectations are judged")
	}
	if s.Policy == (Policy{}) {
		miss("policy", "the policy that the balancers begin with, such as ../policies")
	}
	if len(s.Load) == 0 {
		miss("load", "requests that come")
	}
}

// checkPolicies reports directories of policies that are not there.
func (s *Scenario) checkPolicies(l *loader) {
	missing := func(p *Policy) string {
		if p.Dir == "" {
			return ""
		}
		switch info, err := fs.Stat(l.fsys, p.Dir); {
		case err != nil:
			return "there is no directory " + schema.Quote(p.Dir)
		case !info.IsDir():
			return schema.Quote(p.Dir) + " is a file: a policy is all the files of a directory, so name that, " + schema.Quote(path.Dir(p.Dir))
		}
		return ""
	}
	if why := missing(&s.Policy); why != "" {
		doc := s.written
		for doc.spec("policy") == nil {
			doc = doc.base
		}
		doc.decoder(l.report).FailAt(doc.root, "spec.policy", CodeUnreadable, "%s", why)
	}
	for i := range s.Timeline {
		f := &s.Timeline[i]
		for k := range f.Apply {
			if why := missing(&f.Apply[k]); why != "" {
				s.fail(l.report, f.Pos, "apply", CodeUnreadable, "%s", why)
			}
		}
	}
}

// replicas is how many balancers there are at most.
func (s *Scenario) replicas() int {
	most := s.Topology.Replicas
	for i := range s.Timeline {
		most = max(most, s.Timeline[i].Scale)
	}
	return most
}

// checkLoadTimes gives a load its end, and reports one that does not lie within the run.
func (s *Scenario) checkLoadTimes(r *schema.Report, l *Load) {
	switch {
	case l.To > s.Duration && s.Duration > 0:
		s.fail(r, l.Pos, "to", CodeOutsideRun, "%s is after the end of the run, %s", schema.FormatDuration(l.To), schema.FormatDuration(s.Duration))
	case l.From >= s.Duration && s.Duration > 0:
		s.fail(r, l.Pos, "from", CodeOutsideRun, "%s is not before the end of the run, %s: the load never comes", schema.FormatDuration(l.From), schema.FormatDuration(s.Duration))
	case l.To == 0:
		l.To = s.Duration
	}
	if most := s.replicas(); l.Replica > most {
		s.fail(r, l.Pos, "replica", CodeUnknownEndpoint, "there is no lb/%d: the highest number of a balancer is %d; raise topology.replicas, or choose another one", l.Replica, most)
	}
}

// checkTimeline reports faults that do not fit the run, and returns them by name.
func (s *Scenario) checkTimeline(r *schema.Report) map[string]*Fault {
	named := make(map[string]*Fault, len(s.Timeline))
	for i := range s.Timeline {
		f := &s.Timeline[i]
		if f.Name != "" {
			if first := named[f.Name]; first != nil {
				s.fail(r, f.Pos, "name", schema.CodeDuplicateName, "%s is the name of two faults: it is also at %s", schema.Quote(f.Name), first.Pos)
			} else {
				named[f.Name] = f
			}
		}
		s.checkFaultTimes(r, f)
		s.checkReach(r, f)
	}
	return named
}

func (s *Scenario) checkFaultTimes(r *schema.Report, f *Fault) {
	if x := f.Flap; x != nil && x.Up+x.Down > 0 && s.Duration > 0 {
		if n := (f.end(s.Duration) - f.At) / (x.Up + x.Down); n > mostFlaps {
			s.fail(r, f.Pos, "flap", schema.CodeOutOfRange, "has it come and go %d times, and %d is the most: choose longer times, or a shorter fault", n, mostFlaps)
		}
	}
	switch end := f.At + f.Lasts(); {
	case s.Duration == 0:
	case f.At >= s.Duration:
		s.fail(r, f.Pos, "at", CodeOutsideRun, "%s is not before the end of the run, %s: it never happens", schema.FormatDuration(f.At), schema.FormatDuration(s.Duration))
	case end > s.Duration && f.Repeat != nil:
		s.fail(r, f.Pos, "repeat", CodeOutsideRun, "it is over for the last time at %s, after the end of the run, %s", schema.FormatDuration(end), schema.FormatDuration(s.Duration))
	case end > s.Duration:
		s.fail(r, f.Pos, "for", CodeOutsideRun, "at and for end at %s, after the end of the run, %s: leave for out if it lasts to the end", schema.FormatDuration(end), schema.FormatDuration(s.Duration))
	}
}

// checkReach reports balancers that there never are, and a Redis that there is not.
func (s *Scenario) checkReach(r *schema.Report, f *Fault) {
	most := s.replicas()
	check := func(t Target, below string) {
		if t.Kind == OnBalancer && t.Index > most {
			s.fail(r, f.Pos, below, CodeUnknownEndpoint, "there is no %s: the highest number of a balancer is %d", t, most)
		}
	}
	check(f.On, "on")
	for i, t := range f.Partition {
		check(t, index("partition", i))
	}
	if f.On.Kind == OnRedis && s.Topology.Redis != nil && !*s.Topology.Redis {
		s.fail(r, f.Pos, "on", schema.CodeConflict, "topology.redis is false: there is no Redis that this could happen to")
	}
}

// checkInstants reports times of an expectation that there are not, or that lie outside
// of the run.
func (s *Scenario) checkInstants(r *schema.Report, e *Expectation, faults map[string]*Fault) {
	late := func(below, what string, at time.Duration) {
		if s.Duration > 0 && at > s.Duration {
			s.fail(r, e.Pos, below, CodeOutsideRun, "%s at %s, after the end of the run, %s", what, schema.FormatDuration(at), schema.FormatDuration(s.Duration))
		}
	}
	switch e.Operator {
	case Within:
		if after, known := s.time(r, e, "after", e.After, faults); known {
			late("within", "it is due", after+e.Within)
			if after+e.Within <= s.Duration {
				late("hold", "it may end to be judged", after+e.Within+e.Hold)
			}
		}
	case At:
		if at, known := s.time(r, e, "at", e.At, faults); known {
			late("at", "it is due", at)
		}
	case During:
		f := s.fault(r, e, "during", e.During.Fault, faults)
		switch {
		case f == nil:
		case f.Momentary():
			s.fail(r, e.Pos, "during", CodeUnknownFault, "%s happens at once and does not last: write at, or within with after", schema.Quote(f.Name))
		case e.Grace >= f.end(s.Duration)-f.At && s.Duration > 0:
			s.fail(r, e.Pos, "grace", CodeOutsideRun, "%s leaves nothing of %s, which lasts %s", schema.FormatDuration(e.Grace), schema.Quote(f.Name), schema.FormatDuration(f.end(s.Duration)-f.At))
		}
	}
}

// time returns when an instant is.
func (s *Scenario) time(r *schema.Report, e *Expectation, below string, i Instant, faults map[string]*Fault) (at time.Duration, known bool) {
	if i.Fault == "" {
		return i.Offset, true
	}
	f := s.fault(r, e, below, i.Fault, faults)
	switch {
	case f == nil:
		return 0, false
	case !i.End:
		return f.At, true
	case f.Lasts() == 0:
		why := "has no for, and so no end"
		if f.Momentary() {
			why = "happens at once, and so has no end"
		}
		s.fail(r, e.Pos, below, CodeUnknownFault, "%s %s: write %s", schema.Quote(f.Name), why, f.Name)
		return 0, false
	}
	return f.At + f.Lasts(), true
}

// fault returns the fault of a name, or reports that there is none.
func (s *Scenario) fault(r *schema.Report, e *Expectation, below, name string, faults map[string]*Fault) *Fault {
	if f := faults[name]; f != nil {
		return f
	}
	var known []string
	for i := range s.Timeline {
		if n := s.Timeline[i].Name; n != "" && !slices.Contains(known, n) && len(known) < 100 {
			known = append(known, n)
		}
	}
	hint := schema.DidYouMean(schema.Nearest(name, known), known)
	if len(known) == 0 {
		hint = ": no fault of the timeline has a name"
	}
	s.fail(r, e.Pos, below, CodeUnknownFault, "there is no fault %s%s", schema.Quote(name), hint)
	return nil
}

// end is when the fault is over: with the run, if it has no for.
func (f *Fault) end(run time.Duration) time.Duration {
	if f.Lasts() == 0 {
		return run
	}
	return f.At + f.Lasts()
}

// MostRequests is how many requests the open loops of a scenario make at the most, retries
// left out. All that happened is kept in memory until it was judged.
const MostRequests = 1_000_000

// mostFlaps is how often a process comes and goes at the most, as often as a fault repeats.
const mostFlaps = mostTimes

// checkTwice reports waivers and mutations that are there twice.
func (s *Scenario) checkTwice(r *schema.Report) {
	waived := make(map[string]Pos, len(s.Waive))
	for _, w := range s.Waive {
		if first, twice := waived[w.ID]; twice {
			s.fail(r, w.Pos, "id", schema.CodeDuplicateName, "%s is waived twice: it is also at %s", w.ID, first)
			continue
		}
		waived[w.ID] = w.Pos
	}
	mutated := make(map[string]Pos, len(s.Mutations))
	for _, m := range s.Mutations {
		if first, twice := mutated[m.Name]; twice {
			s.fail(r, m.Pos, "name", schema.CodeDuplicateName, "%s is the name of two mutations: it is also at %s", schema.Quote(m.Name), first)
			continue
		}
		mutated[m.Name] = m.Pos
	}
}
