package expect

import (
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// direction is where a word's worth must not go.
type direction int8

const (
	neither direction = iota // it must be something, or the expression says both
	below
	above
)

// directions finds out for each call, by its place in ids, whether it must not be too
// low or too high: in a < b, a must not be high and b not low.
func directions(root ast.Expr, ids map[int64]int, calls int) []direction {
	out, known := make([]direction, calls), make([]bool, calls)
	flip := func(d direction) direction {
		switch d {
		case below:
			return above
		case above:
			return below
		}
		return neither
	}
	var visit func(e ast.Expr, not bool)
	var term func(e ast.Expr, d direction)
	term = func(e ast.Expr, d direction) {
		if e.Kind() != ast.CallKind {
			return
		}
		if i, ok := ids[e.ID()]; ok {
			if known[i] && out[i] != d {
				d = neither
			}
			out[i], known[i] = d, true
			return
		}
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Add:
			term(args[0], d)
			term(args[1], d)
		case operators.Subtract, operators.Divide: // what is divided by is mostly above 0
			term(args[0], d)
			term(args[1], flip(d))
		case operators.Multiply:
			term(args[0], d)
			term(args[1], d)
		default:
			for _, a := range args {
				visit(a, false)
			}
		}
	}
	visit = func(e ast.Expr, not bool) {
		if e.Kind() != ast.CallKind {
			return
		}
		args, d := e.AsCall().Args(), neither
		switch e.AsCall().FunctionName() {
		case operators.LogicalNot:
			visit(args[0], !not)
			return
		case operators.LogicalAnd, operators.LogicalOr:
			visit(args[0], not)
			visit(args[1], not)
			return
		case operators.Less, operators.LessEquals:
			d = above
		case operators.Greater, operators.GreaterEquals:
			d = below
		}
		if not {
			d = flip(d)
		}
		for i, a := range args {
			if i == 1 {
				d = flip(d)
			}
			term(a, d)
		}
	}
	visit(root, false)
	return out
}

// extremes are the farthest that each word of an expression went in a direction.
type extremes struct {
	seen []extreme
	best bool // away from the wrong direction
}

type extreme struct {
	any     bool
	value   float64
	x       time.Duration
	replica int
	reading
}

// see looks at what the words are worth where an evaluation stands.
func (w *extremes) see(e *evaluation, c *check) {
	if w.seen == nil {
		w.seen = make([]extreme, len(c.calls))
	}
	for i, s := range e.slots {
		if c.toward[i] == neither {
			continue
		}
		for r := range e.replicas {
			if r > 0 && !c.calls[i].each() {
				break
			}
			got := s.read(r)
			if got.few {
				continue
			}
			value, ok := number(s.show(got.bits))
			was := &w.seen[i]
			if ok && (!was.any || (value < was.value) == ((c.toward[i] == below) != w.best) && value != was.value) {
				*was = extreme{true, value, e.now, r, got}
			}
		}
	}
}

// observed is what was seen. how says of what kind it is.
func (w *extremes) observed(e *evaluation, c *check, replicas []string, how string) (out []Observed, at []Span) {
	for i, s := range w.seen {
		if s.any {
			o := c.calls[i].observe(e.slots[i], s.reading)
			if o.How = how; c.calls[i].each() {
				o.Replica = replicas[s.replica]
			}
			out, at = append(out, o), append(at, spanOf(s.x, c.calls[i].window))
		}
	}
	return out, at
}

// spanOf is the window that ends at an instant, or the instant.
func spanOf(x, window time.Duration) Span {
	if window == 0 {
		return Span{x, x}
	}
	return Span{x - window + 1, x + 1}
}

func number(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Double:
		return float64(v), true
	case types.Int:
		return float64(v), true
	case types.Duration:
		return float64(v.Duration), true
	}
	return 0, false
}
