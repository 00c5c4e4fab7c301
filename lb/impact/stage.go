package impact

import (
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// stage is a policy that serves nobody: compiled, with endpoints that are all well.
type stage struct {
	registry *pool.Registry
	current  snapshot.Current
	snapshot *snapshot.Snapshot
}

// stageOf compiles a policy. close is owed, of an error as well.
func stageOf(p *policy.Policy) (*stage, error) {
	s := &stage{registry: pool.NewRegistry(pool.Options{})}
	_, err := s.reload(p)
	return s, err
}

// reload does what a balancer does when it is given a policy.
func (s *stage) reload(p *policy.Policy) (pool.Changes, error) {
	staged, err := snapshot.Compile(p, "", s.registry)
	if err != nil {
		return pool.Changes{}, err
	}
	changes := staged.Commit(&s.current, time.Now())
	s.snapshot = s.current.Load()
	for _, p := range s.snapshot.Pools {
		for _, m := range p.Members() {
			m.SetHealthy(true, "")
		}
	}
	return changes, nil
}

func (s *stage) close() { s.registry.Close() }
