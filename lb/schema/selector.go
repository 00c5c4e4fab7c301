package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path leads from the root of documents to a field, or to an item of a list. It is
// written like spec.pools[cart].circuitBreaker.failurePercent.
type Path []Selector

// Selector is one step of a [Path]: a field, or an item of a list by what it is called
// or by its place.
type Selector struct {
	Key   string // the field; or what the item is called, if Item
	Item  bool
	Index int // of an item, from 0; -1: it is called Key
}

func (s Selector) String() string {
	switch {
	case !s.Item:
		return s.Key
	case s.Index >= 0:
		return "[" + strconv.Itoa(s.Index) + "]"
	}
	return "[" + s.Key + "]"
}

func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 && !s.Item {
			b.WriteByte('.')
		}
		b.WriteString(s.String())
	}
	return b.String()
}

// maxSteps is how long a path may be: as deep as documents may nest.
const maxSteps = maxDepth

// ParsePath reads a path. It fails if it is not written like one.
func ParsePath(text string) (Path, error) {
	var path Path
	for rest := text; rest != ""; {
		if len(path) == maxSteps {
			return nil, fmt.Errorf("%s has more than %d steps", Quote(text), maxSteps)
		}
		if inner, opened := strings.CutPrefix(rest, "["); opened {
			name, behind, closed := strings.Cut(inner, "]")
			if !closed || name == "" || len(path) == 0 {
				return nil, notAPath(text)
			}
			step := Selector{Key: name, Item: true, Index: -1}
			if isDigits(name) {
				at, err := strconv.Atoi(name)
				if err != nil {
					return nil, notAPath(text)
				}
				step = Selector{Item: true, Index: at}
			}
			path, rest = append(path, step), behind
			continue
		}
		if len(path) > 0 {
			behind, dotted := strings.CutPrefix(rest, ".")
			if !dotted {
				return nil, notAPath(text)
			}
			rest = behind
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, notAPath(text)
		}
		path, rest = append(path, Selector{Key: rest[:end]}), rest[end:]
	}
	if len(path) == 0 {
		return nil, notAPath(text)
	}
	return path, nil
}

func notAPath(text string) error {
	return fmt.Errorf("%s is not the path of a field: write it like spec.pools[cart].circuitBreaker.failurePercent", Quote(text))
}

// In says why the path names no field of a language, or "".
func (p Path) In(document *Shape) string {
	s := document
	for i, step := range p {
		before := p[:i].String()
		if before == "" {
			before = "the document"
		}
		switch {
		case step.Item && s.Item == nil:
			return before + " is not a list"
		case step.Item:
			s = s.Item
			continue
		}
		if s.Values != nil {
			s = s.Values
			continue
		}
		rows := s.Rows
		if s.Item != nil { // the item that has the field: that is how filters are written
			rows = s.Item.Rows
		}
		at := slices.IndexFunc(rows, func(r Row) bool { return r.Name == step.Key })
		switch {
		case at >= 0:
			s = rows[at].Shape
		case len(rows) == 0 && s.Schema.Additional != nil: // a mapping whose keys are free
			s = &Shape{}
		case len(rows) == 0:
			return before + " has no fields"
		default:
			names := make([]string, len(rows))
			for j, r := range rows {
				names[j] = r.Name
			}
			return Quote(step.Key) + " is not a field of " + before + DidYouMean(Nearest(step.Key, names), names)
		}
	}
	return ""
}
