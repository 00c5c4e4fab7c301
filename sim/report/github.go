package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/sim/scenario"
)

// GitHub does what GitHub Actions shows of runs, and elsewhere nothing: annotations of
// the lines that were not true are written to w, which is the step's output, and the
// Markdown is added to the step's summary. getenv is [os.Getenv].
func GitHub(w io.Writer, s *Suite, getenv func(string) string) (err error) {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	if err := WriteAnnotations(w, s); err != nil {
		return err
	}
	path := getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return WriteMarkdown(f, s)
}

// WriteAnnotations writes a line ::error file=…,line=…,col=…:: for all that is wrong,
// where it was written, and ::warning for what is warned of. GitHub shows the first ten of a step.
func WriteAnnotations(w io.Writer, s *Suite) error {
	var b strings.Builder
	for _, d := range s.Found {
		message := visible(d.Message)
		if d.Path != "" {
			message = visible(d.Path) + ": " + message
		}
		annotation(&b, d.Severity, d.Pos, "sim: "+visible(d.Code), message)
	}
	for _, r := range s.Runs {
		name := visible(r.Scenario.Name)
		for _, e := range r.Failed() {
			title := name + ": expectation failed"
			if e.Vacuous {
				title = name + ": expectation proves nothing"
			}
			annotation(&b, schema.SeverityError, e.Pos, title, visible(e.Text)+"\n"+headline(e.Evidence)+"\n"+r.Command())
		}
		for _, i := range r.Broken() {
			annotation(&b, schema.SeverityError, r.Scenario.Pos, name+": invariant "+visible(i.ID), headline(i.Evidence)+"\n"+r.Command())
		}
		if r.Determinism.Checked && !r.Determinism.Same {
			annotation(&b, schema.SeverityError, r.Scenario.Pos, name+": not deterministic", visible(r.Determinism.What)+"\n"+r.Command())
		}
		for _, m := range r.Mutations {
			if !m.Caught {
				annotation(&b, schema.SeverityError, m.Pos, name+": mutation not caught", visible(m.Name)+"\n"+visible(m.By))
			}
		}
		if r.Why != "" {
			annotation(&b, schema.SeverityError, cmp.Or(r.WhyPos, r.Scenario.Pos), name+": "+string(r.Verdict), visibleLines(r.Why)+"\n"+r.Command())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ofMessage and ofProperty escape what would end them, as the runner undoes it.
var (
	ofMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	ofProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func annotation(b *strings.Builder, severity schema.Severity, at scenario.Pos, title, message string) {
	b.WriteString("::" + string(severity) + " ")
	if at.File != "" {
		fmt.Fprintf(b, "file=%s,line=%d,col=%d,", ofProperty.Replace(visible(at.File)), at.Line, at.Col)
	}
	fmt.Fprintf(b, "title=%s::%s\n", ofProperty.Replace(title), ofMessage.Replace(message))
}
