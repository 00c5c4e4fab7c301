package k8s

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// rule is an alert or, with a name in Record, a query that Prometheus keeps the result of.
type rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type ruleGroup struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// ruleFile is what Prometheus reads, and the spec of a PrometheusRule.
type ruleFile struct {
	Groups []ruleGroup `json:"groups"`
}

func (f ruleFile) text(t *testing.T) []byte {
	t.Helper()
	text, err := yaml.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rules are those of the manifests.
func rules(t *testing.T) ruleFile {
	t.Helper()
	for _, o := range objects(t, buildWith(t, "hot-reload", []string{"prometheus-operator"})) {
		if o.kind.Kind == "PrometheusRule" {
			var found struct{ Spec ruleFile }
			if err := yaml.Unmarshal(o.text, &found); err != nil {
				t.Fatal(err)
			}
			return found.Spec
		}
	}
	t.Fatal("there is no PrometheusRule")
	return ruleFile{}
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var found []rule
	for _, g := range rules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				found = append(found, r)
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("there are no alerts")
	}
	return found
}

const rulesHead = `# Generated from k8s/components/prometheus-operator/prometheusrule.yaml: change that, then "cd k8s && go test -count=1 . -update".
#
# The alerts for a Prometheus without the operator: name this file in rule_files, and scrape the admin addresses as job
# "go-loadbalancer". The labels namespace and pod may be missing.
`

// The file for those without the operator has the rules of those with it, comments included.
func TestRulesAreGenerated(t *testing.T) {
	manifest, err := os.ReadFile("components/prometheus-operator/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, spec, ok := bytes.Cut(manifest, []byte("\nspec:\n"))
	if !ok {
		t.Fatal("there is no spec")
	}
	want := append([]byte(rulesHead), bytes.ReplaceAll(append([]byte("\n"), spec...), []byte("\n  "), []byte("\n"))[1:]...)
	if *update {
		if err := os.WriteFile("alerts.yaml", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("alerts.yaml is not the rules of the manifest: cd k8s && go test -count=1 . -update")
	}
	var read ruleFile
	if err := yaml.UnmarshalStrict(got, &read); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.text(t), rules(t).text(t)) {
		t.Error("alerts.yaml means something else than the manifest")
	}
	if said, err := promtool(t, "check", "rules", "alerts.yaml"); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// prometheusTool is a program of Debian's package prometheus. Without it tests are
// skipped, but in CI.
func prometheusTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: .ci/install test", name)
		}
		t.Skipf("%s is missing: it comes with .ci/install test", name)
	}
	return path
}

func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), prometheusTool(t, "promtool"), args...)
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

// ruleTests is a file for promtool test rules; docs of it are Prometheus' "Unit testing
// for rules".
type ruleTests struct {
	RuleFiles          []string    `json:"rule_files"`
	EvaluationInterval string      `json:"evaluation_interval"`
	Tests              []alertTest `json:"tests"`
}

type alertTest struct {
	Interval    string `json:"interval"`
	InputSeries []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"input_series"`
	AlertRuleTest []struct {
		EvalTime  string `json:"eval_time"`
		Alertname string `json:"alertname"`
		ExpAlerts []struct {
			ExpLabels      map[string]string `json:"exp_labels"`
			ExpAnnotations map[string]string `json:"exp_annotations"`
		} `json:"exp_alerts,omitempty"`
	} `json:"alert_rule_test"`
}

// alertTests are the files of testdata/alerts, by name. In them an alert's annotation
// is its summary: the others are the same each time.
func alertTests(t *testing.T) map[string]ruleTests {
	t.Helper()
	files, err := filepath.Glob("testdata/alerts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	all := map[string]ruleTests{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tests ruleTests
		if err := yaml.UnmarshalStrict(text, &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = tests
	}
	return all
}

// summarized leaves alerts the one annotation that their tests are about.
func summarized(f ruleFile) ruleFile {
	var out ruleFile
	for _, g := range f.Groups {
		g.Rules = slices.Clone(g.Rules)
		for i, r := range g.Rules {
			if r.Alert != "" {
				g.Rules[i].Annotations = map[string]string{"summary": r.Annotations["summary"]}
			}
		}
		out.Groups = append(out.Groups, g)
	}
	return out
}

// judge has promtool run tests of rules.
func judge(t *testing.T, f ruleFile, tests ruleTests) (string, error) {
	t.Helper()
	dir := t.TempDir()
	text, err := yaml.Marshal(tests)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"rules.yaml": summarized(f).text(t), "tests.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return promtool(t, "test", "rules", filepath.Join(dir, "tests.yaml"))
}

// Each alert fires when it should, and not before.
func TestAlertsFire(t *testing.T) {
	prometheusTool(t, "promtool")
	all := rules(t)
	for name, tests := range alertTests(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if said, err := judge(t, all, tests); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}

// Each alert has a test in which it fires, not a step sooner, and one in which it does not.
func TestAlertsAreTested(t *testing.T) {
	fires, stays := map[string]bool{}, map[string]bool{}
	for name, tests := range alertTests(t) {
		for i, c := range tests.Tests {
			fired, silent := map[string][]time.Duration{}, map[string][]time.Duration{}
			for _, r := range c.AlertRuleTest {
				at, err := time.ParseDuration(r.EvalTime)
				if err != nil {
					t.Fatalf("%s, test %d: %v", name, i, err)
				}
				to := silent
				if len(r.ExpAlerts) > 0 {
					to = fired
				}
				to[r.Alertname] = append(to[r.Alertname], at)
			}
			for alert, times := range fired {
				if at := slices.Min(times); slices.ContainsFunc(silent[alert], func(s time.Duration) bool { return at-s > 0 && at-s <= time.Minute }) {
					fires[alert] = true
				}
			}
			for alert := range silent {
				stays[alert] = stays[alert] || fired[alert] == nil
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] {
			t.Errorf("no test has %s fire, and not a minute sooner", a.Alert)
		}
		if !stays[a.Alert] {
			t.Errorf("in no test %s does not fire", a.Alert)
		}
	}
}

// mutants are an alert's rule with one thing changed each: another time to wait, another
// threshold or comparison, a condition on labels less.
func mutants(t *testing.T, r rule, step time.Duration) map[string]rule {
	t.Helper()
	all := map[string]rule{}
	wait := time.Duration(0)
	if r.For != "" {
		d, err := time.ParseDuration(r.For)
		if err != nil {
			t.Fatal(err)
		}
		wait = d
	}
	for _, d := range []time.Duration{wait - step, wait + step} {
		if d >= 0 {
			m := r
			m.For = d.String()
			all["for "+m.For] = m
		}
	}

	// Each change is made in a tree of its own.
	parse := func() (tree parser.Expr, nodes []parser.Node) {
		tree, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
			nodes = append(nodes, n)
			return nil
		})
		return tree, nodes
	}
	change := func(what string, by func(n parser.Node) bool) {
		_, nodes := parse()
		for i := range nodes {
			tree, nodes := parse()
			if nodes[i] != nil && by(nodes[i]) {
				m := r
				m.Expr = tree.String()
				all[fmt.Sprintf("%s, node %d: %s", what, i, m.Expr)] = m
			}
		}
	}
	for _, factor := range []float64{0.5, 1.5} {
		change(fmt.Sprintf("times %v", factor), func(n parser.Node) bool {
			b, ok := n.(*parser.BinaryExpr)
			if !ok || !b.Op.IsComparisonOperator() {
				return false
			}
			for {
				if p, ok := b.RHS.(*parser.BinaryExpr); ok {
					b = p
					continue
				}
				n, ok := b.RHS.(*parser.NumberLiteral)
				if !ok || n.Val == 0 {
					return false
				}
				if n.Val == 1 && factor > 1 { // it is compared with a count
					factor = 2
				}
				n.Val *= factor
				return true
			}
		})
	}
	change("or equal", func(n parser.Node) bool {
		b, ok := n.(*parser.BinaryExpr)
		if !ok || b.RHS.String() != "0" || b.Op != parser.GTR {
			return false
		}
		b.Op = parser.GTE
		return true
	})
	for i := range 3 {
		change("without condition "+strconv.Itoa(i), func(n parser.Node) bool {
			v, ok := n.(*parser.VectorSelector)
			if !ok {
				return false
			}
			at := -1
			for j, m := range slices.DeleteFunc(slices.Clone(v.LabelMatchers), func(m *labels.Matcher) bool { return m.Name == "job" || m.Name == "__name__" }) {
				if j == i {
					at = slices.Index(v.LabelMatchers, m)
				}
			}
			if at < 0 {
				return false
			}
			v.LabelMatchers = slices.Delete(v.LabelMatchers, at, at+1)
			return true
		})
	}
	return all
}

// The tests of alerts notice if an alert is changed.
func TestAlertTestsNotice(t *testing.T) {
	prometheusTool(t, "promtool")
	all := rules(t)
	for _, g := range all.Groups {
		for i, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			t.Run(r.Alert, func(t *testing.T) {
				t.Parallel()
				var mine []ruleTests // what is about this alert
				for _, tests := range alertTests(t) {
					tests.Tests = slices.DeleteFunc(tests.Tests, func(c alertTest) bool { return c.AlertRuleTest[0].Alertname != r.Alert })
					if len(tests.Tests) > 0 {
						mine = append(mine, tests)
					}
				}
				if len(mine) != 1 {
					t.Fatalf("tests of it are in %d files, want one", len(mine))
				}
				alone := func(as rule) ruleFile { // with what it may ask for
					var kept []rule
					for j, other := range g.Rules {
						switch {
						case i == j:
							kept = append(kept, as)
						case other.Record != "" && strings.Contains(r.Expr, other.Record):
							kept = append(kept, other)
						}
					}
					return ruleFile{[]ruleGroup{{g.Name, kept}}}
				}
				if said, err := judge(t, alone(r), mine[0]); err != nil {
					t.Fatalf("as it is: %v\n%s", err, said)
				}
				step, err := time.ParseDuration(mine[0].EvaluationInterval)
				if err != nil {
					t.Fatal(err)
				}
				found := mutants(t, r, step)
				if len(found) < 2 {
					t.Errorf("it can be changed in %d ways", len(found))
				}
				for what, m := range found {
					if said, err := judge(t, alone(m), mine[0]); err == nil {
						t.Errorf("nothing notices: %s\n%s", what, said)
					} else if !strings.Contains(said, "FAILED") {
						t.Errorf("%s: %v\n%s", what, err, said)
					}
				}
			})
		}
	}
}
