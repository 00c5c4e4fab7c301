package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxDepth is how deep mappings and lists may nest. Languages need fewer than
// fifteen levels, a policy inside a scenario included.
const maxDepth = 32

// File is one file's name and lines, for positions and excerpts.
type File struct {
	name  string
	lines []string // without line ends
}

// NewFile splits text at LF and CRLF; syntax refuses what YAML 1.1 takes for a
// line end besides these, so that YAML, editors and diagnostics count alike.
func NewFile(name string, text []byte) *File {
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return &File{name: name, lines: lines}
}

// Pos returns where n begins, kept within the file: YAML puts some empty values
// behind the end.
func (f *File) Pos(n *yaml.Node) Pos { return f.clamp(n.Line, n.Column) }

func (f *File) clamp(line, col int) Pos {
	line = min(max(line, 1), len(f.lines))
	col = min(max(col, 1), utf8.RuneCountInString(f.lines[line-1])+1)
	return Pos{File: f.name, Line: line, Col: col}
}

// Diagnostic is a finding at a position in the file, with its line.
func (f *File) Diagnostic(severity Severity, pos Pos, path, code, message string) Diagnostic {
	source, caret := f.excerpt(pos)
	return Diagnostic{Severity: severity, Code: code, Pos: pos, Path: path, Message: message, Source: source, Caret: caret}
}

func (f *File) excerpt(p Pos) (source, caret string) {
	return excerpt(f.lines[p.Line-1], p.Col)
}

// Parse returns the documents of a file as trees that hold nothing but plain
// mappings, lists and scalars: what else YAML can say is reported, and left
// behind as a node of kind 0, which readers pass over in silence.
func (r *Report) Parse(name string, text []byte) (*File, []*yaml.Node) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	f := NewFile(name, text)
	d := &Decoder{Report: r, File: f}
	whole := false
	defer func() { r.Incomplete = r.Incomplete || !whole }()
	at := func(offset int) Pos {
		before := text[:offset]
		start := bytes.LastIndexByte(before, '\n') + 1
		return f.clamp(bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(before[start:])+1)
	}
	if i := invalidUTF8(text); i >= 0 {
		d.say(SeverityError, at(i), "", CodeNotUTF8, "byte 0x%02x is not UTF-8 text: save the file as UTF-8", text[i])
		return f, nil
	}
	if i := foreignLineEnd(text); i >= 0 {
		c, _ := utf8.DecodeRune(text[i:])
		d.say(SeverityError, at(i), "", CodeSyntax, "the character %U ends a line in YAML but not in an editor: remove it", c)
		return f, nil
	}
	var docs []*yaml.Node
	decode := yaml.NewDecoder(bytes.NewReader(text))
	for !r.Full() {
		var doc yaml.Node
		err := decodeNode(decode, &doc)
		if errors.Is(err, io.EOF) {
			if len(docs) == 0 {
				d.say(SeverityError, f.clamp(1, 1), "", CodeEmpty, "the file has no document: write a %s or remove the file", r.Noun)
			}
			whole = true
			break
		}
		if err != nil {
			line, col, message := syntaxError(err, text, f.lines)
			d.say(SeverityError, f.clamp(line, col), "", CodeSyntax, "%s", message)
			return f, nil
		}
		root := doc.Content[0]
		docs = append(docs, root)
		if root.Tag == "!!null" && root.Kind == yaml.ScalarNode && root.Style&yaml.TaggedStyle == 0 {
			d.Fail(root, CodeEmpty, "the document is empty: write a %s, or remove it with its \"---\"", r.Noun)
			root.Kind = 0
			continue
		}
		d.restrict(root, 1)
	}
	return f, docs
}

// decodeNode guards against a panic of the parser: files change while traffic
// is served, and none of them may end the process.
func decodeNode(decode *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	return decode.Decode(into)
}

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// foreignLineEnd finds a lone CR, NEL, LS or PS.
func foreignLineEnd(text []byte) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\r':
			if i+1 == len(text) || text[i+1] != '\n' {
				return i
			}
		case 0xC2:
			if bytes.HasPrefix(text[i:], []byte("\u0085")) {
				return i
			}
		case 0xE2:
			if bytes.HasPrefix(text[i:], []byte("\u2028")) || bytes.HasPrefix(text[i:], []byte("\u2029")) {
				return i
			}
		}
	}
	return -1
}

// restrict reports what the language leaves out of YAML, everywhere below n.
func (d *Decoder) restrict(n *yaml.Node, depth int) {
	refuse := func(code, format string, args ...any) {
		d.Fail(n, code, format, args...)
		n.Kind = 0
	}
	switch {
	case d.Full():
	case n.Kind == yaml.AliasNode:
		refuse(CodeAlias, "aliases are not part of the language: write the value out instead of *%s", cut(n.Value))
	case n.Anchor != "":
		refuse(CodeAlias, "anchors are not part of the language: remove &%s", cut(n.Anchor))
	case n.Style&yaml.TaggedStyle != 0:
		refuse(CodeTag, "tags are not part of the language: remove %s", cut(n.Tag))
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		refuse(CodeNull, "has no value: give it one, or leave it out to have the default")
	case depth > maxDepth && n.Kind != yaml.ScalarNode:
		refuse(CodeTooDeep, "is nested more than %d levels deep", maxDepth)
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			d.EnterItem(i)
			d.restrict(item, depth+1)
			d.Leave()
		}
	case n.Kind == yaml.MappingNode:
		d.restrictMapping(n, depth)
	}
}

func (d *Decoder) restrictMapping(n *yaml.Node, depth int) {
	var seen map[string]*yaml.Node // only for mappings too large to look through again
	if len(n.Content) > 64 {
		seen = make(map[string]*yaml.Node, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case d.Full():
			return
		case key.Tag == "!!merge":
			d.Fail(key, CodeMergeKey, "merge keys are not part of the language: write the fields out instead of <<")
			key.Kind = 0
			continue
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || key.Anchor != "":
			d.Fail(key, CodeBadKey, "a key must be plain text")
			key.Kind = 0
			continue
		}
		var first *yaml.Node
		if seen != nil {
			first = seen[key.Value]
			if first == nil {
				seen[key.Value] = key
			}
		} else {
			for j := 0; j < i && first == nil; j += 2 {
				if k := n.Content[j]; k.Kind == yaml.ScalarNode && k.Value == key.Value {
					first = k
				}
			}
		}
		d.Enter(key.Value)
		if first != nil {
			d.Fail(key, CodeDuplicateKey, "is given twice: it is also at line %d, column %d", first.Line, first.Column)
			key.Kind = 0
		} else {
			d.restrict(value, depth+1)
		}
		d.Leave()
	}
}
