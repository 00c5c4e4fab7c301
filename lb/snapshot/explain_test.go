package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/snapshot"
)

func TestExplain(t *testing.T) {
	s := compile(t,
		route("cart", "shop.test *.shop.test", "/cart", "GET"),
		route("beta", "shop.test", "/cart", "GET", "H X-Beta=1"),
		route("search", "", "/", "Q q~s.*"),
		route("exact", "", "=/cart/7"),
		route("like", "", "~/cart/[0-9]"),
		route("other", "other.test", "/"),
		route("all", "", "/"),
		route("again", "", "/"),
	)
	_, considered := s.Explain(request("GET http://shop.test/cart/7?q=s1"))
	var got strings.Builder
	for _, c := range considered {
		fmt.Fprintf(&got, "%s %v %s: %s\n", c.Route.Name, c.Holds, c.By, c.Why)
	}
	want := `cart true : 
beta false header: the request has no header X-Beta: 1
search true host: less specific than cart: by host, shop.test is before any host
exact true host: less specific than cart: by host, shop.test is before any host
like true host: less specific than cart: by host, shop.test is before any host
other false host: the host is none of other.test
all true host: less specific than cart: by host, shop.test is before any host
again true host: less specific than cart: by host, shop.test is before any host
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
	for _, tt := range []struct{ request, of, want string }{
		{"POST http://x.shop.test/cart", "cart", "method: the method is not GET"},
		{"POST http://x.shop.test/basket", "cart", "path: the path is not under /cart"},
		{"POST http://a/cart/7", "like", "path: less specific than exact: by path, path /cart/7 exactly is before path like /cart/[0-9]"},
		{"POST http://a/cart/8", "exact", "path: the path is not /cart/7"},
		{"POST http://a/cart", "like", "path: the path is not like /cart/[0-9]"},
		{"POST http://a/?q=s", "all", "query: less specific than search: that asks for more query parameters (1, not 0)"},
		{"POST http://a/?q=x", "search", "query: the request has no query parameter q like s.*"},
		{"POST http://a/", "again", "order: as specific as all, which is written before it"},
	} {
		_, considered := s.Explain(request(tt.request))
		for _, c := range considered {
			if got := fmt.Sprintf("%s: %s", c.By, c.Why); c.Route.Name == tt.of && got != tt.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", tt.request, tt.of, got, tt.want)
			}
		}
	}
}

// What Explain says is what Match does: with all matches, with each alone, and with each
// beside the chosen one, before it and after it in the files.
func FuzzExplain(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		v := vocabulary{rand.New(rand.NewPCG(seed, 1))}
		var routes []policy.Route
		for i := range 1 + v.IntN(12) {
			r := v.route(i)
			if v.IntN(3) == 0 {
				r.Matches = append(r.Matches, v.route(0).Matches...)
			}
			routes = append(routes, r)
		}
		s := compile(t, routes...)
		for range 10 {
			q := v.request()
			matched, considered := s.Explain(q)
			if want := s.Match(q); matched != want {
				t.Fatalf("seed %d: explained %v, matched %v", seed, matched, want)
			}
			var chosen *snapshot.Considered
			for i := range considered {
				c := &considered[i]
				if c.Holds && c.By == "" {
					if chosen != nil {
						t.Fatalf("seed %d: two were chosen", seed)
					}
					chosen = c
				}
				if alone := compile(t, single(c)).Match(q).Route != nil; alone != c.Holds {
					t.Fatalf("seed %d: %s match %d holds %v (%s), alone it matches: %v\n%s", seed, c.Route.Name, c.Match, c.Holds, c.Why, alone, describe(routes))
				}
			}
			if (chosen == nil) != (matched.Route == nil) || chosen != nil && chosen.Route != matched.Route {
				t.Fatalf("seed %d: chosen %v, matched %v", seed, chosen, matched)
			}
			for i := range considered {
				if c := &considered[i]; c.Holds && c != chosen {
					beside(t, q, chosen, c, func() string { return fmt.Sprintf("seed %d\n%s", seed, describe(routes)) })
				}
			}
		}
	})
}

// single is a route of one match.
func single(c *snapshot.Considered) policy.Route {
	r := *c.Route.Policy
	r.Matches = []policy.Match{r.Matches[c.Match-1]}
	return r
}

// beside checks the reason for which a is before b, by policies of these two in which only
// that reason is left.
func beside(t *testing.T, q *snapshot.Request, a, b *snapshot.Considered, where func() string) {
	t.Helper()
	x, y := single(a), single(b)
	x.Name, y.Name = "x", "y"
	mx, my := &x.Matches[0], &y.Matches[0]
	wins := func() (first, second bool) {
		return name(compile(t, x, y).Match(q).Route) == "x", name(compile(t, y, x).Match(q).Route) == "x"
	}
	first, second := wins()
	if !first || second != (b.By != snapshot.ByOrder) {
		t.Fatalf("%s is before %s by %q: it wins %v, and as the second one %v; %s", a.Route.Name, b.Route.Name, b.By, first, second, where())
	}
	switch b.By {
	case snapshot.ByOrder:
		return
	case snapshot.ByHost:
		mx.PathType, mx.Path, my.PathType, my.Path = policy.PathPrefix, "/", policy.PathPrefix, "/"
	default:
		x.Hostnames, y.Hostnames = nil, nil
	}
	switch b.By {
	case snapshot.ByHost, snapshot.ByPath:
		for _, m := range []*policy.Match{mx, my} {
			m.Method, m.Headers, m.Query = "", nil, nil
		}
	case snapshot.ByMethod:
		if mx.Method == "" || my.Method != "" {
			t.Fatalf("not by method: %s", where())
		}
	case snapshot.ByHeader:
		if len(mx.Headers) <= len(my.Headers) {
			t.Fatalf("not by headers: %s", where())
		}
	case snapshot.ByQuery:
		if len(mx.Query) <= len(my.Query) || len(mx.Headers) != len(my.Headers) {
			t.Fatalf("not by query parameters: %s", where())
		}
	}
	if first, second := wins(); !first || !second {
		t.Fatalf("%s is not before %s by %s alone; %s", a.Route.Name, b.Route.Name, b.By, where())
	}
}
