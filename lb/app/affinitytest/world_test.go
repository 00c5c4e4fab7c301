package affinitytest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// world is backends, and the replicas in front of them.
type world struct {
	t        testing.TB
	backends []*backend
	replicas []*replica
	version  int
}

// newWorld returns backends and a replica for each URL of Redis, none of them running.
func newWorld(t testing.TB, backends int, redis ...string) *world {
	w := &world{t: t}
	for i := range backends {
		w.backends = append(w.backends, newBackend(t, fmt.Sprintf("b%d", i+1)))
	}
	for i, url := range redis {
		w.replicas = append(w.replicas, newReplica(t, fmt.Sprintf("lb/%d", i+1), url))
	}
	return w
}

// policy is what the replicas serve.
type policy struct {
	endpoints []*backend
	drains    *backend      // one of them that does
	drain     time.Duration // for how long one may
	timeout   time.Duration // for the store; 0: the default
	failures  int           // consecutive ones that open a breaker
	routes    string        // more of them, in YAML
	comment   string
}

// text is the policy in YAML, of the next version.
func (w *world) text(p policy) string {
	w.version++
	if p.failures == 0 {
		p.failures = 5
	}
	if p.timeout == 0 {
		p.timeout = 5 * time.Millisecond
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# %s
apiVersion: lb/v1
kind: Policy
metadata: {name: affinity, version: "%d"}
spec:
  listeners:
    - {name: http, address: "127.0.0.1:0"}
  routes:
    - {name: all, backendRefs: [{pool: main}]}
%s  pools:
    - name: main
      sessionPersistence: {store: Redis, storeTimeout: %v}
      drainTimeout: %v
      circuitBreaker: {consecutiveFailures: %d}
      endpoints:
`, p.comment, w.version, p.routes, p.timeout, p.drain, p.failures)
	for _, e := range p.endpoints {
		fmt.Fprintf(&b, "        - {address: %q, drain: %v}\n", e.addr, e == p.drains)
	}
	return b.String()
}

// begin starts all replicas with a policy.
func (w *world) begin(p policy) {
	w.t.Helper()
	text := w.text(p)
	for _, r := range w.replicas {
		r.put(text)
		r.run()
		r.awaitVersion(w.version)
	}
	w.allWell()
}

// change gives each replica another policy, one after the other, and waits until all
// serve it. Every other time they are also told.
func (w *world) change(p policy) {
	w.t.Helper()
	text := w.text(p)
	for _, r := range w.replicas {
		r.put(text)
		if w.version%2 == 0 {
			r.reload()
		}
	}
	for _, r := range w.replicas {
		r.awaitVersion(w.version)
	}
}

// allWell waits until every replica says that its store is.
func (w *world) allWell() {
	w.t.Helper()
	for _, r := range w.replicas {
		var last status
		eventually(w.t, "the store is well to "+r.name, func() bool {
			last = r.status()
			return last.Sessions.State == "ok"
		})
	}
}
