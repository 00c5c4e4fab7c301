package impact

import (
	"fmt"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// Keys is what becomes of the keys of a ConsistentHash pool.
type Keys struct {
	Pool    string  `json:"pool"`
	Sampled int     `json:"sampled"` // 0: the share needs none
	Share   float64 `json:"share"`   // that goes to another endpoint, while all are eligible and none is full
	Reason  string  `json:"reason"`  // endpoints, key (something else is hashed) or algorithm
}

// keys sends keys through both policies.
func keys(old, new *snapshot.Snapshot, t touched) []Keys {
	is := byName(new.Pools, func(p **pool.Pool) string { return (*p).Name })
	type pair struct{ old, new *pool.Pool }
	var todo []pair
	for _, p := range old.Pools {
		if to := is[p.Name]; to != nil && p.HashOn != "" && t.pools[p.Name] {
			todo = append(todo, pair{p, *to})
		}
	}
	out := []Keys{}
	for _, p := range todo {
		k := Keys{Pool: p.old.Name, Share: 1}
		switch {
		case p.new.HashOn == "":
			k.Reason = "algorithm"
		case p.new.HashOn != p.old.HashOn || p.new.HashName != p.old.HashName:
			k.Reason = "key"
		default:
			k.Reason, k.Sampled = "endpoints", draws(len(todo))
			moved := 0
			for i := range k.Sampled {
				key := pool.KeyOf(fmt.Append(nil, i))
				a, _ := p.old.Pick(0, key, nil, breaker.Unwilling)
				b, _ := p.new.Pick(0, key, nil, breaker.Unwilling)
				if a != nil && (b == nil || a.Address != b.Address) {
					moved++
				}
			}
			k.Share = round(float64(moved) / float64(k.Sampled))
		}
		if k.Share > 0 {
			out = append(out, k)
		}
	}
	return out
}

func (k *Keys) String() string {
	switch k.Reason {
	case "algorithm":
		return fmt.Sprintf("pool %s no longer hashes: equal keys go to different endpoints", k.Pool)
	case "key":
		return fmt.Sprintf("pool %s hashes something else: its keys are shared out anew", k.Pool)
	}
	return fmt.Sprintf("%s of the keys of pool %s go to another endpoint (of %d that were drawn)", percent(k.Share), k.Pool, k.Sampled)
}
