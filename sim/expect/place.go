package expect

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

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
	scenario *scenario.Scenario
	of       *scenario.Expectation
	path     string
	text     string // the expression; empty: it is about a breaker's path
	found    policy.Diagnostics
}

// at complains of a place in the expression; nil: of all of it.
func (f *finder) at(l common.Location, code, format string, args ...any) {
	if f.text == "" {
		f.found = append(f.found, f.scenario.Field(f.of.Pos, "breaker", code, format, args...))
		return
	}
	d := f.scenario.Complain(f.of, offset(l, f.text), code, format, args...)
	d.Path = f.path
	f.found = append(f.found, d)
}

// offset is how many characters of a text are before a place in it.
func offset(l common.Location, text string) (n int) {
	if l == nil || l.Line() < 1 {
		return 0
	}
	for i, line := range strings.SplitAfter(text, "\n") {
		if i == l.Line()-1 {
			break
		}
		n += utf8.RuneCountInString(line)
	}
	return n + max(0, l.Column())
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
			message = fmt.Sprintf("%s is not given %s: write %s", w.name, m[2], w.use())
		case m[2] == "(double, int)" || m[2] == "(int, double)":
			message = fmt.Sprintf("%s of a whole number and a fraction: what counts (%s) goes with whole numbers, such as 0, anything else with a point, such as 1.0", sign, strings.Join(countingWords(), ", "))
		case strings.Contains(m[2], "google.protobuf.Duration") || strings.Contains(m[2], "duration"):
			message = fmt.Sprintf("%s is not for %s: a duration is written duration(\"80ms\")", sign, m[2])
		default:
			message = fmt.Sprintf("%s is not for %s", sign, m[2])
		}
	}
	if m := syntax.FindStringSubmatch(message); m != nil {
		message = grammar(m[1])
	}
	f.at(where, code, "%s", message)
}

// The errors of CEL's parser, which lists all that it could have gone on with.
var (
	syntax  = regexp.MustCompile(`(?s)^Syntax error: (.*)$`)
	misread = regexp.MustCompile(`(?s)^(?:mismatched|extraneous) input '(.*?)' expecting .*$|^no viable alternative at input '(.*)'$|^missing .* at '(.*)'$|^token recognition error at: '(.*)'$`)
)

// grammar says what a syntax error is, in words.
func grammar(problem string) string {
	m := misread.FindStringSubmatch(problem)
	if m == nil {
		return "is no expression: " + problem
	}
	text := cmp.Or(m[1], m[2], m[3], m[4])
	if strings.HasSuffix(text, "<EOF>") {
		return "the expression ends where something should follow: a value, a word or a bracket is missing"
	}
	return quote(text) + " does not belong here: is an operator, a comma, a quote or a bracket missing before it?"
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
