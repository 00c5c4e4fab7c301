package k8s

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

const scrapePolicy = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: %q}]
  routes:
    - {name: front, backendRefs: [{pool: web}]}
  pools:
    - name: web
      endpoints: [{address: %q}, {address: %q}]
      loadBalancer: {type: RoundRobin}
      circuitBreaker: {consecutiveFailures: 5}
`

// documented is the YAML of a document that begins so.
func documented(t *testing.T, document, begin string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n(" + regexp.QuoteMeta(begin) + ".*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/%s has no YAML that begins with %s", document, begin)
	}
	return string(found[1])
}

// scrapeConfig is the documented one, for one balancer and in a hurry.
func scrapeConfig(t *testing.T, admin string) string {
	t.Helper()
	path, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("alerts.yaml", strconv.Quote(path), `["10.0.0.1:8080", "10.0.0.2:8080"]`, fmt.Sprintf(`[%q], labels: {namespace: shop, pod: lb-1}`, admin)).Replace(documented(t, "telemetry.md", "rule_files:"))
	return "global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + text
}

// prometheusServer is a real Prometheus.
type prometheusServer struct{ url string }

// startPrometheus runs one until the test ends.
func startPrometheus(t *testing.T, config string, args ...string) prometheusServer {
	t.Helper()
	path := prometheusTool(t, "prometheus")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := prometheusServer{"http://127.0.0.1:" + free(t)}
	stdout := start(t, path, append([]string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + strings.TrimPrefix(p.url, "http://"), "--log.level=warn",
	}, args...))
	go io.Copy(io.Discard, stdout) // until the process ends
	get(t, p.url+"/-/ready", http.StatusOK)
	return p
}

// ask gets the data of an answer of the HTTP API.
func (p prometheusServer) ask(t *testing.T, path string, data any) {
	t.Helper()
	var answer struct {
		Status string
		Error  string
		Data   json.RawMessage
	}
	text := get(t, p.url+path, http.StatusOK)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v, %s", path, err, text)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		t.Fatalf("%s: %v: %s", path, err, text)
	}
}

// results are how many series a query has now.
func (p prometheusServer) results(t *testing.T, query string) int {
	t.Helper()
	var data struct{ Result []any }
	p.ask(t, "/api/v1/query?query="+url.QueryEscape(query), &data)
	return len(data.Result)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// A Prometheus scrapes a balancer that serves, by the alerts and queries that are
// shipped: it has nothing to object to, the dashboard has something to show, and what
// goes wrong is seen.
func TestPrometheusScrapes(t *testing.T) {
	prometheusTool(t, "prometheus")
	var failing atomic.Bool
	endpoint := func(fails bool) string {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if fails && failing.Load() {
				panic(http.ErrAbortHandler) // the connection breaks
			}
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	good, bad := endpoint(false), endpoint(true)

	listen, admin, policies := "127.0.0.1:"+free(t), "127.0.0.1:"+free(t), t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(policies, "shop.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(scrapePolicy, listen, good, bad))
	stdout := start(t, binary(t, "lb"), []string{"run", "--policies=" + policies, "--admin=" + admin, "--access-log=off"})
	go io.Copy(io.Discard, stdout) // until the process ends
	get(t, "http://"+admin+"/readyz", http.StatusOK)

	p := startPrometheus(t, scrapeConfig(t, admin))
	native := startPrometheus(t, scrapeConfig(t, admin), "--enable-feature=native-histograms")

	// Clients ask until the test ends.
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() {
		client := http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		for pace := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-pace.C {
			if answer, err := client.Get("http://" + listen + "/"); err == nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}
	})
	defer clients.Wait()
	defer stop()

	eventually(t, "the target is up", func() bool {
		var data struct {
			ActiveTargets []struct {
				Health    string
				LastError string
			}
		}
		p.ask(t, "/api/v1/targets", &data)
		return len(data.ActiveTargets) == 1 && data.ActiveTargets[0].Health == "up" && data.ActiveTargets[0].LastError == ""
	})
	want := 0
	for _, g := range rules(t).Groups {
		want += len(g.Rules)
	}
	eventually(t, "every rule has been evaluated", func() bool {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		p.ask(t, "/api/v1/rules", &data)
		got := 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("rule %s: %s", r.Name, r.LastError)
				}
				if r.Health == "ok" {
					got++
				}
			}
		}
		return got == want
	})
	eventually(t, "requests that went well", func() bool {
		return p.results(t, `sum(rate(lb_requests_total{route="front", code="200"}[1m])) > 0`) == 1
	})
	// How long requests take is the machine's affair, and so is a scrape that was late.
	eventually(t, "no alert while all is well", func() bool { return p.results(t, `ALERTS{alertname!="LoadBalancerSlow"}`) == 0 })

	// With native histograms alone one rule finds less than it would, as documented.
	const alone = "LoadBalancerSlow"
	var less []string
	defer func() {
		if t.Failed() {
			t.Logf("with native histograms alone: %q", less)
		}
	}()
	groups := rules(t).Groups
	eventually(t, "with native histograms every rule but "+alone+" finds its metrics", func() bool {
		less = nil
		for _, g := range groups {
			for _, r := range g.Rules {
				expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
				if err != nil {
					t.Fatal(err)
				}
				for metric := range selectors(expr) {
					if p.results(t, metric) > 0 && native.results(t, metric) == 0 {
						less = append(less, cmp.Or(r.Alert, r.Record)+" asks for "+metric)
					}
				}
			}
		}
		return slices.Equal(less, []string{alone + " asks for lb_request_duration_seconds_bucket"})
	})
	eventually(t, "a quantile of a native histogram", func() bool {
		return native.results(t, `histogram_quantile(0.99, sum by (route) (rate(lb_request_duration_seconds[5m])))`) > 0
	})

	queries := dashboardQueries(readDashboard(t))
	shows := func(of string) {
		t.Helper()
		eventually(t, of+" has something to show: "+queries[of], func() bool { return p.results(t, queries[of]) > 0 })
	}

	failing.Store(true)
	eventually(t, "an open breaker", func() bool {
		return p.results(t, fmt.Sprintf(`lb_circuit_breaker_state{pool="web", endpoint=%q, state="closed"} == 0`, bad)) == 1
	})
	shows("annotation Breakers opened")
	eventually(t, "a pending alert of the open breaker", func() bool {
		return p.results(t, fmt.Sprintf(`ALERTS{alertname="LoadBalancerBreakerOpen", alertstate="pending", pool="web", endpoint=%q}`, bad)) == 1
	})

	write("kind: Policy\n")
	answer, err := http.Post("http://"+admin+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Fatalf("a policy that is none: %s", answer.Status)
	}
	shows("annotation Policies refused")
	eventually(t, "a pending alert of the refused policy", func() bool {
		return p.results(t, `ALERTS{alertname="LoadBalancerPolicyRefused", alertstate="pending", namespace="shop", pod="lb-1"}`) == 1
	})

	// What the dashboard asks for is answered, and what it shows of requests is there.
	// Prometheus keeps what is recorded of three days as soon as there are two samples.
	for of, query := range queries {
		switch section, _, _ := strings.Cut(of, ":"); section {
		case "Now", "Requests by route", "annotation Policies":
			shows(of)
		default:
			p.results(t, query)
		}
	}
}
