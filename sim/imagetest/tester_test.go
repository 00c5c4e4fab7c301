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
