package expect

import (
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/history"
)

// policyVersion: a request is served by the policy that its replica had at some instant
// of it. A policy that was refused is never one.
func policyVersion(x *index, v *violations) {
	serving := map[string]*timeline{} // hashes, by replica
	refused := map[string]string{}
	for i := range x.Policies {
		p := &x.Policies[i]
		if p.Refused != "" {
			refused[p.Hash] = p.Refused
			continue
		}
		if serving[p.Replica] == nil {
			serving[p.Replica] = &timeline{}
		}
		serving[p.Replica].turn(p.At, p.Hash)
	}
	for i := range x.Policies {
		if p := &x.Policies[i]; p.Refused == "" && p.Hash != "" && refused[p.Hash] != "" {
			v.add(p.At, "", "policy %s serves at %s, and was refused: %s", shortHash(p.Hash), p.Replica, refused[p.Hash])
		}
	}
	if len(serving) == 0 {
		return // the stage does not see policies
	}
	slack := x.slack()
	for i := range x.Requests {
		r := &x.Requests[i]
		if r.Ends == 0 {
			continue
		}
		if r.Policy == "" {
			v.add(r.Start, r.ID, "it was served by no policy that is known")
			continue
		}
		line := serving[r.Replica]
		if line == nil || !line.ever(r.Start-slack, r.End+slack, func(hash string) bool { return hash == r.Policy }) {
			v.add(r.Start, r.ID, "it was served by policy %s, which did not serve at %s then", shortHash(r.Policy), r.Replica)
		}
	}
}

func shortHash(hash string) string { return hash[:min(len(hash), 12)] }

// aftermath is how long after a change a request that begins is still thought to have
// to do with it.
const aftermath = 100 * time.Millisecond

// reloadLoss: of the requests under way as their replica's policy changed, or that began
// just after, none is lost, but by its endpoint or its replica's end.
func reloadLoss(x *index, v *violations) {
	changes := map[string][]time.Duration{}
	first := map[string]bool{}
	for i := range x.Policies {
		p := &x.Policies[i]
		if p.Refused == "" && !first[p.Replica] {
			first[p.Replica] = true // it begins to serve at all
			continue
		}
		changes[p.Replica] = append(changes[p.Replica], p.At)
	}
	for i := range x.Requests {
		r := &x.Requests[i]
		if len(changes[r.Replica]) == 0 || !x.lost(i) || !x.upAll(r.Replica, r.Start, r.End) {
			continue
		}
		failed := false
		x.eachTry(i, func(a *history.Attempt) {
			switch event.Result(a.Result) {
			case event.ConnectFailed, event.TimedOut, event.Reset, event.Truncated, event.ProtocolError:
				failed = true
			}
			failed = failed || x.faulty(a.Endpoint, a.Start, a.End)
		})
		for _, at := range changes[r.Replica] {
			if !failed && r.Start <= at+aftermath && r.End >= at {
				v.add(at, r.ID, "it was under way as the policy of %s changed, and was lost: %s", r.Replica, r.Err)
				break
			}
		}
	}
}

// faulty says whether an endpoint had a fault at any instant in [from, to].
func (x *index) faulty(endpoint string, from, to time.Duration) bool {
	for i := range x.Faults {
		f := &x.Faults[i]
		if f.Skipped == "" && (f.On == endpoint || f.On == poolOf(endpoint)+"/*") && f.Start <= to && f.End >= from {
			return true
		}
	}
	return false
}
