package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/tooltest"
)

// measured is a policy with something of everything that has metrics.
func measured(version, suffix, backend string) string {
	return fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: %[1]q}
spec:
  listeners: [{name: http%[2]s, address: "127.0.0.1:0"}]
  routes:
    - name: plain%[2]s
      hostnames: [shop.example]
      matches: [{path: {type: PathPrefix, value: /plain}}]
      filters: [requestMirror: {pool: shadow%[2]s}]
      backendRefs: [{pool: plain%[2]s}]
    - name: known%[2]s
      matches: [{path: {type: PathPrefix, value: /known}}]
      backendRefs: [{pool: known%[2]s}]
  pools:
    - {name: plain%[2]s, endpoints: [{address: %[3]q}]}
    - {name: shadow%[2]s, endpoints: [{address: %[3]q}]}
    - {name: known%[2]s, endpoints: [{address: %[3]q}], sessionPersistence: {store: Memory}, limits: {perEndpoint: {maxParallelRequests: 64}}}
`, version, suffix, backend)
}

var seriesPattern = regexp.MustCompile(`(?m)^(lb_\w+(?:\{.*\})?) \S+$`)

// series are all of ours that there are.
func (r *rig) series() []string {
	r.t.Helper()
	_, text := r.get(r.admin + "/metrics")
	var out []string
	for _, m := range seriesPattern.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// send writes a request as it stands, and reads until the connection ends.
func (r *rig) send(text string) {
	r.t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(r.traffic, "http://"), 10*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	io.Copy(io.Discard, bufio.NewReader(conn)) // it may be reset: that is the balancer's right
}

// What clients and endpoints send adds no series but those of statuses, of which there
// are 600 a route, whatever it is; and what a policy no longer names has none left.
func TestSeriesAreBoundedByThePolicy(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := run(t, func(w http.ResponseWriter, q *http.Request) {
		code, err := strconv.Atoi(q.Header.Get("Want"))
		if err != nil {
			code = 200
		}
		w.WriteHeader(code)
	}, nil)
	backend := r.backend.Listener.Addr().String()
	r.write(measured("2", "", backend))
	r.await("the policy serves", func() bool {
		return slices.ContainsFunc(r.series(), func(s string) bool { return strings.Contains(s, "known") })
	})
	visit := func(path, header string) {
		q, err := http.NewRequestWithContext(t.Context(), "GET", r.traffic+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "shop.example"
		q.Header.Set("Want", header)
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	visit("/plain", "200")
	visit("/known", "200") // a pool has the series of sessions from the first on
	sessions := func(series []string) bool {
		return slices.ContainsFunc(series, func(s string) bool { return strings.HasPrefix(s, "lb_session_requests_total") })
	}
	r.await("a session is counted", func() bool { return sessions(r.series()) })
	codes := regexp.MustCompile(`^lb_requests_total\{code="(0|[1-5]\d\d)",route="(-|plain|known)"\}$`)
	settled := func() []string {
		return slices.DeleteFunc(r.series(), codes.MatchString)
	}
	before := settled()

	hostile := func() string {
		b := make([]byte, 1+random.IntN(20))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz0123456789-_"[random.IntN(38)]
		}
		return string(b)
	}
	const each = 40
	for i := range each {
		x := hostile()
		r.send("GET /plain/" + x + "?" + x + "=" + x + " HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: " + x + "\r\nX-Forwarded-For: 192.0.2." + strconv.Itoa(i) + "\r\nConnection: close\r\n\r\n")
		r.send("GET /" + x + " HTTP/1.1\r\nHost: " + x + ".example\r\nConnection: close\r\n\r\n")
		r.send(strings.ToUpper(strings.Trim(x, "-_")) + "Z /plain HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
		r.send("GET /known HTTP/1.1\r\nHost: " + x + "\r\nCookie: lb_session=" + x + "\r\ntraceparent: 00-" + x + "\r\nConnection: close\r\n\r\n")
		r.send("GET /plain HTTP/1.1\r\nHost: shop.example\r\nWant: " + strconv.Itoa(200+random.IntN(400)) + "\r\nConnection: close\r\n\r\n")
		r.send("GET /plain HTTP/9." + x + "\r\n\r\n")
		r.send("\x16\x03\x01\x00" + x + "\r\n\r\n") // a TLS client's first bytes, or so
		r.send("POST /plain HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: " + x + "\r\nConnection: close\r\n\r\n")
	}
	r.await("every request is counted", func() bool {
		total := 0.0
		for _, s := range r.series() {
			if strings.HasPrefix(s, "lb_requests_total{") {
				total += r.metric(s)
			}
		}
		return total >= 6*each
	})
	if diff := cmp.Diff(before, settled()); diff != "" {
		t.Errorf("hostile clients added series (-before +after) %s", diff)
	}

	// Another policy, in which everything has another name, and the same address.
	r.write(measured("3", "-new", backend))
	r.client.CloseIdleConnections() // a listener has its series until its last connection has ended
	old := regexp.MustCompile(`"(http|plain|known|shadow|all|p)"`)
	left := func() []string {
		return slices.DeleteFunc(r.series(), func(s string) bool { return !old.MatchString(s) })
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(left()) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if l := left(); len(l) > 0 {
		t.Errorf("%d series are left of what is in no policy: %s", len(l), l)
	}
	if got := len(r.series()); got < 100 {
		t.Errorf("only %d series were looked at", got)
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}

// docs/telemetry.md has a row for each metric of a process that does everything, with
// its labels, and for no other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	var log buffer
	r := run(t, hello, func(c *app.Config) { c.AccessLog, c.Stdout = "stdout", &log })
	r.write(measured("2", "", r.backend.Listener.Addr().String()))
	got := map[string]string{} // labels, by name
	name := regexp.MustCompile(`^(\w+)(?:\{(.*)\})?$`)
	labels := regexp.MustCompile(`(\w+)="`)
	r.await("all metrics of sessions are there", func() bool {
		q, err := http.NewRequestWithContext(t.Context(), "GET", r.traffic+"/known", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		_, text := r.get(r.admin + "/metrics")
		kinds := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
			kinds[m[1]] = m[2]
		}
		clear(got)
		for _, s := range r.series() {
			m := name.FindStringSubmatch(s)
			family := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(family, suffix); ok && kinds[base] == "histogram" {
					family = base
				}
			}
			set := map[string]bool{}
			for _, l := range labels.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" {
					set[l[1]] = true
				}
			}
			got[family] = strings.Join(slices.Sorted(maps.Keys(set)), ", ")
		}
		_, there := got["lb_session_requests_total"]
		return there
	})
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(lb_\\w+)` \\| ([\\w, ]*)\\|").FindAllStringSubmatch(string(text), -1) {
		var labels []string
		for l := range strings.SplitSeq(strings.TrimSpace(m[2]), ", ") {
			labels = append(labels, l)
		}
		slices.Sort(labels)
		want[m[1]] = strings.Join(labels, ", ")
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) < 30 {
		t.Errorf("%d metrics; (-docs/telemetry.md +process) %s", len(got), diff)
	}
	r.lint()
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}

// lint has promtool read what is scraped, and find nothing to complain of.
func (r *rig) lint() {
	r.t.Helper()
	promtool := tooltest.Path(r.t, "promtool")
	_, text := r.get(r.admin + "/metrics")
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		r.t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
