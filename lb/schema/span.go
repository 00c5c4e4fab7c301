package schema

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Spread returns where each character of a scalar's value was written, and behind them
// where the value ends. It knows the ways YAML has of writing text: plain, in quotes
// with escapes, in blocks, over several lines.
func (f *File) Spread(n *Node) []Pos {
	w := walker{file: f, line: n.Line, col: n.Column, indent: -1}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.indent = f.indentOf(n)
		w.nextLine()
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.col++
	}
	spread := make([]Pos, 0, utf8.RuneCountInString(n.Value)+1)
	for _, r := range n.Value {
		w.seek(r, n.Style)
		spread = append(spread, w.pos())
		w.pass(r, n.Style)
	}
	return append(spread, w.pos())
}

// indentOf returns the indentation of a block: that of its first line with text, less
// the spaces that are text.
func (f *File) indentOf(n *Node) int {
	spaces := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	within := spaces(strings.TrimLeft(n.Value, "\n"))
	for _, l := range f.lines[min(n.Line, len(f.lines)):] {
		if strings.TrimSpace(l) != "" {
			return max(spaces(l)-within, 0)
		}
	}
	return 0
}

// walker reads the source of a scalar along with its value.
type walker struct {
	file      *File
	line, col int // from 1; col counts characters
	indent    int // of a block: how many spaces are no part of it; -1: all there are
	runes     []rune
	of        int // the line that runes are of
}

func (w *walker) pos() Pos { return w.file.clamp(w.line, w.col) }

// rest is what is left of the line.
func (w *walker) rest() []rune {
	if w.of != w.line {
		w.runes, w.of = nil, w.line
		if w.line >= 1 && w.line <= len(w.file.lines) {
			w.runes = []rune(w.file.lines[w.line-1])
		}
	}
	return w.runes[min(max(w.col-1, 0), len(w.runes)):]
}

// nextLine goes to the text of the next line, behind its indentation.
func (w *walker) nextLine() {
	w.line, w.col = w.line+1, 1
	rest := w.rest()
	if w.indent >= 0 {
		w.col += min(w.indent, len(rest))
		return
	}
	w.col += len(rest) - len([]rune(strings.TrimLeft(string(rest), " \t")))
}

// seek goes to where the character stands: over line ends and spaces that are no part
// of the value, and over the indentation that a block keeps.
func (w *walker) seek(r rune, style yaml.Style) {
	for w.line <= len(w.file.lines) {
		rest := w.rest()
		switch {
		case len(rest) == 0 && r != '\n' && r != ' ':
			w.nextLine()
		case len(rest) == 0:
			return
		case style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\' && len(rest) == 1: // the line goes on
			w.nextLine()
		case r != ' ' && r != '\t' && (rest[0] == ' ' || rest[0] == '\t'):
			w.col++
		default:
			return
		}
	}
}

// pass goes behind the character.
func (w *walker) pass(r rune, style yaml.Style) {
	rest := w.rest()
	switch {
	case len(rest) == 0:
		if w.line < len(w.file.lines) {
			w.nextLine()
		}
	case style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\':
		w.col += escape(rest)
	case style&yaml.SingleQuotedStyle != 0 && r == '\'':
		w.col += 2
	case r == '\n':
		w.nextLine()
	default:
		w.col++
	}
}

// escape returns how many characters the escape at the beginning of rest has.
func escape(rest []rune) int {
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}
	if len(rest) < 2 {
		return 1
	}
	n := 2 + digits[rest[1]]
	if n > len(rest) {
		return len(rest)
	}
	if n > 2 {
		if _, err := strconv.ParseUint(string(rest[2:n]), 16, 32); err != nil {
			return 2
		}
	}
	return n
}
