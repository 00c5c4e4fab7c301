package scenario

import (
	"fmt"
	"slices"

	"go-loadbalancer/lb/schema"
)

// place is where a part of a scenario was written: perhaps in one that it builds on.
type place struct {
	doc  *document
	node *schema.Node
	path []schema.Step
}

// lists are the parts of a scenario that have a place each.
var lists = []string{"load", "timeline", "expect", "waive", "mutations"}

// locate notes where the parts of the scenario were written.
func (doc *document) locate() {
	doc.located = make(map[Pos]place)
	for _, list := range lists {
		from := doc
		for from.spec(list) == nil && from.base != nil {
			from = from.base
		}
		items := from.spec(list)
		if items == nil {
			continue
		}
		for i, item := range items.Content {
			doc.put(from, item, schema.Step{Key: "spec"}, schema.Step{Key: list}, schema.Step{Index: i})
		}
	}
	for from := doc; from != nil; from = from.base {
		topology := from.spec("topology")
		if topology == nil {
			continue
		}
		_, pools := schema.Entry(topology, "pools")
		if pools == nil || pools.Kind != schema.MappingNode {
			continue
		}
		for i := 0; i+1 < len(pools.Content); i += 2 {
			doc.put(from, pools.Content[i+1], schema.Step{Key: "spec"}, schema.Step{Key: "topology"}, schema.Step{Key: "pools"}, schema.Step{Key: pools.Content[i].Value})
		}
	}
}

func (doc *document) put(from *document, node *schema.Node, path ...schema.Step) {
	doc.located[Pos{File: from.file.Name(), Line: node.Line, Col: node.Column}] = place{from, node, path}
}

// spec returns what the document says about a field of its spec, or nil.
func (doc *document) spec(key string) *schema.Node {
	_, spec := schema.Entry(doc.root, "spec")
	if spec == nil {
		return nil
	}
	_, value := schema.Entry(spec, key)
	return value
}

// complain reports something about a field below a part of the scenario.
func (s *Scenario) complain(r *schema.Report, severity schema.Severity, at Pos, below, code, format string, args ...any) {
	if s.written == nil {
		r.Add(Diagnostic{Severity: severity, Code: code, Pos: at, Path: below, Message: fmt.Sprintf(format, args...)})
		return
	}
	p, known := s.written.located[at]
	if !known {
		p = place{doc: s.written, node: s.written.root}
	}
	if p.doc != s.written {
		format += " (as scenario %s at %s has it)"
		args = append(args, schema.Quote(s.Name), s.Pos)
	}
	d := p.doc.decoder(r)
	d.Path = p.path
	if severity == schema.SeverityError {
		d.FailAt(p.node, below, code, format, args...)
	} else {
		d.WarnAt(p.node, below, code, format, args...)
	}
}

func (s *Scenario) fail(r *schema.Report, at Pos, below, code, format string, args ...any) {
	s.complain(r, schema.SeverityError, at, below, code, format, args...)
}

func (s *Scenario) warn(r *schema.Report, at Pos, below, code, format string, args ...any) {
	s.complain(r, schema.SeverityWarning, at, below, code, format, args...)
}

// failSet reports something about an assignment of a mutation.
func (s *Scenario) failSet(r *schema.Report, at Pos, a Assignment, format string, args ...any) {
	p, known := place{}, false
	if s.written != nil {
		p, known = s.written.located[at]
	}
	if !known {
		s.fail(r, a.Pos, a.Path, CodeUnknownItem, format, args...)
		return
	}
	path := append(slices.Clone(p.path), schema.Step{Key: "set"}, schema.Step{Key: a.Path})
	r.Add(p.doc.file.Diagnostic(schema.SeverityError, a.Pos, schema.PathString(path), CodeUnknownItem, fmt.Sprintf(format, args...)))
}

// At is an error about a place in one of the files that the scenario was read from.
func (s *Scenario) At(at Pos, code, format string, args ...any) Diagnostic {
	message := fmt.Sprintf(format, args...)
	for doc := s.written; doc != nil; doc = doc.base {
		if doc.file.Name() == at.File {
			return doc.file.Diagnostic(schema.SeverityError, at, "", code, message)
		}
	}
	return Diagnostic{Severity: schema.SeverityError, Code: code, Pos: at, Message: message}
}

// Field is an error about a field of a part of the scenario, by where that begins.
func (s *Scenario) Field(at Pos, below, code, format string, args ...any) Diagnostic {
	r := &schema.Report{Noun: "scenario"}
	s.fail(r, at, below, code, format, args...)
	return r.Diagnostics()[0]
}

// Where returns where a character of an expectation's expression was written, by its
// offset in characters from 0; beyond the end, where the expression ends. It knows
// quotes, escapes and blocks of several lines.
func (s *Scenario) Where(e *Expectation, offset int) Pos {
	file, that := s.expression(e)
	if that == nil {
		return Pos{File: e.ThatPos.File, Line: e.ThatPos.Line, Col: e.ThatPos.Col + max(offset, 0)}
	}
	spread := file.Spread(that)
	return spread[min(max(offset, 0), len(spread)-1)]
}

// Complain is an error about a character of an expectation's expression: see
// [Scenario.Where].
func (s *Scenario) Complain(e *Expectation, offset int, code, format string, args ...any) Diagnostic {
	message := fmt.Sprintf(format, args...)
	at := s.Where(e, offset)
	file, that := s.expression(e)
	if that == nil {
		return Diagnostic{Severity: schema.SeverityError, Code: code, Pos: at, Message: message}
	}
	path := schema.PathString(append(s.written.located[e.Pos].path[:3:3], schema.Step{Key: "that"}))
	return file.Diagnostic(schema.SeverityError, at, path, code, message)
}

// expression returns the expression of an expectation that was read, with its file.
func (s *Scenario) expression(e *Expectation) (*schema.File, *schema.Node) {
	if s.written == nil {
		return nil, nil
	}
	p, known := s.written.located[e.Pos]
	if !known {
		return nil, nil
	}
	_, that := schema.Entry(p.node, "that")
	return p.doc.file, that
}
