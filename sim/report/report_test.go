package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files: read each difference before you commit it")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func noEnv(string) string { return "" }

// forms are all the forms of a report, by the golden file's name.
var forms = []struct {
	name  string
	write func(io.Writer, *report.Suite) error
}{
	{"all.txt", func(w io.Writer, s *report.Suite) error {
		terminal := report.NewTerminal(w, noEnv)
		for _, r := range s.Runs {
			terminal.Begin(r.Scenario.Name)
			terminal.Count(r.Scenario.Name, 0, 0, 0, 0)
			terminal.Done(s, r)
		}
		terminal.Summary(s)
		return nil
	}},
	{"all.junit.xml", report.WriteJUnit},
	{"all.json", report.WriteJSON},
	{"all.md", report.WriteMarkdown},
	{"all.annotations", report.WriteAnnotations},
	{"all.html", report.WriteHTML},
}

// text is a form of a suite.
func text(t *testing.T, write func(io.Writer, *report.Suite) error, s *report.Suite) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) { golden(t, f.name, text(t, f.write, all())) })
	}
}

// TestHostileText: of a run whose every text is hostile, nothing reaches a terminal, a
// log or a page as anything but text.
func TestHostileText(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			got := text(t, f.write, suite(broken()))
			if !utf8.ValidString(got) {
				t.Error("not UTF-8")
			}
			for i, r := range got {
				if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e' && f.name != "all.json" {
					t.Fatalf("%U in %q", r, got[max(0, i-40):i+10])
				}
			}
			switch f.name {
			case "all.txt":
				for line := range strings.Lines(got) {
					if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") {
						t.Errorf("GitHub Actions would obey %q", line)
					}
				}
			case "all.md", "all.html":
				if strings.Contains(got, "<script>alert") {
					t.Error("markup is not escaped")
				}
			case "all.annotations":
				for line := range strings.Lines(got) {
					if !strings.HasPrefix(line, "::error file=") {
						t.Errorf("a line that is no annotation: %q", line)
					}
					if property, _, _ := strings.Cut(line[len("::error "):], "::"); strings.Count(property, ":") > 0 || strings.Count(property, ",") != 3 {
						t.Errorf("properties are not escaped: %q", property)
					}
				}
				if n := strings.Count(got, "\n"); n != 5 {
					t.Errorf("%d annotations, want 5", n)
				}
			}
		})
	}
}

// TestJSON: programs get every text as it was, as far as JSON can have it.
func TestJSON(t *testing.T) {
	var d report.Document
	if err := json.Unmarshal([]byte(text(t, report.WriteJSON, all())), &d); err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(hostile, "\ufffd")
	if got := d.Runs[3].Examples[0].Path; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	if d.Passed != 1 || d.Failed != 1 || d.Invalid != 1 || d.Failures != 1 || d.Mutations != (report.Score{Caught: 2, Made: 4}) {
		t.Errorf("%+v", d)
	}
}

// TestJUnit: the XML parses, and its totals are those of its tests.
func TestJUnit(t *testing.T) {
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	if err := xml.Unmarshal([]byte(text(t, report.WriteJUnit, all())), &got); err != nil {
		t.Fatal(err)
	}
	want := got
	want.Tests, want.Failures, want.Errors, want.Skipped = 4+10+1+6, 4+4, 2, 2+1
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestGitHub: under GitHub Actions there are annotations and a summary, elsewhere
// nothing.
func TestGitHub(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary")
	if err := os.WriteFile(path, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GITHUB_STEP_SUMMARY": path}
	getenv := func(name string) string { return env[name] }
	for _, c := range []struct {
		actions     string
		annotations int
		summary     bool
	}{{"", 0, false}, {"true", 11, true}} {
		env["GITHUB_ACTIONS"] = c.actions
		var out bytes.Buffer
		if err := report.GitHub(&out, all(), getenv); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "::error "); n != c.annotations {
			t.Errorf("GITHUB_ACTIONS=%s: %d annotations, want %d:\n%s", c.actions, n, c.annotations, out.String())
		}
		summary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(string(summary), "before\n## Simulator"); got != c.summary {
			t.Errorf("GITHUB_ACTIONS=%s: the summary is %q", c.actions, summary)
		}
	}
	env["GITHUB_STEP_SUMMARY"] = t.TempDir()
	if err := report.GitHub(io.Discard, all(), getenv); err == nil {
		t.Error("a summary that cannot be written is no error")
	}
}

// TestErrorsOfWriting: a form that could not be written is an error.
func TestErrorsOfWriting(t *testing.T) {
	full := errors.New("no space")
	for _, f := range forms[1:] {
		if err := f.write(failing{full}, all()); !errors.Is(err, full) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

// TestBounds: however much happened, a report is of a size that a browser, a CI system
// and a person can take.
func TestBounds(t *testing.T) {
	r := blackHole(20)
	h := load(3334) // 200 040 requests
	h.Replicas = 3
	long := strings.Repeat("long ", 2000)
	for i := range 20_000 {
		at := time.Duration(i) * 3 * ms
		lb, endpoint := fmt.Sprintf("lb/%d", i%3), fmt.Sprintf("cart/%d", i%50)
		h.Breakers = append(h.Breakers, history.Breaker{At: at, Replica: lb, Endpoint: endpoint, From: "closed", To: []string{"open", "half-open", "closed"}[i%3]})
		h.Healths = append(h.Healths, history.Health{At: at, Replica: lb, Endpoint: endpoint, Healthy: i%2 == 0})
		h.Faults = append(h.Faults, history.Fault{Name: fmt.Sprint("fault ", i), On: endpoint, What: long, Start: at, End: at + ms})
		h.Policies = append(h.Policies, history.Policy{At: at, Replica: lb, Hash: fmt.Sprint(i), Version: fmt.Sprint("v", i)})
		h.Moves = append(h.Moves, history.Move{At: at, Reason: fmt.Sprint("reason ", i)})
		h.Notes = append(h.Notes, history.Note{At: at, Text: long})
		h.Leaks = append(h.Leaks, long)
	}
	for range 50 { // of one request
		h.Attempts = append(h.Attempts, history.Attempt{Request: r.Expectations[1].Examples[0], Endpoint: "cart/2"})
	}
	r.History = h
	for range 1000 {
		r.Expectations = append(r.Expectations, report.Expectation{Status: report.Held, Text: long})
	}
	for _, f := range forms {
		if f.name == "all.json" { // it is for programs, and has all
			continue
		}
		if n := len(text(t, f.write, suite(r))); n > 2<<20 {
			t.Errorf("%s has %d bytes", f.name, n)
		}
	}

	many := suite()
	one := blackHole(10)
	for range 2000 {
		many.Runs = append(many.Runs, one)
	}
	if n := len(text(t, report.WriteMarkdown, many)); n > 300<<10 {
		t.Errorf("the summary of many runs has %d bytes", n)
	}
}

// TestShortStatesAreSeen: a breaker that opened for a millisecond of an hour is on the
// page.
func TestShortStatesAreSeen(t *testing.T) {
	r := passing()
	r.History = &history.Run{
		Duration: time.Hour, Replicas: 1, Pools: []history.Pool{{Name: "cart", Endpoints: []string{"a"}}},
		Breakers: []history.Breaker{
			{At: 30 * time.Minute, Replica: "lb/1", Endpoint: "cart/1", From: "closed", To: "open"},
			{At: 30*time.Minute + ms, Replica: "lb/1", Endpoint: "cart/1", From: "open", To: "closed"},
		},
	}
	page := text(t, report.WriteHTML, suite(r))
	if n := strings.Count(page, `<rect class="open"`); n != 1 {
		t.Errorf("%d bands are open", n)
	}
	if n := strings.Count(page, `<rect class="closed"`); n != 2 {
		t.Errorf("%d bands are closed", n)
	}
}

// TestCommand: what is to be run again is one line that a shell reads as it was meant.
func TestCommand(t *testing.T) {
	for _, c := range []struct {
		file string
		args []string
		want string
	}{
		{"a/b.yaml", nil, "sim run a/b.yaml --seed 42 --stage virtual"},
		{"a b.yaml", []string{"--policies", "it's"}, `sim run 'a b.yaml' --seed 42 --stage virtual --policies 'it'\''s'`},
		{"$(x)", []string{""}, `sim run '$(x)' --seed 42 --stage virtual ''`},
	} {
		r := report.Run{Scenario: &scenario.Scenario{Pos: scenario.Pos{File: c.file}, Seed: 42}, Args: c.args}
		if got := r.Command(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestWithoutAnything: a run that never began, and none at all, can be reported too.
func TestWithoutAnything(t *testing.T) {
	bare := &report.Run{Scenario: &scenario.Scenario{Name: "bare"}, Verdict: report.Failure, Why: "no policy"}
	empty := &report.Run{Scenario: &scenario.Scenario{Name: "empty"}, Verdict: report.Passed, History: &history.Run{}}
	for _, s := range []*report.Suite{{}, {Runs: []*report.Run{bare, empty}}} {
		for _, f := range forms {
			if got := text(t, f.write, s); len(s.Runs) > 0 && f.name != "all.annotations" && !strings.Contains(got, "empty") {
				t.Errorf("%s says nothing of a run: %s", f.name, got)
			}
		}
	}
}
