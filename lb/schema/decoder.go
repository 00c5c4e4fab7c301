package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxDiagnostics is how many errors, and how many warnings, are reported. At
// the last error decoding stops; warnings beyond the last are counted only.
const maxDiagnostics = 100

// Report collects what is found in all the files that belong together.
type Report struct {
	Noun             string // what a document is, for messages
	found            Diagnostics
	Errors, warnings int
	// Incomplete is set once a document could not be looked into: what seems
	// missing may be there.
	Incomplete bool
}

// Full reports whether looking any further is pointless.
func (r *Report) Full() bool { return r.Errors >= maxDiagnostics }

func (r *Report) Add(d Diagnostic) {
	count := &r.Errors
	if d.Severity == SeverityWarning {
		count = &r.warnings
	}
	*count++
	if *count <= maxDiagnostics {
		r.found = append(r.found, d)
	}
}

// Diagnostics returns everything found, sorted, closed by a line for what was
// left out.
func (r *Report) Diagnostics() Diagnostics {
	if r.Full() {
		r.found = append(r.found, Diagnostic{Severity: SeverityError, Code: CodeTooMany,
			Message: fmt.Sprintf("stopped after %d errors: correct these, then look again", maxDiagnostics)})
	}
	if more := r.warnings - maxDiagnostics; more > 0 {
		r.found = append(r.found, Diagnostic{Severity: SeverityWarning, Code: CodeTooMany,
			Message: fmt.Sprintf("%d more warnings are not shown", more)})
	}
	r.found.sort()
	return r.found
}

// Decoder walks the YAML of one document. It knows where it is: the file and
// the path from the document's root.
type Decoder struct {
	*Report
	File *File
	Path []Step
	// passed counts the nodes passed over because they were reported before.
	passed int
}

// Step is one key, or one index where key is empty.
type Step struct {
	Key   string
	Index int
}

func (d *Decoder) Enter(key string)     { d.Path = append(d.Path, Step{Key: key}) }
func (d *Decoder) EnterItem(i int)      { d.Path = append(d.Path, Step{Index: i}) }
func (d *Decoder) Leave()               { d.Path = d.Path[:len(d.Path)-1] }
func (d *Decoder) pos(n *yaml.Node) Pos { return d.File.Pos(n) }

// PathString writes a path the way diagnostics have it.
func PathString(path []Step) string {
	var b strings.Builder
	for i, s := range path {
		switch {
		case s.Key == "":
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case isPlainKey(s.Key):
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Key)
		default: // a header name, or somebody's mistake
			b.WriteString("[" + Quote(s.Key) + "]")
		}
	}
	return b.String()
}

func isPlainKey(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// PassedOver reports whether n was found not to be part of the language.
func (d *Decoder) PassedOver(n *yaml.Node) bool {
	if n.Kind != 0 {
		return false
	}
	d.passed++
	return true
}

// Fail reports an error at n, about the field the decoder stands in.
func (d *Decoder) Fail(n *yaml.Node, code, format string, args ...any) {
	d.say(SeverityError, d.pos(n), PathString(d.Path), code, format, args...)
}

// Warn is fail for a warning.
func (d *Decoder) Warn(n *yaml.Node, code, format string, args ...any) {
	d.say(SeverityWarning, d.pos(n), PathString(d.Path), code, format, args...)
}

// FailAt reports an error about a field below n, given as a path such as
// "cookie.name" or "backendRefs[1].pool". What was not written is reported
// where it would have been: at the innermost thing that was.
func (d *Decoder) FailAt(n *yaml.Node, below, code, format string, args ...any) {
	at, path := d.Find(n, below)
	d.say(SeverityError, d.pos(at), path, code, format, args...)
}

// WarnAt is failAt for a warning.
func (d *Decoder) WarnAt(n *yaml.Node, below, code, format string, args ...any) {
	at, path := d.Find(n, below)
	d.say(SeverityWarning, d.pos(at), path, code, format, args...)
}

func (d *Decoder) say(severity Severity, pos Pos, path, code, format string, args ...any) {
	if severity == SeverityError && d.Full() {
		return
	}
	d.Add(d.File.Diagnostic(severity, pos, path, code, fmt.Sprintf(format, args...)))
}

// Find walks from n down a path and returns the innermost node written, and the
// whole path from the document's root. A key looked up in a list stands for the
// item that has the key: that is how filters are written.
func (d *Decoder) Find(n *yaml.Node, below string) (*yaml.Node, string) {
	path := slices.Clone(d.Path)
	for _, part := range strings.FieldsFunc(below, func(r rune) bool { return r == '.' || r == '[' }) {
		if index, isIndex := strings.CutSuffix(part, "]"); isIndex {
			i, _ := strconv.Atoi(index)
			path = append(path, Step{Index: i})
			if n.Kind == yaml.SequenceNode && i < len(n.Content) {
				n = n.Content[i]
			}
			continue
		}
		if n.Kind == yaml.SequenceNode {
			for i, item := range n.Content {
				if _, value := Entry(item, part); value != nil {
					path = append(path, Step{Index: i})
					n = item
					break
				}
			}
		}
		path = append(path, Step{Key: part})
		if _, value := Entry(n, part); value != nil {
			n = value
		}
	}
	return n, PathString(path)
}

// Entry returns the key and value nodes of a mapping's entry, or nils.
func Entry(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return nil, nil
}

// Written reports whether a mapping has the key.
func Written(n *yaml.Node, key string) bool {
	_, v := Entry(n, key)
	return v != nil
}

// Quote returns s in quotes for a message, cut if it is long.
func Quote(s string) string {
	short := shorten(s)
	if short == s {
		return strconv.Quote(s)
	}
	return strconv.Quote(short) + "…"
}

// cut is quote without the quotes, for numbers and the like.
func cut(s string) string {
	short := shorten(s)
	q := strconv.Quote(short)
	if short == s {
		return q[1 : len(q)-1]
	}
	return q[1:len(q)-1] + "…"
}

func shorten(s string) string {
	const most = 60
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}

// Describe says what a node is, for messages.
func Describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "the number " + cut(n.Value)
	case "!!bool":
		return "the boolean " + cut(n.Value)
	case "!!timestamp":
		return "the date " + cut(n.Value)
	}
	return "the text " + Quote(n.Value)
}
