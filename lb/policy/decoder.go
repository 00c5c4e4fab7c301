package policy

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

// report collects what is found in all the files of one policy.
type report struct {
	noun             string // what a document is, for messages
	found            Diagnostics
	errors, warnings int
	// incomplete is set once a document could not be looked into: what seems
	// missing may be there.
	incomplete bool
}

// full reports whether looking any further is pointless.
func (r *report) full() bool { return r.errors >= maxDiagnostics }

func (r *report) add(d Diagnostic) {
	count := &r.errors
	if d.Severity == SeverityWarning {
		count = &r.warnings
	}
	*count++
	if *count <= maxDiagnostics {
		r.found = append(r.found, d)
	}
}

// diagnostics returns everything found, sorted, closed by a line for what was
// left out.
func (r *report) diagnostics() Diagnostics {
	if r.full() {
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

// decoder walks the YAML of one document. It knows where it is: the file and
// the path from the document's root.
type decoder struct {
	*report
	file *file
	path []step
	// passed counts the nodes passed over because they were reported before.
	passed int
}

// step is one key, or one index where key is empty.
type step struct {
	key   string
	index int
}

func (d *decoder) enter(key string)     { d.path = append(d.path, step{key: key}) }
func (d *decoder) enterItem(i int)      { d.path = append(d.path, step{index: i}) }
func (d *decoder) leave()               { d.path = d.path[:len(d.path)-1] }
func (d *decoder) pos(n *yaml.Node) Pos { return d.file.pos(n) }

func pathString(path []step) string {
	var b strings.Builder
	for i, s := range path {
		switch {
		case s.key == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case isPlainKey(s.key):
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		default: // a header name, or somebody's mistake
			b.WriteString("[" + quote(s.key) + "]")
		}
	}
	return b.String()
}

func isPlainKey(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// passedOver reports whether n was found not to be part of the language.
func (d *decoder) passedOver(n *yaml.Node) bool {
	if n.Kind != 0 {
		return false
	}
	d.passed++
	return true
}

// fail reports an error at n, about the field the decoder stands in.
func (d *decoder) fail(n *yaml.Node, code, format string, args ...any) {
	d.say(SeverityError, d.pos(n), pathString(d.path), code, format, args...)
}

// warn is fail for a warning.
func (d *decoder) warn(n *yaml.Node, code, format string, args ...any) {
	d.say(SeverityWarning, d.pos(n), pathString(d.path), code, format, args...)
}

// failAt reports an error about a field below n, given as a path such as
// "cookie.name" or "backendRefs[1].pool". What was not written is reported
// where it would have been: at the innermost thing that was.
func (d *decoder) failAt(n *yaml.Node, below, code, format string, args ...any) {
	at, path := d.find(n, below)
	d.say(SeverityError, d.pos(at), path, code, format, args...)
}

// warnAt is failAt for a warning.
func (d *decoder) warnAt(n *yaml.Node, below, code, format string, args ...any) {
	at, path := d.find(n, below)
	d.say(SeverityWarning, d.pos(at), path, code, format, args...)
}

func (d *decoder) say(severity Severity, pos Pos, path, code, format string, args ...any) {
	if severity == SeverityError && d.full() {
		return
	}
	source, caret := d.file.excerpt(pos)
	d.add(Diagnostic{Severity: severity, Code: code, Pos: pos, Path: path,
		Message: fmt.Sprintf(format, args...), Source: source, Caret: caret})
}

// find walks from n down a path and returns the innermost node written, and the
// whole path from the document's root. A key looked up in a list stands for the
// item that has the key: that is how filters are written.
func (d *decoder) find(n *yaml.Node, below string) (*yaml.Node, string) {
	path := slices.Clone(d.path)
	for _, part := range strings.FieldsFunc(below, func(r rune) bool { return r == '.' || r == '[' }) {
		if index, isIndex := strings.CutSuffix(part, "]"); isIndex {
			i, _ := strconv.Atoi(index)
			path = append(path, step{index: i})
			if n.Kind == yaml.SequenceNode && i < len(n.Content) {
				n = n.Content[i]
			}
			continue
		}
		if n.Kind == yaml.SequenceNode {
			for i, item := range n.Content {
				if _, value := entry(item, part); value != nil {
					path = append(path, step{index: i})
					n = item
					break
				}
			}
		}
		path = append(path, step{key: part})
		if _, value := entry(n, part); value != nil {
			n = value
		}
	}
	return n, pathString(path)
}

// entry returns the key and value nodes of a mapping's entry, or nils.
func entry(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return nil, nil
}

// written reports whether a mapping has the key.
func written(n *yaml.Node, key string) bool {
	_, v := entry(n, key)
	return v != nil
}

// quote returns s in quotes for a message, cut if it is long.
func quote(s string) string {
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

// describe says what a node is, for messages.
func describe(n *yaml.Node) string {
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
	return "the text " + quote(n.Value)
}
