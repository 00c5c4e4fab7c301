package expect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

// Kinds of findings.
const (
	codeUnknownName = "unknown-name"
	codeExpression  = "bad-expression"
	codeWindow      = "bad-window"
	codeOperator    = "bad-operator"
)

// finder collects what is wrong with one expectation.
type finder struct {
	path  string
	text  string       // the expression
	pos   scenario.Pos // of the expression's first character
	found policy.Diagnostics
}

// at complains of a place in the expression.
func (f *finder) at(l common.Location, code, format string, args ...any) {
	pos := f.pos
	if pos.Line > 0 && l != nil && l.Line() > 0 {
		// Lines of a block scalar have the same indentation.
		pos.Line += l.Line() - 1
		pos.Col += max(0, l.Column())
	}
	f.found = append(f.found, policy.Diagnostic{
		Severity: policy.SeverityError, Code: code, Path: f.path,
		Pos:     policy.Pos{File: pos.File, Line: pos.Line, Col: pos.Col},
		Message: fmt.Sprintf(format, args...),
	})
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '([^']*)'`)
)

// cel complains of what CEL found.
func (f *finder) cel(e *common.Error) {
	message, code, where := e.Message, codeExpression, e.Location
	if m := undeclared.FindStringSubmatch(message); m != nil {
		code, message, where = codeUnknownName, unknown("word", m[1], wordNames()), atName(where, m[1], f.text)
	} else if m := overload.FindStringSubmatch(message); m != nil {
		sign := strings.Trim(m[1], "_")
		switch w := wordOf(m[1]); {
		case w != nil:
			where = atName(where, w.name, f.text)
			message = fmt.Sprintf("%s is not given %s: write %s", w.name, m[2], w.usage)
		case m[2] == "(double, int)" || m[2] == "(int, double)":
			message = fmt.Sprintf("%s of a whole number and a fraction: write a whole number with a point, such as 2.0", sign)
		case strings.Contains(m[2], "google.protobuf.Duration") || strings.Contains(m[2], "duration"):
			message = fmt.Sprintf("%s is not for %s: a duration is written duration(\"80ms\")", sign, m[2])
		default:
			message = fmt.Sprintf("%s is not for %s", sign, m[2])
		}
	}
	f.at(where, code, "%s", message)
}

// atName is where a call's name is. CEL says where its bracket is.
func atName(l common.Location, name, text string) common.Location {
	lines := strings.Split(text, "\n")
	if l.Line() < 1 || l.Line() > len(lines) {
		return l
	}
	line := []rune(lines[l.Line()-1])
	before := strings.TrimRight(string(line[:min(l.Column(), len(line))]), " ")
	if rest, ok := strings.CutSuffix(before, name); ok && l.Column() < len(line) && line[l.Column()] == '(' {
		return common.NewLocation(l.Line(), len([]rune(rest)))
	}
	return l
}

func quote(s string) string { return strconv.Quote(s) }
