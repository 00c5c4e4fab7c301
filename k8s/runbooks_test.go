package k8s

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

const runbookDir = "../docs/runbooks"

// runbooks are the pages by alert.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(runbookDir + "/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(filepath.Base(file), ".md")] = string(text)
	}
	return pages
}

// Each alert says how bad it is, what is and which page tells what to do, by labels that
// it has; each page is of an alert.
func TestAlertsLeadToRunbooks(t *testing.T) {
	pages := runbooks(t)
	index := pages["README"]
	delete(pages, "README")
	label := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, a := range alerts(t) {
		if !slices.Contains([]string{"info", "warning", "critical"}, a.Labels["severity"]) || a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s: %v, %v", a.Alert, a.Labels, a.Annotations)
		}
		if strings.Contains(a.Annotations["description"], "{{") {
			t.Errorf("%s: its description is not the same each time, and so is not tested", a.Alert)
		}
		page, ok := pages[a.Alert]
		if !ok || !strings.HasPrefix(page, "# "+a.Alert+"\n") || !strings.HasSuffix(a.Annotations["runbook_url"], "/docs/runbooks/"+a.Alert+".md") {
			t.Errorf("%s leads to %s: there is a page %v", a.Alert, a.Annotations["runbook_url"], ok)
		}
		for _, part := range []string{"\n**Clients** ", "\n## Do\n", "\n## Do not\n"} {
			if ok && !strings.Contains(page, part) {
				t.Errorf("the page of %s does not have %q", a.Alert, part)
			}
		}
		delete(pages, a.Alert)
		if row := fmt.Sprintf("| [%s](%[1]s.md) | %s |\n", a.Alert, a.Labels["severity"]); !strings.Contains(index, row) {
			t.Errorf("README.md has no row %s", row)
		}

		expr, err := parser.NewParser(parser.Options{}).ParseExpr(a.Expr)
		if err != nil {
			t.Fatal(err)
		}
		// An aggregation leaves what it is by; without one, all labels are left.
		aggregated, left := false, []string{}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if g, ok := n.(*parser.AggregateExpr); ok {
				aggregated, left = true, append(left, g.Grouping...)
			}
			return nil
		})
		for _, l := range label.FindAllStringSubmatch(a.Annotations["summary"], -1) {
			if aggregated && !slices.Contains(left, l[1]) {
				t.Errorf("%s speaks of the label %s, which its expression has not left", a.Alert, l[1])
			}
		}
	}
	for name := range pages {
		t.Errorf("%s.md is of no alert", name)
	}
	if got := strings.Count(index, "\n| ["); got != len(alerts(t)) {
		t.Errorf("README.md has %d rows for %d alerts", got, len(alerts(t)))
	}
}

var (
	block  = regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)\n *```$")
	inline = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^)#:]+)[^):]*\)`)
)

// What runbooks say is there: queries ask for metrics that there are, commands run, and
// every name of a metric, a field, a flag or a path is one.
func TestRunbooksAreRight(t *testing.T) {
	live := runbookBalancer(t)
	have := series(t)
	known := vocabulary(t)
	for name, page := range runbooks(t) {
		t.Run(name, func(t *testing.T) {
			for _, to := range link.FindAllStringSubmatch(page, -1) {
				if _, err := os.Stat(filepath.Join(runbookDir, to[1])); err != nil {
					t.Errorf("it leads to nothing: %v", err)
				}
			}
			for _, b := range block.FindAllStringSubmatch(page, -1) {
				for line := range strings.Lines(b[3]) {
					line = strings.TrimSpace(line)
					switch b[2] {
					case "promql":
						for _, wrong := range check(line, have) {
							t.Errorf("%s: %s", line, wrong)
						}
					case "sh":
						live.try(t, line)
					default:
						t.Errorf("a block of %q", b[2])
					}
				}
			}
			for _, word := range inline.FindAllStringSubmatch(block.ReplaceAllString(page, ""), -1) {
				switch w := word[1]; {
				case strings.HasPrefix(w, "lb_") || strings.HasPrefix(w, "rate("):
					for _, wrong := range check(w, have) {
						t.Errorf("%s: %s", w, wrong)
					}
				case !known(w):
					t.Errorf("%q is no field, flag, value or path that is documented", w)
				}
			}
		})
	}
}

// vocabulary tells whether a word is one of the balancer's documents, or of the world
// that they are about.
func vocabulary(t *testing.T) func(string) bool {
	t.Helper()
	text := ""
	for _, name := range []string{"policy", "telemetry", "explain", "sessions", "health", "kubernetes", "hostile-clients", "failing-endpoints"} {
		page, err := os.ReadFile("../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		text += string(page)
	}
	for _, name := range []string{"run", "verify", "validate", "explain"} {
		text += command(t, "lb", name, "--help")
	}
	for _, g := range rules(t).Groups {
		for _, r := range g.Rules {
			text += r.Expr
		}
	}
	word := regexp.MustCompile(`[A-Za-z_./-][A-Za-z0-9_./-]*`)
	words := map[string]bool{}
	for _, w := range word.FindAllString(text, -1) {
		words[strings.Trim(w, ".")] = true
		words[strings.TrimPrefix(w, "docs/")] = true
	}
	// Others' words.
	for _, w := range []string{"describe", "--previous", "OOMKilled", "curl", "-v", "kubectl", "rollout", "status", "undo", "SLOWLOG", "instance", "runbook_url"} {
		words[w] = true
	}
	return func(s string) bool {
		if words[s] {
			return true
		}
		all := word.FindAllString(s, -1)
		return len(all) > 0 && !slices.ContainsFunc(all, func(w string) bool { return !words[w] && !known(words, w) })
	}
}

// known tells whether each part of a path of fields, such as limits.connections, is a word.
func known(words map[string]bool, path string) bool {
	return !slices.ContainsFunc(strings.Split(path, "."), func(w string) bool { return !words[w] })
}

// liveBalancer is what the commands of runbooks are tried on.
type liveBalancer struct {
	admin, listen, policies, path string
	fields                        map[string]bool // of /api/v1/status
}

// jqWord is a word of a filter: a field, or a name that is given to one.
var jqWord = regexp.MustCompile(`"[^"]*"|[A-Za-z]+\b:?`)

func runbookBalancer(t *testing.T) liveBalancer {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing: .ci/install test", tool)
			}
			t.Skipf("%s is missing: it comes with .ci/install test", tool)
		}
	}
	all := objects(t, build(t, "overlays/hot-reload"))
	listen := "127.0.0.1:" + free(t)
	policies := mounted(t, local(find[*corev1.ConfigMap](t, all, "go-loadbalancer-policies"), listen, "127.0.0.1:1"))
	admin := "127.0.0.1:" + replicas(t, 1, find[*appsv1.Deployment](t, all, balancer), policies)
	get(t, "http://"+listen+"/cart", http.StatusServiceUnavailable)
	// Most of what runbooks look for is there once a pool is in panic.
	b := liveBalancer{admin, listen, policies, filepath.Dir(binary(t, "lb")), map[string]bool{}}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status := get(t, "http://"+admin+"/api/v1/status", http.StatusOK)
		if strings.Contains(status, `"panic": true`) {
			for _, key := range regexp.MustCompile(`"([A-Za-z]+)":`).FindAllStringSubmatch(status, -1) {
				b.fields[key[1]] = true
			}
			return b
		}
		if time.Now().After(deadline) {
			t.Fatalf("no pool is in panic though its only endpoint is away: %s", status)
		}
	}
}

// try runs a line; those of kubectl, for which there is no cluster, are read only.
func (b liveBalancer) try(t *testing.T, line string) {
	t.Helper()
	switch first, _, _ := strings.Cut(line, " "); first {
	case "kubectl":
		for _, of := range []string{"deployment/go-loadbalancer", "app.kubernetes.io/name=go-loadbalancer", "app.kubernetes.io/name=redis", "POD", "endpointslices"} {
			if strings.Contains(line, of) {
				return
			}
		}
		t.Errorf("%s: of nothing that is in the manifests", line)
	case "curl", "lb":
		if strings.Contains(line, "--against") { // of the checkout itself
			line = strings.ReplaceAll(line, "policies/kubernetes", "../policies/kubernetes")
		}
		line = strings.NewReplacer("http://localhost:8080", "http://"+b.admin, "http://localhost:8000", "http://"+b.listen,
			"http://go-loadbalancer-admin:8080", "http://"+b.admin, " policies/kubernetes", " "+b.policies).Replace(line)
		if _, filter, ok := strings.Cut(line, "| jq "); ok {
			filter, _, _ = strings.Cut(filter, " #")
			for _, w := range jqWord.FindAllString(filter, -1) {
				if w != "select" && w != "not" && !strings.HasSuffix(w, ":") && !strings.HasPrefix(w, `"`) && !b.fields[w] {
					t.Errorf("%s: the status has no field %s", line, w)
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
		c.Env = append(os.Environ(), "PATH="+b.path+":"+os.Getenv("PATH"))
		c.WaitDelay = 5 * time.Second
		out, err := c.CombinedOutput()
		// lb explain ends with 1 if the request would be refused, as it may be here.
		refused := err != nil && c.ProcessState.ExitCode() == 1 && strings.HasPrefix(line, "lb explain") && strings.Contains(string(out), "in flight")
		if err != nil && !refused || len(out) == 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	case "df":
	default:
		t.Errorf("%s: not a command that can be tried", line)
	}
}
