package suite

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// Plan is a scenario ready to be played.
type Plan struct {
	*scenario.Scenario
	base    trial
	mutants []trial // of each mutation
}

// trial is a scenario with one policy to begin with.
type trial struct {
	job     stage.Job
	program *expect.Program
}

// Codes of what is wrong between files.
const (
	codeTwice    = "duplicate-name"
	codePolicy   = "unreadable"
	codeStage    = "not-on-this-stage"
	codeMutation = "bad-mutation"
)

// Read reads the scenarios at paths, which are files or directories, with their
// policies. There are no plans if a diagnostic is an error. All errors are told at once:
// only what a scenario says of its policy is not looked at before the scenario can be
// read, and its mutations not before everything else is right.
func Read(fsys fs.FS, paths []string, o Options) (plans []*Plan, found schema.Diagnostics) {
	names := map[string]scenario.Pos{}
	for _, name := range paths {
		scenarios, wrong := scenario.Read(fsys, name)
		found = append(found, wrong...)
		for _, s := range scenarios {
			if first, twice := names[s.Name]; twice && first == s.Pos {
				found = append(found, failed(s.Pos, codeTwice, "%s is given twice", schema.Quote(s.Pos.File)))
				continue
			} else if twice {
				found = append(found, failed(s.Pos, codeTwice, "%s is the name of two scenarios: it is also that of the one at %s", schema.Quote(s.Name), first))
				continue
			}
			names[s.Name] = s.Pos
			if o.Seed != 0 {
				s.Seed = o.Seed
			}
			r := reader{fsys: fsys, o: o, s: s}
			plan := r.plan()
			found = append(found, r.found...)
			plans = append(plans, plan)
		}
	}
	if found.HasErrors() {
		return nil, found
	}
	return plans, found
}

// reader makes a scenario a plan.
type reader struct {
	fsys  fs.FS
	o     Options
	s     *scenario.Scenario
	found schema.Diagnostics

	applied  []*policy.Policy             // those that are good, by the time when they are applied first
	policies map[string]map[string][]byte // of all of them, as a job has them
	original policy.Files                 // that it begins with
	keys     []string                     // of policies, by the time when they are applied first
}

func (r *reader) plan() *Plan {
	plan := &Plan{Scenario: r.s}
	files, dir, err := r.o.Policy, r.o.PolicyDir, error(nil)
	if files == nil {
		files, err = r.s.Policy.Files(r.fsys)
		dir = place(r.s.Policy)
	}
	if err != nil {
		r.fail(r.s.Policy.Pos, codePolicy, "the policy in %s cannot be read: %v", schema.Quote(dir), reason(err))
		return plan
	}
	p := r.load(files, dir)
	if p == nil {
		return plan
	}
	r.original = files
	r.apply()
	r.found = append(r.found, scenario.Check(r.s, p)...)
	r.stage()
	plan.base = r.trial(files, p, r.policies, r.applied) // also if something is wrong: all errors are told at once
	if !r.o.Mutate || r.found.HasErrors() {
		return plan
	}
	for _, m := range r.s.Mutations {
		plan.mutants = append(plan.mutants, r.mutant(files, m))
	}
	return plan
}

// place is the directory of a policy's files.
func place(p scenario.Policy) string {
	if p.Dir == "" {
		return path.Dir(p.Pos.File)
	}
	return p.Dir
}

// load reads a policy, and says what is wrong with it as seen from where scenarios are
// read.
func (r *reader) load(files policy.Files, dir string) *policy.Policy {
	p, found := files.Load()
	for _, d := range found {
		if d.Pos.File != "" {
			d.Pos.File = path.Join(dir, d.Pos.File)
		}
		r.found = append(r.found, d)
	}
	return p
}

// apply reads the policies that the timeline applies. They may be bad, which is the
// balancer's to find out, but must be there.
func (r *reader) apply() {
	r.policies = map[string]map[string][]byte{}
	for i := range r.s.Timeline {
		for k := range r.s.Timeline[i].Apply {
			a := &r.s.Timeline[i].Apply[k]
			if r.policies[stage.Key(a)] != nil {
				continue
			}
			files, err := a.Files(r.fsys)
			if err != nil {
				r.fail(a.Pos, codePolicy, "the policy in %s cannot be read: %v", schema.Quote(a.Dir), reason(err))
				continue
			}
			r.policies[stage.Key(a)] = files
			r.keys = append(r.keys, stage.Key(a))
			if p, _ := files.Load(); p != nil {
				r.applied = append(r.applied, p)
			}
		}
	}
}

// stage reports the faults that cannot be made where the scenario is to be played.
func (r *reader) stage() {
	if r.o.Stage.Cannot == nil {
		return
	}
	for i := range r.s.Timeline {
		f := &r.s.Timeline[i]
		if why := r.o.Stage.Cannot(f); why != "" {
			r.fail(f.Pos, codeStage, "on the stage %s this cannot happen to %s: %s", r.o.Stage.Name, f.On, why)
		}
	}
}

func (r *reader) trial(files policy.Files, p *policy.Policy, policies map[string]map[string][]byte, applied []*policy.Policy) trial {
	program, found := expect.Compile(r.s, p, applied...)
	r.found = append(r.found, found...)
	return trial{stage.Job{Scenario: r.s, Files: files, Policies: policies}, program}
}

// mutant is the scenario with a mutation of all its policies: of the one that it begins
// with and those that are applied. A policy that does not have the item stays as it is,
// but one of them must have it; and so does one that is bad by itself.
func (r *reader) mutant(files policy.Files, m scenario.Mutation) (t trial) {
	p, err := r.mutated(&files, m)
	if p == nil {
		return t
	}
	missing, policies := []error{err}, maps.Clone(r.policies)
	var applied []*policy.Policy
	for _, key := range r.keys {
		files := policy.Files(policies[key])
		if good, _ := files.Load(); good == nil {
			continue
		}
		p, err := r.mutated(&files, m)
		if p == nil {
			return t
		}
		missing, applied, policies[key] = append(missing, err), append(applied, p), files
	}
	if !slices.Contains(missing, nil) {
		r.fail(at(m), codeMutation, "%v", missing[0])
		return t
	}
	if same(r.original, files) && !slices.ContainsFunc(r.keys, func(key string) bool { return !same(r.policies[key], policies[key]) }) {
		r.fail(at(m), codeMutation, "mutation %s changes nothing: the policy has these values without it, or by default", schema.Quote(m.Name))
		return t
	}
	return r.trial(files, p, policies, applied)
}

// at is where a mutation is: its field, if it has one.
func at(m scenario.Mutation) scenario.Pos {
	if len(m.Set) == 1 {
		return m.Set[0].Pos
	}
	return m.Pos
}

// same reports whether two policies say the same, defaults filled in. Of what cannot be
// read nobody knows.
func same(a, b policy.Files) bool {
	x, _ := a.Read()
	y, _ := b.Read()
	if x == nil || y == nil {
		return x == y
	}
	return len(policy.Diff(x, y)) == 0
}

// reason is an error without the name of the call that had it, and that of a directory
// where it is called "." itself.
func reason(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) && e.Path == "." {
		return e.Err
	}
	return err
}

// mutated changes a policy's files; an error is that they do not have the item, and then
// they stay as they were. One that is no valid policy would show nothing, as the balancer
// would not take it: that is a finding, and there is no policy.
func (r *reader) mutated(files *policy.Files, m scenario.Mutation) (*policy.Policy, error) {
	changed, err := scenario.Mutate(*files, m)
	if err == nil {
		*files = changed
	}
	p, found := files.Load()
	if p == nil {
		r.fail(at(m), codeMutation, "mutation %s makes the policy a wrong one, and so proves nothing: %s: %v", schema.Quote(m.Name), found[0].Path, found[0].Message)
	}
	return p, err
}

func (r *reader) fail(at scenario.Pos, code, format string, args ...any) {
	r.found = append(r.found, r.s.At(at, code, format, args...))
}
