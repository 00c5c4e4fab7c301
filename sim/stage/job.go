package stage

import (
	"cmp"
	"errors"
	"fmt"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Job is what is to be run.
type Job struct {
	Scenario *scenario.Scenario
	// Files are the policy's, by base name; nil: the scenario's, which is inline.
	Files map[string][]byte
	// Policies are the files of those that are applied later, by directory as the scenario
	// names it, or by the text of one that is written out. Left out, what is written out
	// is as it is written.
	Policies map[string]map[string][]byte
	// AccessLogs: balancers in this process write theirs, which the run then has.
	AccessLogs bool `json:",omitzero"`
}

// errNoPolicy is of a job without a policy.
var errNoPolicy = errors.New("no files were given for the scenario's policy")

// Key is what a policy's files are found by in [Job.Policies].
func Key(p *scenario.Policy) string { return cmp.Or(p.Dir, p.Inline) }

// files are those of a policy.
func (j *Job) files(p *scenario.Policy) (map[string][]byte, error) {
	if files := j.Policies[Key(p)]; files != nil {
		return files, nil
	}
	if p.Inline != "" {
		return map[string][]byte{"policy.yaml": []byte(p.Inline)}, nil
	}
	return nil, fmt.Errorf("no files were given for the policy %q", p.Dir)
}

// Check finds what is missing, and gives the job its files if they are the scenario's.
func (j *Job) Check() error {
	if j.Scenario == nil || j.Scenario.Duration <= 0 {
		return errors.New("a scenario with a duration is wanted")
	}
	if j.Files == nil {
		if j.Scenario.Policy.Inline == "" {
			return errNoPolicy
		}
		j.Files, _ = j.files(&j.Scenario.Policy)
	}
	for i := range j.Scenario.Timeline {
		f := &j.Scenario.Timeline[i]
		for k := range f.Apply {
			if _, err := j.files(&f.Apply[k]); err != nil {
				return fmt.Errorf("at %v: %w", f.At, err)
			}
		}
	}
	return nil
}

// Failed is a run on a stage that came to nothing.
func (j *Job) Failed(stage, why string) *history.Run {
	s := j.Scenario
	return &history.Run{Scenario: s.Name, Stage: stage, Seed: s.Seed, Duration: s.Duration, Replicas: s.Topology.Replicas, Failure: why}
}
