package schema

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Name is the name of the file.
func (f *File) Name() string { return f.name }

// Source returns a mapping as YAML of its own. Mostly it is the file's own text, at its
// lines and columns, so that what is wrong inside is found where it was written. It is ""
// for a node with one inside that was reported.
func (f *File) Source(n *Node) string {
	plain := Text(n)
	if plain == "" {
		return ""
	}
	column := min(max(n.Column-1, 0), len([]rune(f.lines[n.Line-1])))
	first := string([]rune(f.lines[n.Line-1])[column:])
	head := strings.Repeat("\n", n.Line-1) + strings.Repeat(" ", column)
	text := head + first + "\n" + f.indented(n.Line, column)
	if n.Style&yaml.FlowStyle != 0 {
		rest := first + "\n" + strings.Join(f.lines[n.Line:], "\n")
		text = head + rest[:flowEnd(rest)] + "\n"
	}
	if says(text, n) {
		return text
	}
	return plain
}

// says reports whether a text is one document that is like the node.
func says(text string, n *Node) bool {
	docs, err := documentsOf([]byte(text))
	return err == nil && len(docs) == 1 && alike(docs[0].Content[0], n)
}

// alike reports whether two nodes have the same values, comments apart.
func alike(a, b *Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, alike)
}

// flowEnd returns where the brackets that text begins with are closed, as far as can be
// told without reading YAML in full: quotes begin behind a space, a bracket, a comma or a
// colon, and comments behind a space.
func flowEnd(text string) int {
	depth, quote, before := 0, byte(0), byte(' ')
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '"' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && strings.IndexByte(" \n{[,:", before) >= 0:
			quote = c
		case c == '#' && strings.IndexByte(" \n", before) >= 0:
			if end := strings.IndexByte(text[i:], '\n'); end >= 0 {
				i += end - 1
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		before = c
	}
	return len(text)
}

// indented returns the lines behind a line that are indented at least so far, up to the
// first with text that is not.
func (f *File) indented(line, column int) string {
	var b bytes.Buffer
	for _, l := range f.lines[line:] {
		if text := strings.TrimLeft(l, " "); text != "" && len(l)-len(text) < column && !strings.HasPrefix(text, "#") || column == 0 && strings.HasPrefix(l, "---") {
			break
		}
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.String()
}

// BlockSource is [File.Source] for a text that holds YAML.
func (f *File) BlockSource(n *Node) string {
	if n.Style&yaml.LiteralStyle == 0 || strings.HasPrefix(n.Value, "---") || strings.Contains(n.Value, "\n---") || strings.Contains(n.Value, "\n...") {
		return n.Value
	}
	indent := strings.Repeat(" ", f.indentOf(n))
	var b strings.Builder
	b.WriteString(strings.Repeat("\n", n.Line))
	for _, l := range strings.SplitAfter(n.Value, "\n") {
		if strings.TrimSpace(l) != "" {
			b.WriteString(indent)
		}
		b.WriteString(l)
	}
	return b.String()
}
