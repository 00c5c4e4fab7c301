package snapshot_test

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile compiles a policy of the given routes. Pools are made for their
// backends.
func compile(t testing.TB, routes ...policy.Route) *snapshot.Snapshot {
	t.Helper()
	p := &policy.Policy{Name: "test", Routes: routes}
	seen := map[string]bool{}
	for _, r := range routes {
		for _, b := range r.BackendRefs {
			if !seen[b.Pool] {
				seen[b.Pool] = true
				p.Pools = append(p.Pools, policy.Pool{Name: b.Pool, Endpoints: []policy.Endpoint{{Address: "a:80", Weight: 1}}})
			}
		}
	}
	registry := pool.NewRegistry(pool.Options{})
	t.Cleanup(registry.Close)
	s, err := snapshot.Compile(p, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	return s.Snapshot
}

// head is a request's fields, "Name: value" each.
type head []string

func (h head) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, line := range h {
			n, v, _ := strings.Cut(line, ": ")
			if strings.EqualFold(n, name) && !yield([]byte(v)) {
				return
			}
		}
	}
}

// request parses "METHOD http://host/path?query", with fields.
func request(s string, fields ...string) *snapshot.Request {
	method, url, _ := strings.Cut(s, " ")
	host, target, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	q := &snapshot.Request{Method: []byte(method), Host: []byte(host), Head: head(fields)}
	path, query, has := strings.Cut("/"+target, "?")
	q.Path = []byte(path)
	if has {
		q.Query = []byte(query)
	}
	return q
}

// route parses hosts, a path (= exact, ~ regular expression, else prefix), and
// conditions: a method, "H name=value", "H name~pattern", Q likewise.
func route(name, hosts, path string, conditions ...string) policy.Route {
	m := policy.Match{PathType: policy.PathPrefix, Path: path}
	switch path[0] {
	case '=':
		m.PathType, m.Path = policy.PathExact, path[1:]
	case '~':
		m.PathType, m.Path, m.PathRegex = policy.PathRegex, path[1:], anchored(path[1:])
	}
	for _, c := range conditions {
		kind, rest, ok := strings.Cut(c, " ")
		if !ok {
			m.Method = c
			continue
		}
		i := strings.IndexAny(rest, "=~")
		v := policy.ValueMatch{Name: rest[:i], Type: "Exact", Value: rest[i+1:]}
		if rest[i] == '~' {
			v.Type, v.Regex = "RegularExpression", anchored(v.Value)
		}
		if kind == "H" {
			m.Headers = append(m.Headers, v)
		} else {
			m.Query = append(m.Query, v)
		}
	}
	return policy.Route{Name: name, Hostnames: strings.Fields(hosts), Matches: []policy.Match{m}}
}

func anchored(s string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + s + `)\z`) }

func TestCompile(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	p := &policy.Policy{
		Name: "shop", Version: "1", Hash: "abc",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		AccessLog:      policy.AccessLog{Sample: 0.5, AlwaysSlow: true, SlowerThan: time.Second},
		Listeners:      []policy.Listener{{Name: "http", Address: ":80"}},
		Routes: []policy.Route{
			{Name: "cart", Matches: []policy.Match{{PathType: policy.PathPrefix, Path: "/cart"}}, BackendRefs: []policy.BackendRef{{Pool: "b", Weight: 1}, {Pool: "a", Weight: 0}},
				Timeouts: policy.RouteTimeouts{Request: 10 * time.Second}},
			{Name: "rest", Matches: []policy.Match{{PathType: policy.PathPrefix, Path: "/"}}, BackendRefs: []policy.BackendRef{{Pool: "a", Weight: 1}},
				Timeouts: policy.RouteTimeouts{Request: 10 * time.Second, BackendRequest: 2 * time.Second}},
		},
		Pools: []policy.Pool{
			{Name: "a", Endpoints: []policy.Endpoint{{Address: "x:1", Weight: 1}, {Address: "y:1", Weight: 1, Drain: true}}},
			{Name: "b", Endpoints: []policy.Endpoint{{Address: "x:1", Weight: 1}}},
		},
	}
	s, err := snapshot.Compile(p, "rev", registry)
	if err != nil {
		t.Fatal(err)
	}
	want := &event.Catalog{
		Policy:    event.PolicyInfo{Name: "shop", Version: "1", Hash: "abc", Revision: "rev"},
		Listeners: []string{"http"},
		AccessLog: event.AccessLog{Sample: 0.5, AlwaysSlow: true, SlowerThan: time.Second},
		Routes:    []event.Named{{ID: 0, Name: "cart"}, {ID: 1, Name: "rest"}},
		Pools:     []event.Named{{ID: 0, Name: "a"}, {ID: 1, Name: "b"}},
		Endpoints: []event.NamedEndpoint{
			{ID: 0, Pool: 0, PoolName: "a", Address: "x:1"}, {ID: 1, Pool: 0, PoolName: "a", Address: "y:1"}, {ID: 2, Pool: 1, PoolName: "b", Address: "x:1"},
		},
	}
	if d := cmp.Diff(want, s.Catalog()); d != "" {
		t.Error(d)
	}
	if len(s.TrustedProxies) != 1 || s.AccessLog.Sample != 0.5 || len(s.Listeners) != 1 || s.Policy != p {
		t.Errorf("%+v", s.Snapshot)
	}
	if a, b := s.Routes[0].Timeouts.BackendRequest, s.Routes[1].Timeouts.BackendRequest; a != 10*time.Second || b != 2*time.Second {
		t.Errorf("backend request timeouts %v, %v", a, b)
	}
	var current snapshot.Current
	if current.Load() != nil {
		t.Error("something serves already")
	}
	now := time.Now()
	if got := s.Commit(&current, now); got != (pool.Changes{Added: 3}) {
		t.Errorf("%+v", got)
	}
	if current.Load() != s.Snapshot || !s.LoadedAt.Equal(now) {
		t.Error("not committed")
	}
	// The next policy keeps the ids of what stays.
	next := *p
	next.Routes = p.Routes[1:]
	next.Pools = p.Pools[:1]
	n, err := snapshot.Compile(&next, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	if n.Routes[0].ID != 1 || n.Pools[0].ID != 0 || current.Load() != s.Snapshot {
		t.Error("ids changed, or compiling committed")
	}
	n.Discard()
	if got := n.Pools[0]; got.Members()[0].Draining() {
		t.Error("a discard drained")
	}
}

func TestCompileRefuses(t *testing.T) {
	good := route("r", "", "/")
	unknown := good
	unknown.BackendRefs = []policy.BackendRef{{Pool: "nowhere"}}
	badType := good
	badType.Matches = []policy.Match{{PathType: "Glob", Path: "/*"}}
	noRegex := good
	noRegex.Matches = []policy.Match{{PathType: policy.PathRegex, Path: "/.*"}}
	for _, tt := range []struct {
		p    policy.Policy
		want string
	}{
		{policy.Policy{Routes: []policy.Route{unknown}}, `route "r": its backend "nowhere" is not a pool of the policy: define it, or correct the name`},
		{policy.Policy{Routes: []policy.Route{good, good}}, `route "r" is defined twice: give one of them another name`},
		{policy.Policy{Routes: []policy.Route{badType}}, `route "r", match 1: its path type is "Glob": use Exact, PathPrefix or RegularExpression`},
		{policy.Policy{Routes: []policy.Route{noRegex}}, `route "r", match 1: its regular expression was not compiled`},
		{policy.Policy{Pools: []policy.Pool{{Name: "a"}, {Name: "a"}}}, `pool "a" is defined twice: give one of them another name`},
	} {
		registry := pool.NewRegistry(pool.Options{})
		if _, err := snapshot.Compile(&tt.p, "", registry); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
		registry.Close()
	}
}

func TestPick(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, weights := range [][]int{{}, {0}, {0, 0}, {1}, {0, 3, 0}, {95, 5}, {1, 1, 1, 1}, {1000000, 1, 0}, {2, 0, 1, 7}} {
		r := route("r", "", "/")
		total := 0
		for i, w := range weights {
			r.BackendRefs = append(r.BackendRefs, policy.BackendRef{Pool: fmt.Sprint("p", i), Weight: w})
			total += w
		}
		s := compile(t, r)
		got := map[string]float64{}
		const n = 100000
		for range n {
			b := s.Routes[0].Pick(rnd.Uint64())
			if (b == nil) != (total == 0) {
				t.Fatalf("%v: picked %v", weights, b)
			}
			if b != nil {
				got[b.Pool.Name]++
			}
		}
		for i, w := range weights {
			due := n * float64(w) / max(1, float64(total))
			if d := got[fmt.Sprint("p", i)] - due; math.Abs(d) > 6*math.Sqrt(due) {
				t.Errorf("%v: pool %d was picked %.0f times, due %.0f", weights, i, got[fmt.Sprint("p", i)], due)
			}
		}
	}
}

// TestPicksMayShareANumber uses one random number for both choices:
// each endpoint of each pool must still get its share.
func TestPicksMayShareANumber(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pp := policy.Pool{LoadBalancer: policy.LoadBalancer{Type: "Random"}}
	for i := range 4 {
		pp.Endpoints = append(pp.Endpoints, policy.Endpoint{Address: fmt.Sprint("e", i), Weight: 1})
	}
	r := route("r", "", "/")
	r.BackendRefs = []policy.BackendRef{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 1}}
	p := &policy.Policy{Routes: []policy.Route{r}}
	for _, name := range []string{"a", "b"} {
		pp.Name = name
		p.Pools = append(p.Pools, pp)
	}
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	s, err := snapshot.Compile(p, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range 80000 {
		x := rnd.Uint64()
		to := s.Routes[0].Pick(x).Pool
		e, _ := to.Pick(x, pool.Key{}, nil, breaker.Willing)
		counts[to.Name+e.Address]++
	}
	for k, n := range counts {
		if n < 9000 || n > 11000 {
			t.Errorf("%s got %d of 80000, due 10000", k, n)
		}
	}
	if len(counts) != 8 {
		t.Errorf("%v", counts)
	}
}

func TestHeaderModifier(t *testing.T) {
	r := route("r", "", "/")
	r.Filters.RequestHeaders = &policy.HeaderModifier{
		Set:    []policy.HeaderValue{{Name: "X-Env", Value: "prod"}, {Name: "x-b", Value: ""}},
		Add:    []policy.HeaderValue{{Name: "Via", Value: "1.1 lb"}},
		Remove: []string{"X-Debug"},
	}
	got := compile(t, r).Routes[0]
	m := got.RequestHeaders
	if want := "X-Env: prod\r\nx-b: \r\nVia: 1.1 lb\r\n"; string(m.Lines) != want {
		t.Errorf("%q", m.Lines)
	}
	if !bytes.Equal(m.Set[0].Lower, []byte("x-env")) || string(m.Set[0].Name) != "X-Env" || string(m.Remove[0].Lower) != "x-debug" {
		t.Errorf("%+v", m)
	}
	for name, want := range map[string]bool{"x-env": true, "X-ENV": true, "X-B": true, "X-Debug": true, "Via": false, "X-En": false, "": false} {
		if m.Drops([]byte(name)) != want {
			t.Errorf("drops %q: %v", name, !want)
		}
	}
	if got.ResponseHeaders.Drops([]byte("X-Env")) {
		t.Error("no modifier drops a field")
	}
}
