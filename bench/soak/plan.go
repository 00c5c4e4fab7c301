package main

import "time"

// plan divides the time.
type plan struct {
	warmup   time.Duration
	baseline time.Duration // honest clients alone
	each     time.Duration // every attack in turn
	all      time.Duration // all attacks at once
	recovery time.Duration // honest clients alone again
}

// newPlan divides a duration: a sixth is for the baseline, a tenth for warming up
// and recovering; of the rest, one part in three is for each attack in turn, and
// two for all at once, during which memory must stay flat.
func newPlan(d time.Duration, attacks int) plan {
	p := plan{warmup: d / 20, baseline: d / 6, recovery: d / 20}
	rest := d - p.warmup - p.baseline - p.recovery
	p.each = rest / 3 / time.Duration(attacks)
	p.all = rest - p.each*time.Duration(attacks)
	return p
}

// phase is a part of the run.
type phase struct {
	name    string
	length  time.Duration
	attacks []string
	reloads bool // the policy changes all the time
}

// names of phases that are judged.
const (
	warmupPhase   = "warm-up"
	baselinePhase = "baseline"
	reloadPhase   = "reloads"
	allPhase      = "all at once"
	recoveryPhase = "recovery"
)

func (p plan) phases(attacks []attack) []phase {
	phases := []phase{{name: warmupPhase, length: p.warmup}, {name: baselinePhase, length: p.baseline}}
	var names []string
	for _, a := range attacks {
		phases = append(phases, phase{name: a.name, length: p.each, attacks: []string{a.name}})
		names = append(names, a.name)
	}
	return append(phases,
		phase{name: reloadPhase, length: p.each, reloads: true},
		phase{name: allPhase, length: p.all, attacks: names, reloads: true},
		phase{name: recoveryPhase, length: p.recovery},
	)
}
