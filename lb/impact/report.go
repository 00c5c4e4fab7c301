package impact

import (
	"fmt"
	"time"

	"go-loadbalancer/lb/policy"
)

// Report is what a change of policy does. Its JSON form is stable: docs/diff.md.
type Report struct {
	// Same says that the policies say the same, if not in the same words.
	Same      bool          `json:"same"`
	Old       Identity      `json:"old"`
	New       Identity      `json:"new"`
	Requests  Requests      `json:"requests"`
	Endpoints []Endpoint    `json:"endpoints"`
	Sessions  []Sessions    `json:"sessions"`
	Keys      []Keys        `json:"keys"`
	Retries   Amplification `json:"retries"`
	Reload    Reload        `json:"reload"`
	Changes   []Change      `json:"changes"`
}

// Identity is which policy it is.
type Identity struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

// Of compares two policies. It fails if one of them cannot be compiled, which a
// policy without errors can.
func Of(old, new *policy.Written) (*Report, error) {
	r := &Report{
		Old:     Identity{old.Name, old.Version, old.Hash},
		New:     Identity{new.Name, new.Version, new.Hash},
		Changes: describe(policy.Diff(old, new)),
	}
	r.Same = len(r.Changes) == 0
	before, err := stageOf(old.Policy)
	defer before.close()
	if err != nil {
		return nil, fmt.Errorf("the old policy: %w", err)
	}
	after, err := stageOf(new.Policy)
	defer after.close()
	if err != nil {
		return nil, fmt.Errorf("the new policy: %w", err)
	}
	through, err := stageOf(old.Policy)
	defer through.close()
	if err != nil {
		return nil, err
	}
	counts, err := through.reload(new.Policy)
	if err != nil {
		return nil, err
	}
	touched := touchedBy(r.Changes)
	var heirs map[string]string
	r.Requests, heirs = requests(before.snapshot, after.snapshot, touched)
	r.Endpoints = endpoints(old.Policy, new.Policy)
	r.Sessions = sessions(before.snapshot, after.snapshot, through.snapshot, touched, heirs)
	r.Keys = keys(before.snapshot, after.snapshot, touched)
	r.Retries = amplification(old.Policy, new.Policy)
	r.Reload = reloaded(old.Policy, new.Policy, counts)
	return r, nil
}

// touched is what has changes of its own, by name; of what was renamed, both names.
type touched struct{ routes, pools map[string]bool }

func touchedBy(changes []Change) touched {
	t := touched{map[string]bool{}, map[string]bool{}}
	for i := range changes {
		p := changes[i].path
		if len(p) < 3 || !p[2].Item {
			continue
		}
		into := map[string]map[string]bool{"routes": t.routes, "pools": t.pools}[p[1].Key]
		if into == nil {
			continue
		}
		into[p[2].Key] = true
		if old, isText := changes[i].Old.(string); isText && len(p) == 4 && p[3].Key == "name" {
			into[old] = true
		}
	}
	return t
}

// seconds is a duration as JSON has it.
func seconds(d time.Duration) float64 { return d.Seconds() }

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
