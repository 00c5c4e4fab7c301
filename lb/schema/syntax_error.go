package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	syntaxErrorPattern = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	// blockScalarHead ends a line whose text follows, indented, in the next ones.
	blockScalarHead = regexp.MustCompile(`(?:^|[:-] +)[|>][-+0-9]*(?:[ \t]+#.*)?[ \t]*$`)
	// tightKey begins a line like "name:web", which is text and not a key.
	tightKey = regexp.MustCompile(`^ *(?:- +)*[A-Za-z]+:[^\s:]`)
)

// parserProblems are those messages that yaml.v3 reports with a line counted
// from 0, and for the start of the surrounding mapping or list.
var parserProblems = []string{"did not find expected", "found undefined tag handle", "found duplicate %", "found incompatible YAML"}

const (
	adviceTab      = "indent by spaces, not by tabs"
	adviceIndent   = "check the indentation of this line and of the line above: the mistake may be on either"
	adviceTightKey = ", or a space is missing after the ':' on the line above"
)

// syntaxHints says what is usually wrong when the parser has a problem.
var syntaxHints = []struct{ problem, advice string }{
	{"did not find expected key", adviceIndent},
	{"did not find expected '-'", adviceIndent},
	{"did not find expected ',' or", "a bracket is not closed, or a comma is missing"},
	{"did not find expected <document start>", "check the indentation and the quotes"},
	{"mapping values are not allowed", "check the indentation; text that holds \": \" needs quotes"},
	{"could not find expected ':'", "a key without \":\", or wrong indentation"},
	{"found character that cannot start", "text that begins with such a character needs quotes"},
	{"found unexpected end of stream", "a quote is not closed"},
}

// syntaxError turns an error of yaml.v3 into a position and a message. yaml.v3
// itself tells where the surrounding structure began, if anything; the line
// returned is the first that the text before it cannot go on with.
func syntaxError(err error, text []byte, lines []string) (line, col int, message string) {
	m := syntaxErrorPattern.FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(m[1])
	problem := m[2]
	began := 0
	switch {
	case slices.ContainsFunc(parserProblems, func(p string) bool { return strings.HasPrefix(problem, p) }):
		began = line + 1
		line = max(began, brokenLine(text))
	case line == 0:
		line = brokenLine(text)
	}
	line = min(max(line, 1), len(lines))
	if line > 1 && line == len(lines) && lines[line-1] == "" {
		line-- // the end of the text: show its last line
	}
	if tabLine, tabCol := tabAt(problem, line, lines); tabLine > 0 {
		return tabLine, tabCol, "is not YAML: " + problem + ": " + adviceTab
	}
	message = "is not YAML: " + problem
	if began > 0 && began < line {
		message += fmt.Sprintf(" in what begins at line %d", began)
	}
	for _, hint := range syntaxHints {
		if strings.HasPrefix(problem, hint.problem) {
			message += ": " + hint.advice
			break
		}
	}
	if strings.HasPrefix(problem, "mapping values are not allowed") && line > 1 && tightKey.MatchString(lines[line-2]) {
		message += adviceTightKey
	}
	bad := lines[line-1]
	return line, len(bad) - len(strings.TrimLeft(bad, " ")) + 1, message
}

// tabAt returns the tab in the indentation that is to blame for a problem at a
// line, or zeros. A problem that is about tabs is reported for the start of the
// text that the tab interrupts, which may be lines before.
func tabAt(problem string, line int, lines []string) (tabLine, tabCol int) {
	if col := indentationTab(lines[line-1]); col > 0 {
		return line, col
	}
	if !strings.Contains(problem, "tab character") {
		return 0, 0
	}
	if strings.Contains(problem, "where an indentation space is expected") { // in a block scalar
		for i := line; i < len(lines); i++ {
			if col := indentationTab(lines[i]); col > 0 {
				return i + 1, col
			}
		}
	}
	block := -1 // indentation of the line that began a block scalar, or -1
	for i, l := range lines {
		indent := len(l) - len(strings.TrimLeft(l, " "))
		if block >= 0 && (indent > block || strings.TrimSpace(l) == "") {
			continue
		}
		block = -1
		if blockScalarHead.MatchString(l) {
			block = indent
		}
		col := indentationTab(l)
		switch {
		case col == 0 || strings.TrimSpace(l) == "":
		case i+1 >= line:
			return i + 1, col
		case tabLine == 0:
			tabLine, tabCol = i+1, col
		}
	}
	return tabLine, tabCol
}

// indentationTab returns the column of the first tab before a line's text, from
// 1, or 0.
func indentationTab(line string) int {
	rest := strings.TrimLeft(line, " ")
	if !strings.HasPrefix(rest, "\t") {
		return 0
	}
	return len(line) - len(rest) + 1
}

// brokenLine returns the line that makes the text invalid. The parser reads
// ahead, so that it is the one at which the parser stopped or one before: the
// first from which on the text up to that line already has the same error.
func brokenLine(text []byte) int {
	const most = 16 // lines to go back: more are comments, or one long list in brackets
	stopped, problem := stoppedAt(text)
	ends := lineEnds(text)
	line := min(stopped, len(ends))
	for back := 0; back < most && line > 1; back++ {
		if _, earlier := stoppedAt(text[:ends[line-2]]); earlier != problem {
			break
		}
		line--
	}
	return max(line, 1)
}

// lineEnds returns the offsets behind the lines of text.
func lineEnds(text []byte) []int {
	var ends []int
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n') + 1
		if end == 0 {
			end = len(text) - at
		}
		at += end
		ends = append(ends, at)
	}
	return ends
}

// stoppedAt parses again, giving the parser a line at a time, and returns the
// line it had asked for when it failed, and its error; none is "".
func stoppedAt(text []byte) (line int, problem string) {
	lines := &lineReader{text: text}
	decode := yaml.NewDecoder(lines)
	for {
		var doc yaml.Node
		switch err := decodeNode(decode, &doc); {
		case errors.Is(err, io.EOF):
			return max(lines.line, 1), ""
		case err != nil:
			return max(lines.line, 1), err.Error()
		}
	}
}

type lineReader struct {
	text []byte
	rest []byte // of the current line
	line int
}

func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if len(l.text) == 0 {
			return 0, io.EOF
		}
		end := bytes.IndexByte(l.text, '\n') + 1
		if end == 0 {
			end = len(l.text)
		}
		l.rest, l.text = l.text[:end], l.text[end:]
		l.line++
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
