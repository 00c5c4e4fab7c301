package impact_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"go-loadbalancer/lb/impact"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files: read each difference before you commit it")

func read(t testing.TB, text []byte) *policy.Written {
	t.Helper()
	w, found := (policy.Files{"shop.yaml": text}).Read()
	if w == nil {
		t.Fatalf("not a policy:\n%s", found)
	}
	return w
}

func of(t testing.TB, old, new *policy.Written) *impact.Report {
	t.Helper()
	r, err := impact.Of(old, new)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func asText(t testing.TB, r *impact.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func asJSON(t testing.TB, r *impact.Report) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReports holds reports against testdata, each file two policies and what is said of
// them.
func TestReports(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 10 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]*txtar.File{}
			for i := range a.Files {
				files[a.Files[i].Name] = &a.Files[i]
			}
			r := of(t, read(t, files["old.yaml"].Data), read(t, files["new.yaml"].Data))
			got := map[string]string{"want.txt": asText(t, r), "want.json": asJSON(t, r)}
			again := of(t, read(t, files["old.yaml"].Data), read(t, files["new.yaml"].Data))
			if diff := cmp.Diff(got["want.json"], asJSON(t, again)); diff != "" {
				t.Errorf("two reports differ:\n%s", diff)
			}
			for name, text := range got {
				if *update {
					files[name].Data = []byte(text)
				} else if diff := cmp.Diff(string(files[name].Data), text); diff != "" {
					t.Errorf("%s differs (-want +got); if that is meant, run with -update:\n%s", name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// corpus is every valid policy of the tree.
func corpus(t testing.TB) (texts [][]byte) {
	t.Helper()
	for _, glob := range []string{"../policy/testdata/*.good.yaml", "../policy/testdata/*.warn.yaml", "../../policies/*/*.yaml", "../../scenarios/policies/*/*/*.yaml"} {
		paths, err := filepath.Glob(glob)
		if err != nil || len(paths) == 0 {
			t.Fatal(glob, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, data)
		}
	}
	return texts
}

// TestEveryPair compares every policy with every one, both ways.
func TestEveryPair(t *testing.T) {
	texts := corpus(t)
	for i := range texts {
		for j := range i + 1 {
			if raceEnabled && i != j && (i+j)%8 != 0 {
				continue // one goroutine does it all: without the detector they all are compared
			}
			check(t, read(t, texts[i]), read(t, texts[j]), i == j)
		}
	}
}

// check holds what is true of any two policies.
func check(t testing.TB, a, b *policy.Written, same bool) {
	t.Helper()
	r, back := of(t, a, b), of(t, b, a)
	if same && !r.Same || r.Same != (len(r.Changes) == 0) || r.Same != back.Same {
		t.Errorf("same: %v, back: %v, with %d changes", r.Same, back.Same, len(r.Changes))
	}
	kinds := func(r *impact.Report) map[string]int {
		n := map[string]int{}
		for _, c := range r.Changes {
			n[c.Kind]++
		}
		return n
	}
	x, y := kinds(r), kinds(back)
	if x["added"] != y["removed"] || x["removed"] != y["added"] || x["changed"] != y["changed"] {
		t.Errorf("one way %v, the other way %v", x, y)
	}
	if r.Same && len(r.Requests.Moved)+len(r.Endpoints)+len(r.Sessions)+len(r.Keys)+len(r.Retries.Routes)+len(r.Retries.Copies)+r.Reload.Added+r.Reload.Removed > 0 {
		t.Errorf("the policies say the same, and yet:\n%s", asJSON(t, r))
	}
	for _, c := range r.Changes { // it can be written into a scenario's mutations
		if strings.Contains(c.Path, "[[") { // an IPv6 address
			continue
		}
		if p, err := schema.ParsePath(c.Path); err != nil {
			t.Errorf("%s: %v", c.Path, err)
		} else if complaint := p.In(policy.Shape()); complaint != "" {
			t.Errorf("%s: %s", c.Path, complaint)
		}
	}
	for _, s := range r.Sessions {
		sum := 0.0
		for _, m := range s.Moves {
			sum += m.Share
		}
		if s.Share < 0 || s.Share > 1 || math.Abs(sum-s.Share) > 0.01 {
			t.Errorf("%v: %v of the sessions move, for reasons of %v", s.Routes, s.Share, sum)
		}
	}
	if text := asText(t, r); strings.ContainsAny(text, "\x1b\x00\r") {
		t.Errorf("%q drives a terminal", text)
	}
	asJSON(t, r)
}

const head = "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: a, version: \"1\"}\nspec:\n  listeners: [{name: http, address: \":80\"}]\n"

// TestSharesAreRight holds shares against what the weights say.
func TestSharesAreRight(t *testing.T) {
	var four, three []string
	for i := range 4 {
		four = append(four, fmt.Sprintf(`{address: "10.0.0.%d:80", weight: %d}`, i, i+1))
	}
	three = four[:3]
	p := func(a, b int, endpoints []string) *policy.Written {
		return read(t, fmt.Appendf(nil, "%s  routes: [{name: r, backendRefs: [{pool: a, weight: %d}, {pool: b, weight: %d}]}]\n  pools:\n    - {name: a, endpoints: [%s], sessionPersistence: {store: Cookie}}\n    - {name: b, endpoints: [{address: \"10.0.1.1:80\"}], sessionPersistence: {store: Cookie}}\n",
			head, a, b, strings.Join(endpoints, ", ")))
	}
	for name, c := range map[string]struct {
		old, new *policy.Written
		want     float64
	}{
		"weights":            {p(90, 10, four), p(70, 30, four), 0.2},
		"back":               {p(70, 30, four), p(90, 10, four), 0.2},
		"all of it":          {p(100, 0, four), p(0, 100, four), 1},
		"an endpoint":        {p(1, 0, four), p(1, 0, three), 0.4},
		"of half":            {p(50, 50, four), p(50, 50, three), 0.2},
		"both":               {p(100, 0, four), p(50, 50, three), 0.5 + 0.5*0.4},
		"an endpoint is new": {p(1, 0, three), p(1, 0, four), 0},
	} {
		r := of(t, c.old, c.new)
		got := 0.0
		if len(r.Sessions) > 0 {
			got = r.Sessions[0].Share
		}
		if math.Abs(got-c.want) > 0.02 || (c.want == 0) != (got == 0) {
			t.Errorf("%s: %v of the sessions move, want %v", name, got, c.want)
		}
	}
}

// TestEveryNumberHasAMeaning: a threshold that the language gets is no surprise here.
func TestEveryNumberHasAMeaning(t *testing.T) {
	numbers := map[string]bool{}
	var walk func(path string, s *schema.Shape)
	walk = func(path string, s *schema.Shape) {
		for _, r := range s.Rows {
			at, inner := strings.TrimPrefix(path+"."+r.Name, "."), r.Shape
			number := inner.Schema.Type == "integer" || inner.Schema.Type == "number" || strings.HasPrefix(inner.Text, "duration")
			if number || inner.Rows == nil && inner.Item == nil && len(inner.Schema.Enum) > 0 && fmt.Sprintf("%T", inner.Schema.Enum[0]) == "int" {
				numbers[at] = true
			}
			if inner.Item != nil {
				if inner.Item.Schema.MaxProperties != 1 { // filters are fields in a change's path
					at += "[]"
				}
				inner = inner.Item
			}
			walk(at, inner)
		}
	}
	walk("", policy.Shape())
	if len(numbers) < 40 {
		t.Fatalf("found %d numbers", len(numbers))
	}
	for field := range numbers {
		if !impact.HasMeaning(field) {
			t.Errorf("%s: say in threshold.go what more of it means", field)
		}
	}
	for _, field := range impact.Meanings() {
		if !numbers[field] {
			t.Errorf("%s is not a number of the language", field)
		}
	}
}

// TestLargePolicies: what a file can hold is compared in about linear time. The bound is
// generous: what is quadratic takes minutes.
func TestLargePolicies(t *testing.T) {
	if raceEnabled {
		t.Skip("it is one goroutine, and takes a minute with the race detector: make test runs it without, too")
	}
	routes := func(n int, match string) *policy.Written {
		var b strings.Builder
		b.WriteString(head + "  routes:\n")
		for i := range n {
			fmt.Fprintf(&b, "    - {name: r%d, matches: [{path: "+match+"}], backendRefs: [{pool: p%d}]}\n", i, i, i%500)
		}
		b.WriteString("  pools:\n")
		for i := range 500 {
			fmt.Fprintf(&b, "    - {name: p%d, endpoints: [{address: \"10.0.%d.%d:80\"}, {address: \"10.1.0.%d:80\"}], sessionPersistence: {cookie: {name: c}}}\n", i, n%256, i%256, i%256)
		}
		return read(t, []byte(b.String()))
	}
	for name, c := range map[string][2]*policy.Written{
		"prefixes": {routes(5000, "{value: /r%d}"), routes(5001, "{value: /r%d}")},
		"others":   {routes(5000, "{value: /r%d}"), routes(5000, "{value: /s%d}")},
		"patterns": {routes(2000, "{type: RegularExpression, value: \"/r%d/[a-z]+\"}"), routes(2001, "{type: RegularExpression, value: \"/r%d/[a-z]*\"}")},
	} {
		began := time.Now()
		r := of(t, c[0], c[1])
		t.Logf("%s: %v, %d changes, %d probes, all: %v, %d entries of sessions", name, time.Since(began), len(r.Changes), r.Requests.Probed, r.Requests.All, len(r.Sessions))
		if n := len(asText(t, r)); n > 200_000 {
			t.Errorf("%s: the text has %d bytes", name, n)
		}
	}
}

// FuzzOf: no two policies bring it down, and what is true of any two holds.
func FuzzOf(f *testing.F) {
	texts := corpus(f)
	for i := range texts {
		f.Add(texts[i], texts[(i+1)%len(texts)])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		old, _ := (policy.Files{"a.yaml": a}).Read()
		new, _ := (policy.Files{"a.yaml": b}).Read()
		if old == nil || new == nil {
			return
		}
		check(t, old, new, bytes.Equal(a, b))
	})
}
