package k8s

import (
	"cmp"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// targetLabels are those that Prometheus adds to what it scrapes by a ServiceMonitor;
// the operator's own "endpoint" is dropped there.
var targetLabels = []string{"job", "instance", "namespace", "pod", "container", "service"}

// values are the values of each label of a metric.
type values map[string][]string

// series are the metrics that a balancer of these manifests has, once a request
// of each of its pools was there.
func series(t *testing.T) map[string]values {
	t.Helper()
	all := objects(t, build(t, "overlays/hot-reload"))
	listen := "127.0.0.1:" + free(t)
	// No server is there: a request that fails shows in more metrics.
	m := local(find[*corev1.ConfigMap](t, all, "go-loadbalancer-policies"), listen, "127.0.0.1:1")
	for name, text := range m.Data { // mirrors have metrics of their own, and so has a limit that is none by default
		for was, is := range map[string]string{
			"      backendRefs:\n        - {pool: cart}\n": "      filters: [{requestMirror: {pool: catalog}}]\n      backendRefs: [{pool: cart}]\n",
			"      limits: {": "      limits: {perEndpoint: {maxParallelRequests: 100}, ",
		} {
			changed := strings.Replace(text, was, is, 1)
			if changed == text {
				t.Fatalf("%s does not have %q", name, was)
			}
			text = changed
		}
		m.Data[name] = text
	}
	// Traces have metrics too; no collector is there either.
	admin := replicas(t, 1, find[*appsv1.Deployment](t, all, balancer), mounted(t, m), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	for _, path := range []string{"/cart", "/"} {
		get(t, "http://"+listen+path, http.StatusServiceUnavailable)
	}
	found := map[string]values{}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for line := range strings.Lines(get(t, "http://127.0.0.1:"+admin+"/metrics", http.StatusOK)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		if found[name] == nil {
			found[name] = values{}
		}
		for _, l := range label.FindAllStringSubmatch(line, -1) {
			if of := found[name]; !slices.Contains(of[l[1]], l[2]) {
				of[l[1]] = append(of[l[1]], l[2])
			}
		}
	}
	found["up"] = values{} // Prometheus' own, of each target
	for _, g := range rules(t).Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				found[r.Record] = recorded(t, r, found)
			}
		}
	}
	return found
}

// recorded are the labels of what a rule records: an aggregation's, or two of the same
// labels compared.
func recorded(t *testing.T, r rule, have map[string]values) values {
	t.Helper()
	left := values{}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := expr.(*parser.BinaryExpr); ok {
		expr = b.LHS
	}
	a, ok := expr.(*parser.AggregateExpr)
	if !ok || a.Without {
		t.Fatalf("%s: which labels it has cannot be said", r.Record)
	}
	for name := range selectors(a) {
		for _, l := range a.Grouping {
			if of, ok := have[name][l]; ok {
				left[l] = of
			}
		}
	}
	return left
}

// selectors are the names of the metrics that an expression asks for.
func selectors(expr parser.Expr) map[string]bool {
	names := map[string]bool{}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			names[v.Name] = true
		}
		return nil
	})
	return names
}

// asks are the queries of all components, by what asks them.
func asks(t *testing.T) map[string]string {
	t.Helper()
	queries := map[string]string{}
	all := objects(t, buildWith(t, "hot-reload", []string{"prometheus-operator", "in-flight-keda"}))
	for _, trigger := range scaledObject(t, all).Spec.Triggers {
		if trigger.Type == "prometheus" {
			queries["ScaledObject"] = trigger.Metadata["query"]
		}
	}
	for _, g := range rules(t).Groups {
		for _, r := range g.Rules {
			queries[cmp.Or(r.Alert, r.Record)] = r.Expr
		}
	}

	text, err := os.ReadFile("components/in-flight-adapter/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The fields of prometheus-adapter's rules that are used here.
	var adapter struct {
		Rules []struct {
			SeriesQuery string `json:"seriesQuery"`
			Resources   struct {
				Overrides map[string]struct {
					Resource string `json:"resource"`
				} `json:"overrides"`
			} `json:"resources"`
			Name struct {
				Matches string `json:"matches"`
			} `json:"name"`
			MetricsQuery string `json:"metricsQuery"`
		} `json:"rules"`
	}
	if err := yaml.UnmarshalStrict(text, &adapter); err != nil {
		t.Fatal(err)
	}
	for _, r := range adapter.Rules {
		queries["adapter, series"] = r.SeriesQuery
		queries["adapter, metric"] = strings.NewReplacer("<<.Series>>", "lb_requests_in_flight", "<<.LabelMatchers>>", `pod="a"`, "<<.GroupBy>>", "pod").Replace(r.MetricsQuery)
		if !regexp.MustCompile(r.Name.Matches).MatchString("lb_requests_in_flight") {
			t.Errorf("the adapter's rule is not about the metric of its HorizontalPodAutoscaler: %s", r.Name.Matches)
		}
	}
	return queries
}

// check says what is wrong with a query, for metrics that have these labels.
func check(query string, have map[string]values) (wrong []string) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	var known []string // labels of any metric of the query
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		labels, ok := have[v.Name]
		if !ok {
			wrong = append(wrong, "there is no metric "+v.Name)
			return nil
		}
		known = slices.AppendSeq(known, maps.Keys(labels))
		for _, m := range v.LabelMatchers {
			switch of, ok := labels[m.Name]; {
			case m.Name == "__name__" || slices.Contains(targetLabels, m.Name):
			case !ok:
				wrong = append(wrong, v.Name+" has no label "+m.Name)
			case !slices.ContainsFunc(of, m.Matches):
				wrong = append(wrong, v.Name+" is never "+m.String())
			}
		}
		return nil
	})
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		var by []string
		switch n := n.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = n.VectorMatching.MatchingLabels
			}
		}
		for _, l := range by {
			if !slices.Contains(known, l) && !slices.Contains(targetLabels, l) {
				wrong = append(wrong, "no metric of it has the label "+l)
			}
		}
		return nil
	})
	return wrong
}

// Prometheus renames a metric's label that its target has too: none may be lost so.
func TestTargetsTakeNoLabel(t *testing.T) {
	for name, labels := range series(t) {
		for l := range labels {
			if slices.Contains(targetLabels, l) {
				t.Errorf("the label %s of %s becomes exported_%s", l, name, l)
			}
		}
	}
	all := objects(t, buildWith(t, "hot-reload", []string{"prometheus-operator"}))
	var monitor struct {
		Spec struct {
			JobLabel  string
			Selector  metav1.LabelSelector
			Endpoints []struct {
				Port        string
				Relabelings []map[string]string
			}
		}
	}
	for _, o := range all {
		if o.kind.Kind == "ServiceMonitor" {
			if err := yaml.Unmarshal(o.text, &monitor); err != nil {
				t.Fatal(err)
			}
		}
	}
	e := monitor.Spec.Endpoints
	if len(e) != 1 || len(e[0].Relabelings) != 1 || e[0].Relabelings[0]["action"] != "labeldrop" || e[0].Relabelings[0]["regex"] != "endpoint" {
		t.Fatalf("the target's label endpoint hides that of the metrics: %v", e)
	}
	for _, s := range ofType[*corev1.Service](all) {
		switch chosen := selects(t, &monitor.Spec.Selector, s.Labels); {
		case chosen != (s.Name == "go-loadbalancer-admin"):
			t.Errorf("Service %s is scraped: %v", s.Name, chosen)
		case chosen && (s.Spec.Ports[0].Name != e[0].Port || s.Labels[monitor.Spec.JobLabel] != "go-loadbalancer"):
			t.Errorf("port %s of %v, job %q", e[0].Port, s.Spec.Ports, s.Labels[monitor.Spec.JobLabel])
		}
	}
}

// Alerts and autoscalers ask for metrics and labels that a running balancer has.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	have := series(t)
	for of, query := range asks(t) {
		for _, w := range check(query, have) {
			t.Errorf("%s: %s: %s", of, w, query)
		}
	}
	for query, wrong := range map[string]string{
		"lb_request_total == 0":                         "there is no metric lb_request_total",
		`lb_requests_total{status="500"}`:               "lb_requests_total has no label status",
		`lb_retries_total{result="exhausted"}`:          `lb_retries_total is never result="exhausted"`,
		"sum by (status) (lb_requests_total)":           "no metric of it has the label status",
		"lb_requests_total or on (x) lb_requests_total": "no metric of it has the label x",
		"rate(lb_requests_total)":                       "expected type range vector",
	} {
		if got := strings.Join(check(query, have), "; "); !strings.Contains(got, wrong) {
			t.Errorf("%s: %q, want %q", query, got, wrong)
		}
	}
}
