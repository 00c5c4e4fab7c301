package imagetest

import (
	"context"
	"encoding/xml"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/backend"
)

// tap is what a run of tester.sh said.
type tap struct{ planned, passed, failed, skipped int }

// readTAP counts, and holds the numbers against the plan.
func readTAP(t *testing.T, out string) tap {
	t.Helper()
	var got tap
	line := regexp.MustCompile(`^(not )?ok (\d+) - .+?( # SKIP .+)?$`)
	for said := range strings.Lines(out) {
		said = strings.TrimSuffix(said, "\n")
		if n, ok := strings.CutPrefix(said, "1.."); ok {
			got.planned, _ = strconv.Atoi(n)
		}
		found := line.FindStringSubmatch(said)
		if found == nil {
			continue
		}
		switch {
		case found[1] != "":
			got.failed++
		case found[3] != "":
			got.skipped++
		default:
			got.passed++
		}
		if n := got.passed + got.failed + got.skipped; found[2] != strconv.Itoa(n) {
			t.Errorf("check %d is numbered %s", n, found[2])
		}
	}
	return got
}

// agrees holds the JUnit file against what was said.
func (got tap) agrees(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string   `xml:"name,attr"`
				Failure []string `xml:"failure"`
				Skipped []string `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s := report.Suite
	cases := tap{}
	for _, c := range s.Cases {
		switch {
		case len(c.Failure) > 0:
			cases.failed++
			if !strings.Contains(c.Failure[0], "request: ") {
				t.Errorf("the failure of %q does not say what was asked: %q", c.Name, c.Failure[0])
			}
		case len(c.Skipped) > 0:
			cases.skipped++
		default:
			cases.passed++
		}
	}
	said := tap{planned: got.planned, failed: s.Failures, skipped: s.Skipped, passed: s.Tests - s.Failures - s.Skipped}
	if cases.planned = got.planned; said != got || cases != got {
		t.Errorf("TAP says %+v, the JUnit file %+v, with cases %+v", got, said, cases)
	}
}

// tester runs tester.sh and returns its exit status.
func tester(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	out, err := command(2*time.Minute, filepath.Join(root, "tester.sh"), args...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out, exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out, 0
}

func TestTesterUsage(t *testing.T) {
	for _, try := range []struct {
		args   string
		status int
		want   string
	}{
		{"--help", 0, "usage: tester.sh"},
		{"--nonsense", 2, "--nonsense: no such option"},
		{"--url", 2, "a value is missing"},
		{"--url ftp://x", 2, "http://HOST:PORT is wanted"},
		{"--url http://127.0.0.1:1 --url http://127.0.0.1:2", 2, "one of each is wanted"},
		{"--timeout soon", 2, "--timeout soon: a whole number"},
		{"--request-timeout=0", 2, "--request-timeout 0: a whole number"},
		{"--policies /no/such", 2, "no such directory"},
		{"--junit /no/such/file", 2, "cannot be written"},
		{"--path cart", 2, "begins with /"},
	} {
		t.Run(try.args, func(t *testing.T) {
			out, status := tester(t, strings.Fields(try.args)...)
			if status != try.status || !strings.Contains(out, try.want) {
				t.Errorf("exit status %d, not %d with %q: %s", status, try.status, try.want, out)
			}
		})
	}
}

// Nobody answers: that is said once, and not twenty times.
func TestTesterNobodyThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "junit.xml")
	out, status := tester(t, "--url", "http://127.0.0.1:1", "--admin-url", "http://127.0.0.1:1", "--timeout", "1", "--junit", file)
	got := readTAP(t, out)
	if status != 1 || got.failed != 1 || got.passed != 0 || !strings.Contains(out, "\nBail out! ") {
		t.Errorf("exit status %d: %s", status, out)
	}
	got.agrees(t, file)
}

// A server that answers 200 to everything is no load balancer, and is told so, with what
// was asked and answered.
func TestTesterNoBalancer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- backend.New(backend.Options{Name: "alone"}).Serve(ctx, ln) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	url, file := "http://"+ln.Addr().String(), filepath.Join(t.TempDir(), "junit.xml")
	out, status := tester(t, "--url="+url, "--admin-url="+url, "--timeout=1", "--junit="+file)
	got := readTAP(t, out)
	if status != 1 || got.planned != got.passed+got.failed+got.skipped {
		t.Errorf("exit status %d, %+v: %s", status, got, out)
	}
	got.agrees(t, file)
	for _, kind := range []string{"telemetry: metrics", "health: metrics", "health: the status", "dashboard: ", "addresses: admin",
		"addresses: another site", "traffic: a request with two lengths", "telemetry: requests are counted", "balancing: ", "reload: the policy is read"} {
		if !regexp.MustCompile(`(?m)^not ok \d+ - ` + kind).MatchString(out) {
			t.Errorf("%q did not fail", kind)
		}
	}
	for _, evidence := range []string{"# request: GET " + url + "/metrics", "# answer: 200", "# header: HTTP/1.1 200 OK", "# body: {\"backend\":\"alone\"", "# policy hash: "} {
		if !strings.Contains(out, evidence) {
			t.Errorf("it does not say %q", evidence)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// Where one endpoint is all there is, its breaker has nobody to spare its clients by: that is
// skipped, with the reason. What a failing backend leaves behind is waited for, and not
// held against what is asked next.
func TestTesterEndpoints(t *testing.T) {
	dir := t.TempDir()
	lb := filepath.Join(dir, "lb")
	if out, err := command(5*time.Minute, "go", "build", "-o", lb, filepath.Join(root, "lb")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, tt := range []struct {
		name      string
		endpoints int // all of which are one backend, and fail together
		status    int
		breaker   string
	}{
		{"one", 1, 0, `(?m)^ok 18 - breaker: .* # SKIP pool web has one endpoint that takes requests: `},
		{"two that fail together", 2, 1, `(?m)^not ok 18 - breaker: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := backend.New(backend.Options{Name: "alone"})
			served := make(chan error)
			var endpoints, url string
			for range tt.endpoints {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				url = "http://" + ln.Addr().String()
				endpoints += "{address: \"" + ln.Addr().String() + "\"}, "
				go func() { served <- b.Serve(ctx, ln) }()
			}
			policies, traffic, admin := filepath.Join(dir, tt.name), free(t), free(t)
			policy := "{apiVersion: lb/v1, kind: Policy, metadata: {name: shop, version: \"1\"}, spec: {listeners: [{name: http, address: \"" + traffic + "\"}], " +
				"routes: [{name: all, backendRefs: [{pool: web}]}], pools: [{name: web, circuitBreaker: {openDuration: 1s}, endpoints: [" + endpoints + "]}]}}"
			err := errors.Join(os.Mkdir(policies, 0o755), os.WriteFile(filepath.Join(policies, "policy.yaml"), []byte(policy), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			balancer := exec.CommandContext(ctx, lb, "run", "--policies", policies, "--admin", admin, "--access-log", "off")
			balancer.Cancel = func() error { return balancer.Process.Signal(os.Interrupt) }
			balancer.WaitDelay = time.Minute
			if err := balancer.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cancel()
				balancer.Wait() // its status is that of a context that ended
				for range tt.endpoints {
					if err := <-served; err != nil {
						t.Error(err)
					}
				}
			}()
			out, status := tester(t, "--url=http://"+traffic, "--admin-url=http://"+admin, "--backend-url="+url, "--policies="+policies,
				"--session-path=/", "--timeout=20")
			got := readTAP(t, out)
			if status != tt.status || got.failed != tt.status || got.planned != got.passed+got.failed+got.skipped || !regexp.MustCompile(tt.breaker).MatchString(out) {
				t.Errorf("exit status %d, %+v:\n%s", status, got, out)
			}
			for _, n := range []string{"19", "20", "21"} {
				if !regexp.MustCompile(`(?m)^ok ` + n + ` - reload: [^#]*$`).MatchString(out) {
					t.Errorf("check %s did not pass:\n%s", n, out)
				}
			}
		})
	}
}

// free is an address of 127.0.0.1 that nobody has now.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
