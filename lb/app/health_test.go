package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/app"
)

// health is the health document, which must be as docs/health.schema.json says.
func (r *rig) health() (out admin.Health) {
	r.t.Helper()
	text, err := os.ReadFile("../../docs/health.schema.json")
	if err != nil {
		r.t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		r.t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(r.t.Context(), "GET", r.admin+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Accept", "application/json")
	resp, err := r.client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var document json.RawMessage
	var value any
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(document, &value); err != nil {
		r.t.Fatal(err)
	}
	if err := resolved.Validate(value); err != nil {
		r.t.Fatalf("the schema does not allow it: %v\n%s", err, document)
	}
	if err := json.Unmarshal(document, &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) awaitHealth(want admin.Condition, why string) (h admin.Health) {
	r.t.Helper()
	r.await(fmt.Sprintf("the health is %s: %s", want, why), func() bool {
		h = r.health()
		return h.Condition == want && slices.ContainsFunc(h.Why, func(s string) bool { return strings.Contains(s, why) }) == (why != "")
	})
	return h
}

// In every state that a balancer can be in, its health document is as its schema says.
func TestHealthDocumentInEveryState(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	r := run(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.RawQuery == "slow" {
			close(began)
			<-finish
		}
	}, func(c *app.Config) { c.StateDir = t.TempDir() })
	backend := r.backend.Listener.Addr().String()
	r.awaitHealth(admin.OK, "")

	r.write("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: test}\n")
	h := r.awaitHealth(admin.Degraded, "refused")
	if h.Policy.LastError == nil || h.Policy.LastError.Reason != "invalid" {
		t.Errorf("last error: %+v", h.Policy.LastError)
	}

	// One endpoint fails its checks, one its requests.
	unhealthy := measured("2", "", backend)
	unhealthy += `    - name: checked
      endpoints: [{address: "127.0.0.1:1"}]
      healthCheck: {active: {interval: 1s, timeout: 100ms}}
    - name: failing
      endpoints: [{address: "127.0.0.1:1"}]
      circuitBreaker: {consecutiveFailures: 1, openDuration: 1m}
`
	unhealthy = strings.Replace(unhealthy, "  pools:\n", `    - {name: failing, matches: [{path: {type: PathPrefix, value: /failing}}], backendRefs: [{pool: failing}]}
    - {name: checked, matches: [{path: {type: PathPrefix, value: /checked}}], backendRefs: [{pool: checked}]}
  pools:
`, 1)
	r.write(unhealthy)
	r.awaitHealth(admin.Degraded, "pool checked is in panic mode")
	if code := r.status(r.traffic + "/failing"); code < 500 {
		t.Errorf("an endpoint that refuses connections: %d", code)
	}
	h = r.awaitHealth(admin.Degraded, "pool failing: 0 of 1 endpoints are eligible")
	for _, p := range h.Pools {
		e := p.Endpoints[0]
		if p.Name == "failing" && (e.Breaker.State != "open" || e.Breaker.OpenUntil == nil) || p.Name == "checked" && (e.Check.State != "failing" || e.Check.LastAt == nil) {
			t.Errorf("%s: %+v", p.Name, e)
		}
	}

	r.write(measured("3", "", backend))
	r.awaitHealth(admin.OK, "")
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := r.client.Get(r.traffic + "/known?slow")
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}()
	<-began
	r.signals <- syscall.SIGTERM
	r.awaitHealth(admin.NotReady, "draining")
	close(finish)
	<-done
	if err := r.join(); err != nil {
		t.Error(err)
	}
}
