package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/snapshot"
)

func TestMatch(t *testing.T) {
	type ask struct {
		request string // with " | Name: value" for each field
		want    string // the route; "" for none
		prefix  int
	}
	tests := []struct {
		name   string
		routes []policy.Route
		asks   []ask
	}{
		{"hosts", []policy.Route{
			route("any", "", "/"),
			route("wild", "*.example.com", "/"),
			route("wilder", "*.shop.example.com", "/"),
			route("exact", "a.shop.example.com", "/"),
		}, []ask{
			{"GET http://a.shop.example.com/", "exact", 0},
			{"GET http://A.Shop.EXAMPLE.com/", "exact", 0},
			{"GET http://a.shop.example.com:8080/", "exact", 0},
			{"GET http://a.shop.example.com./", "exact", 0},
			{"GET http://a.shop.example.com.:80/", "exact", 0},
			{"GET http://b.shop.example.com/", "wilder", 0},
			{"GET http://c.b.Shop.example.com:1/", "wilder", 0},
			{"GET http://shop.example.com/", "wild", 0},
			{"GET http://x.example.com/", "wild", 0},
			{"GET http://example.com/", "any", 0},
			{"GET http://xexample.com/", "any", 0},
			{"GET http://.example.com/", "any", 0},
			{"GET http:///", "any", 0},
			{"GET http://[::1]:8000/", "any", 0},
			{"GET http://" + strings.Repeat("a.", 200) + "example.com/", "any", 0}, // longer than a name can be
		}},
		{"hosts without any", []policy.Route{route("v6", "[::1]", "/"), route("a", "a b", "/")}, []ask{
			{"GET http://[::1]:8000/", "v6", 0},
			{"GET http://[::1]/", "v6", 0},
			{"GET http://b/", "a", 0},
			{"GET http://c/", "", -1},
			{"GET http:///", "", -1},
		}},
		{"a star is any host", []policy.Route{route("r", "*", "/")}, []ask{{"GET http://a/", "r", 0}, {"GET http:///", "r", 0}}},
		{"a host does not hide a less specific one", []policy.Route{
			route("exact", "a.example.com", "/exact"),
			route("wild", "*.example.com", "/wild"),
			route("any", "", "/any"),
			route("method", "a.example.com", "/any", "PUT"),
		}, []ask{
			{"GET http://a.example.com/exact", "exact", 6},
			{"GET http://a.example.com/wild", "wild", 5},
			{"GET http://a.example.com/any", "any", 4},
			{"PUT http://a.example.com/any", "method", 4},
			{"GET http://a.example.com/else", "", -1},
		}},
		{"the host goes before the path", []policy.Route{
			route("any", "", "=/a"),
			route("wild", "*.x", "/a"),
			route("exact", "h.x", "/"),
		}, []ask{{"GET http://h.x/a", "exact", 0}, {"GET http://g.x/a", "wild", 2}, {"GET http://g/a", "any", -1}}},
		{"prefixes by whole elements", []policy.Route{
			route("a", "", "/a"), route("ab", "", "/a/b/"), route("abc", "", "/a/b/c"), route("z", "", "/z/"),
		}, []ask{
			{"GET http://h/a", "a", 2},
			{"GET http://h/a/", "a", 2},
			{"GET http://h/ab", "", -1},
			{"GET http://h/a/b", "ab", 4},
			{"GET http://h/a/b/", "ab", 4},
			{"GET http://h/a/bc", "a", 2},
			{"GET http://h/a/b/c/d/e/f", "abc", 6},
			{"GET http://h/a/b/cd", "ab", 4},
			{"GET http://h/z", "z", 2},
			{"GET http://h/z/y", "z", 2},
			{"GET http://h/A", "", -1},
			{"GET http://h//a", "", -1},
			{"GET http://h/a//b", "a", 2},
			{"GET http://h/a%2Fb", "", -1},
			{"GET http://h/%61", "", -1},
			{"GET http://h/", "", -1},
		}},
		{"exact, prefix, pattern", []policy.Route{
			route("pattern", "", "~/a/b.*"),
			route("longer pattern", "", "~/a/b[0-9]+"),
			route("root", "", "/x"),
			route("prefix", "", "/a/c"),
			route("exact", "", "=/a/b"),
			route("exact slash", "", "=/a/b/"),
		}, []ask{
			{"GET http://h/a/b", "exact", -1},
			{"GET http://h/a/b/", "exact slash", -1},
			{"GET http://h/a/c/b", "prefix", 4},
			{"GET http://h/a/b/c", "pattern", -1},
			{"GET http://h/a/b77", "longer pattern", -1},
			{"GET http://h/a/b77c", "pattern", -1},
			{"GET http://h/a", "", -1},
			{"GET http://h/b/a/b77", "", -1},
		}},
		{"a path's other conditions let it fall through", []policy.Route{
			route("exact", "", "=/a/b", "POST"),
			route("long", "", "/a/b", "PUT"),
			route("short", "", "/a", "GET"),
			route("pattern", "", "~/.*", "PATCH"),
			route("all", "", "/"),
		}, []ask{
			{"POST http://h/a/b", "exact", -1},
			{"PATCH http://h/a/b", "pattern", -1},
			{"PUT http://h/a/b", "long", 4},
			{"GET http://h/a/b", "short", 2},
			{"DELETE http://h/a/b", "all", 0},
		}},
		{"method, headers, query, order", []policy.Route{
			route("plain", "", "/"),
			route("plain again", "", "/"),
			route("query", "", "/", "Q a=1"),
			route("two queries", "", "/", "Q a=1", "Q b=2"),
			route("header", "", "/", "H x=1"),
			route("two headers", "", "/", "H x=1", "H y=1"),
			route("method", "", "/", "POST"),
			route("method and header", "", "/", "POST", "H x=1"),
		}, []ask{
			{"GET http://h/", "plain", 0},
			{"GET http://h/?a=1", "query", 0},
			{"GET http://h/?a=1&b=2", "two queries", 0},
			{"GET http://h/?a=1&b=2 | X: 1", "header", 0},
			{"GET http://h/ | X: 1 | Y: 1", "two headers", 0},
			{"POST http://h/?a=1 | Y: 1", "method", 0},
			{"POST http://h/ | X: 1 | Y: 1", "method and header", 0},
			{"post http://h/", "plain", 0},
		}},
		{"headers", []policy.Route{
			route("exact", "", "/", "H X-Beta=1"), route("pattern", "", "/", "H X-Beta~[2-9]|ten"),
		}, []ask{
			{"GET http://h/ | x-beta: 1", "exact", 0},
			{"GET http://h/ | X-Beta: 0 | X-Beta: 1", "exact", 0},
			{"GET http://h/ | X-Beta: 1, 2", "", -1},
			{"GET http://h/ | X-Beta: 7", "pattern", 0},
			{"GET http://h/ | X-Beta: 77", "", -1},
			{"GET http://h/ | X-Beta: ten", "pattern", 0},
			{"GET http://h/", "", -1},
		}},
		{"query", []policy.Route{
			route("exact", "", "/", "Q a b=c&d"), route("pattern", "", "/", "Q n~[0-9 ]+"), route("empty", "", "/", "Q e="),
		}, []ask{
			{"GET http://h/?a+b=c%26d", "exact", 0},
			{"GET http://h/?%61%20b=c%26%64", "exact", 0},
			{"GET http://h/?x=1&a+b=c%26d&y", "exact", 0},
			{"GET http://h/?a+b=c&d", "", -1},
			{"GET http://h/?a+b=other&a+b=c%26d", "", -1}, // the first decides
			{"GET http://h/?n=1+2", "pattern", 0},
			{"GET http://h/?n=12", "pattern", 0},
			{"GET http://h/?n=%31%2", "", -1},
			{"GET http://h/?e", "empty", 0},
			{"GET http://h/?e=", "empty", 0},
			{"GET http://h/?E=", "", -1},
			{"GET http://h/", "", -1},
			{"GET http://h/?", "", -1},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := compile(t, tt.routes...)
			for _, a := range tt.asks {
				line, fields, has := strings.Cut(a.request, " | ")
				var list []string
				if has {
					list = strings.Split(fields, " | ")
				}
				m := s.Match(request(line, list...))
				if got := name(m.Route); got != a.want || m.PrefixLen != a.prefix {
					t.Errorf("%s: route %q, prefix %d; want %q, %d", a.request, got, m.PrefixLen, a.want, a.prefix)
				}
			}
		})
	}
}

func name(r *snapshot.Route) string {
	if r == nil {
		return ""
	}
	return r.Name
}

// TestPathsThatAreNone asks for what is no path: the "*" of OPTIONS, the
// authority of CONNECT, nothing.
func TestPathsThatAreNone(t *testing.T) {
	s := compile(t, route("prefix", "", "/"), route("pattern", "", `~\*`))
	for path, want := range map[string]string{"*": "pattern", "": "", "h:443": ""} {
		if got := name(s.Match(&snapshot.Request{Method: []byte("GET"), Path: []byte(path)}).Route); got != want {
			t.Errorf("%q: %q", path, got)
		}
	}
	r := route("header", "", "/", "H x=1")
	if got := name(compile(t, r).Match(&snapshot.Request{Path: []byte("/")}).Route); got != "" {
		t.Errorf("a header matched in no head: %q", got)
	}
}

// vocabulary makes routes and requests that often meet.
type vocabulary struct{ *rand.Rand }

func (v vocabulary) one(of ...string) string { return of[v.IntN(len(of))] }

func (v vocabulary) path() string {
	var b strings.Builder
	for range 1 + v.IntN(4) {
		b.WriteString("/" + v.one("a", "b", "c", "ab", "", "a1"))
	}
	return b.String()
}

func (v vocabulary) host() string {
	return v.one("a", "x.a", "y.x.a", "z.y.x.a", "b", "x.b", "B", "X.a:80", "c", "x.a.", "")
}

func (v vocabulary) route(i int) policy.Route {
	var hosts []string
	for range v.IntN(3) {
		hosts = append(hosts, v.one("a", "x.a", "*.a", "*.x.a", "*.y.x.a", "b", "*.b"))
	}
	path := v.path()
	switch v.IntN(6) {
	case 0:
		path = "=" + path
	case 1:
		path = "~" + v.one("/a.*", "/[ab]/.*", ".*", "/a/b", "/.*/b", "(/[a-c])+")
	case 2:
		path = "/"
	}
	var conditions []string
	if v.IntN(3) == 0 {
		conditions = append(conditions, v.one("GET", "POST"))
	}
	for v.IntN(3) == 0 {
		conditions = append(conditions, "H "+v.one("X", "Y")+v.one("=", "~")+v.one("1", "2"))
	}
	for v.IntN(4) == 0 {
		conditions = append(conditions, "Q "+v.one("p", "q")+v.one("=", "~")+v.one("1", "2"))
	}
	return route(fmt.Sprint("r", i), strings.Join(hosts, " "), path, conditions...)
}

func (v vocabulary) request() *snapshot.Request {
	var fields []string
	for v.IntN(2) == 0 {
		fields = append(fields, v.one("x", "Y")+": "+v.one("1", "2", "3"))
	}
	url := v.one("GET", "POST", "PUT") + " http://" + v.host() + v.path()
	for sep := "?"; v.IntN(2) == 0; sep = "&" {
		url += sep + v.one("p", "q", "%70") + "=" + v.one("1", "%32", "3")
	}
	return request(url, fields...)
}

// FuzzMatch compares Match with the rules of precedence written down plainly.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		v := vocabulary{rand.New(rand.NewPCG(seed, 0))}
		var routes []policy.Route
		for i := range 1 + v.IntN(30) {
			r := v.route(i)
			if v.IntN(3) == 0 {
				r.Matches = append(r.Matches, v.route(0).Matches...)
			}
			routes = append(routes, r)
		}
		s := compile(t, routes...)
		for range 40 {
			q := v.request()
			want, prefix := reference(routes, q)
			got := s.Match(q)
			if name(got.Route) != want || got.PrefixLen != prefix {
				t.Fatalf("seed %d: %s %s%s?%s %v: got %q (prefix %d), want %q (%d)\n%s", seed, q.Method, q.Host, q.Path, q.Query, q.Head,
					name(got.Route), got.PrefixLen, want, prefix, describe(routes))
			}
		}
	})
}

func describe(routes []policy.Route) string {
	var b strings.Builder
	for _, r := range routes {
		fmt.Fprintf(&b, "%s %v", r.Name, r.Hostnames)
		for _, m := range r.Matches {
			fmt.Fprintf(&b, " [%s %s %s %v %v]", m.PathType, m.Path, m.Method, m.Headers, m.Query)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// reference looks at every rule and keeps the one with the greatest rank.
func reference(routes []policy.Route, q *snapshot.Request) (best string, prefix int) {
	var bestRank []int
	prefix = -1
	host := strings.ToLower(string(q.Host))
	if i := strings.LastIndex(host, ":"); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for order, r := range routes {
		hostnames := r.Hostnames
		if len(hostnames) == 0 {
			hostnames = []string{""}
		}
		for _, h := range hostnames {
			var hostRank int
			switch {
			case h == "":
			case strings.HasPrefix(h, "*"):
				if len(host) < len(h) || !strings.HasSuffix(host, h[1:]) {
					continue
				}
				hostRank = len(h)
			case h == host:
				hostRank = 1000
			default:
				continue
			}
			for i, m := range r.Matches {
				p, l := string(q.Path), -1
				var pathRank int
				switch m.PathType {
				case policy.PathExact:
					if p != m.Path {
						continue
					}
					pathRank = 20000
				case policy.PathPrefix:
					trimmed := strings.TrimRight(m.Path, "/")
					if p != trimmed && !strings.HasPrefix(p, trimmed+"/") {
						continue
					}
					l = len(trimmed)
					pathRank = l
				default:
					if !m.PathRegex.MatchString(p) {
						continue
					}
					pathRank = 10000 + len(m.Path)
				}
				if m.Method != "" && m.Method != string(q.Method) || !holds(m.Headers, fieldsOf(q), true) || !holds(m.Query, paramsOf(q), false) {
					continue
				}
				hasMethod := 0
				if m.Method != "" {
					hasMethod = 1
				}
				rank := []int{hostRank, pathRank, hasMethod, len(m.Headers), len(m.Query), -order, -i}
				if bestRank == nil || slices.Compare(rank, bestRank) > 0 {
					bestRank, best, prefix = rank, r.Name, l
				}
			}
		}
	}
	return best, prefix
}

func holds(conditions []policy.ValueMatch, have [][2]string, all bool) bool {
	for _, c := range conditions {
		held := false
		for _, kv := range have {
			if kv[0] != strings.ToLower(c.Name) {
				continue
			}
			held = held || c.Regex != nil && c.Regex.MatchString(kv[1]) || c.Regex == nil && c.Value == kv[1]
			if !all {
				break
			}
		}
		if !held {
			return false
		}
	}
	return true
}

func fieldsOf(q *snapshot.Request) (out [][2]string) {
	for _, line := range q.Head.(head) {
		n, v, _ := strings.Cut(line, ": ")
		out = append(out, [2]string{strings.ToLower(n), v})
	}
	return out
}

func paramsOf(q *snapshot.Request) (out [][2]string) {
	decode := strings.NewReplacer("%70", "p", "%32", "2")
	for _, pair := range strings.Split(string(q.Query), "&") {
		n, v, _ := strings.Cut(pair, "=")
		out = append(out, [2]string{decode.Replace(n), decode.Replace(v)})
	}
	return out
}

func TestMatchAllocatesNothing(t *testing.T) {
	s := compile(t,
		route("exact", "shop.example.com", "=/cart"), route("wild", "*.example.com", "/a/b"), route("method", "*.example.com", "/a", "PUT", "Q x=1"),
		route("pattern", "", "~/p/[0-9]+"), route("any", "", "/"))
	for _, url := range []string{
		"GET http://shop.example.com/cart", "GET http://SHOP.Example.com:8080/cart", "GET http://x.EXAMPLE.com/a/b/c",
		"PUT http://x.example.com/a/c?y=%20&x=%31", "GET http://nowhere/p/12", "GET http://nowhere/",
	} {
		q := request(url)
		if s.Match(q).Route == nil {
			t.Fatalf("%s: no route", url)
		}
		if n := testing.AllocsPerRun(1000, func() {
			q := *q // as if made for each request
			s.Match(&q)
		}); n != 0 {
			t.Errorf("%s: %v allocations", url, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 100, 5000} {
		var routes []policy.Route
		for i := range n {
			routes = append(routes, route(fmt.Sprint("r", i), fmt.Sprintf("h%d.example.com *.t%d.example.com", i%100, i%100), fmt.Sprintf("/api/v%d", i/100)))
		}
		routes = append(routes, route("any", "", "/"))
		s := compile(b, routes...)
		for _, url := range []string{"GET http://h0.example.com/api/v0/items/1", "GET http://a.t0.Example.com:80/api/v0/items/1", "GET http://other/x/y/z"} {
			b.Run(fmt.Sprintf("%d routes/%s", n, url[11:]), func(b *testing.B) {
				q := request(url)
				b.ReportAllocs()
				for b.Loop() {
					s.Match(q)
				}
			})
		}
	}
}
