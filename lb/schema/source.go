package schema

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"
)

// Name is the name of the file.
func (f *File) Name() string { return f.name }

// maxBrackets is how many closing brackets are tried as the end of a flow mapping.
const maxBrackets = 256

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
	same := func(text string) bool {
		var doc yaml.Node
		return decodeNode(yaml.NewDecoder(strings.NewReader(text)), &doc) == nil && Text(doc.Content[0]) == plain
	}
	if n.Style&yaml.FlowStyle == 0 {
		text := head + first + "\n" + f.indented(n.Line, column)
		if same(text) {
			return text
		}
		return plain
	}
	rest := first + "\n" + strings.Join(f.lines[n.Line:], "\n")
	for end, tried := 0, 0; tried < maxBrackets; tried++ {
		next := strings.IndexByte(rest[end:], '}')
		if next < 0 {
			break
		}
		end += next + 1
		if text := head + rest[:end] + "\n"; strings.Count(rest[:end], "{") == strings.Count(rest[:end], "}") && same(text) {
			return text
		}
	}
	return plain
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
