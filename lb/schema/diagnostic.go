package schema

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Severity says whether what was read is refused for a finding.
type Severity string

const (
	SeverityError   Severity = "error"   // it is refused
	SeverityWarning Severity = "warning" // it is taken, and somebody should look
)

// Diagnostic is one thing found in a file: what, where, and what to do.
type Diagnostic struct {
	Severity Severity
	// Code is a stable kebab-case name of the kind of finding, such as
	// "unknown-field". It is safe as a metric label. The reference of each language lists them.
	Code string
	// Pos is where. It is zero for a finding about the directory as a whole.
	Pos Pos
	// Path is the field, such as "spec.pools[1].circuitBreaker.openDuration".
	// It is empty for a finding about a file. Indices count from 0 within the
	// document that Pos points to.
	Path    string
	Message string
	// Source is the line Pos points to, cut around the column if it is long,
	// with control characters replaced. Caret is the line to print below it.
	Source, Caret string
}

// String is the finding in one to three lines, without a final newline:
//
//	shop.yaml:12:21: spec.pools[0].connectTimeout: "5" has no unit: write 5s
//	      connectTimeout: 5
//	                      ^
//
// A warning has "warning: " before its path.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.Pos.File != "" {
		b.WriteString(d.Pos.File + ":" + strconv.Itoa(d.Pos.Line) + ":" + strconv.Itoa(d.Pos.Col) + ": ")
	}
	if d.Severity == SeverityWarning {
		b.WriteString("warning: ")
	}
	if d.Path != "" {
		b.WriteString(d.Path + ": ")
	}
	b.WriteString(d.Message)
	if d.Caret != "" {
		b.WriteString("\n  " + d.Source + "\n  " + d.Caret)
	}
	return b.String()
}

// Diagnostics is everything found, sorted by file and position.
// Findings about the directory as a whole come last.
type Diagnostics []Diagnostic

// HasErrors reports whether what was read is refused.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == SeverityError })
}

// Count returns how many findings have the severity.
func (ds Diagnostics) Count(s Severity) int {
	n := 0
	for _, d := range ds {
		if d.Severity == s {
			n++
		}
	}
	return n
}

// String is every finding as [Diagnostic.String] has it, each ended by a newline.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		if (a.Pos.File == "") != (b.Pos.File == "") {
			if a.Pos.File == "" {
				return 1
			}
			return -1
		}
		return cmp.Or(
			strings.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
			strings.Compare(a.Path, b.Path),
			strings.Compare(a.Code, b.Code),
			strings.Compare(a.Message, b.Message),
		)
	})
}

// MarshalJSON gives the stable form that `lb validate --output json` prints.
// Line and column are left out where there is no position.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	return encodeJSON(struct {
		Severity Severity `json:"severity"`
		Code     string   `json:"code"`
		File     string   `json:"file,omitempty"`
		Line     int      `json:"line,omitempty"`
		Column   int      `json:"column,omitempty"`
		Path     string   `json:"path,omitempty"`
		Message  string   `json:"message"`
		Source   string   `json:"source,omitempty"`
		Caret    string   `json:"caret,omitempty"`
	}{d.Severity, d.Code, d.Pos.File, d.Pos.Line, d.Pos.Col, d.Path, d.Message, d.Source, d.Caret})
}

// MarshalJSON gives a list; nothing found is [] and never null.
func (ds Diagnostics) MarshalJSON() ([]byte, error) {
	return encodeJSON(append([]Diagnostic{}, ds...))
}
