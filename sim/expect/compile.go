package expect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

// Program is what is expected in a scenario, ready to judge any number of runs, also
// at the same time.
type Program struct {
	scenario *scenario.Scenario
	cast     *cast
	checks   []check
}

// check is one expectation.
type check struct {
	of      *scenario.Expectation
	program cel.Program // nil: of, which is of a breaker's path
	calls   []call
	toward  []direction   // where each call must not go
	window  time.Duration // the longest; 0: there is none
	whole   bool          // evaluated once, of the whole run
}

// call is a word with its arguments, once however often it stands in an expression.
type call struct {
	word    *word
	q       float64
	name    string        // of its subject; empty: of all
	window  time.Duration // 0: the whole run
	replica string        // empty: of each
}

// each says whether it is worth something at each replica by itself.
func (c *call) each() bool { return c.word.state && c.replica == "" }

// observe is what the call is worth.
func (c *call) observe(s slot, got reading) Observed {
	o := Observed{Of: c.String(), Value: "unknown"}
	if !got.few {
		o.Value = format(s.show(got.bits))
	}
	if c.word.unit != "" {
		o.Events, o.Unit = got.events, c.word.unit
	}
	return o
}

// String is the call as it might have been written.
func (c *call) String() string {
	var args []string
	if c.word.quantile {
		args = append(args, fmt.Sprint(c.q))
	}
	for _, text := range []string{c.name, c.replica} {
		if text != "" {
			args = append(args, quote(text))
		}
	}
	if c.window > 0 {
		args = append(args, quote(shortly(c.window)))
	}
	return c.word.name + "(" + strings.Join(args, ", ") + ")"
}

// Compile makes what a scenario expects ready, and says everything that is wrong with
// it: unknown words and names, wrong types, windows that do not fit. p is the policy
// that the scenario begins with, and applied those it goes on to, in their order,
// whose endpoints are numbered after those that were there already. The program is nil
// if there are errors.
func Compile(s *scenario.Scenario, p *policy.Policy, applied ...*policy.Policy) (*Program, policy.Diagnostics) {
	out := &Program{scenario: s, cast: castOf(s, append([]*policy.Policy{p}, applied...))}
	var found policy.Diagnostics
	for i := range s.Expect {
		e := &s.Expect[i]
		f := &finder{scenario: s, of: e, path: fmt.Sprintf("spec.expect[%d]", i)}
		c := check{of: e}
		if e.That != "" {
			f.path, f.text = f.path+".that", e.That
			out.compile(&c, f)
		} else {
			out.checkPath(e, f)
		}
		found = append(found, f.found...)
		out.checks = append(out.checks, c)
	}
	if found.HasErrors() {
		return nil, found
	}
	return out, found
}

func (p *Program) compile(c *check, f *finder) {
	env, err := environment()
	if err != nil {
		f.at(nil, codeExpression, "%v", err)
		return
	}
	tree, issues := env.Compile(c.of.That)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			f.cel(e)
		}
		return
	}
	native := tree.NativeRep()
	where := func(e ast.Expr) common.Location { return native.SourceInfo().GetStartLocation(e.ID()) }
	if t := tree.OutputType(); !t.IsExactType(cel.BoolType) {
		f.at(common.NewLocation(1, 0), codeExpression, "this is a %s, neither true nor false: compare it with something", t)
	}
	ids := map[int64]int{} // of calls in the tree
	places := []common.Location{}
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		p.checkState(e, f, where)
		w := wordOf(e.AsCall().FunctionName())
		if w == nil {
			return
		}
		one, ok := p.call(w, e.AsCall().Args(), f, where)
		if !ok {
			return
		}
		i := slices.Index(c.calls, one)
		if i < 0 {
			i = len(c.calls)
			c.calls, places = append(c.calls, one), append(places, atName(where(e), w.name, f.text))
		}
		ids[e.ID()] = i
	}))
	if f.found.HasErrors() {
		return
	}
	if len(c.calls) == 0 {
		f.at(common.NewLocation(1, 0), codeExpression, "this says nothing of the run: use one of %s", strings.Join(wordNames(), ", "))
		return
	}
	c.toward = directions(native.Expr(), ids, len(c.calls))
	p.checkWindows(c, places, f)
	if f.found.HasErrors() {
		return
	}
	c.program, err = env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CustomDecorator(func(i interpreter.Interpretable) (interpreter.Interpretable, error) {
		if slot, ok := ids[i.ID()]; ok {
			return &reader{i.ID(), slot}, nil
		}
		return i, nil
	}))
	if err != nil {
		f.at(common.NewLocation(1, 0), codeExpression, "%v", err)
	}
}

// call reads a word's arguments, which must be literals: what the run is asked for is
// known before it.
func (p *Program) call(w *word, args []ast.Expr, f *finder, where func(ast.Expr) common.Location) (call, bool) {
	c := call{word: w}
	wrong := func(e ast.Expr, code, format string, args ...any) (call, bool) {
		f.at(where(e), code, format, args...)
		return c, false
	}
	for i, arg := range args {
		if arg.Kind() != ast.LiteralKind {
			return wrong(arg, codeExpression, "%s needs it written out here, not computed: %s", w.name, w.use())
		}
		if w.quantile && i == 0 {
			c.q = float64(arg.AsLiteral().(types.Double))
			if !(c.q > 0 && c.q <= 1) {
				return wrong(arg, codeExpression, "a quantile is above 0 and at most 1.0")
			}
			continue
		}
		text := string(arg.AsLiteral().(types.String))
		switch {
		case w.state && (w.of == ofNothing || c.name != "" || w.of != ofEndpoint && slices.Contains(p.cast.replicas, text)):
			if message := unknown("replica", text, p.cast.replicas); message != "" {
				if looksLikeWindow(text) {
					return wrong(arg, codeWindow, "%s is of an instant, and has no window: %s", w.name, w.usage)
				}
				return wrong(arg, codeUnknownName, "%s: %s", message, w.usage)
			}
			c.replica = text
		case !w.state && looksLikeWindow(text):
			d, err := time.ParseDuration(text)
			switch {
			case err != nil:
				return wrong(arg, codeWindow, "%s is no duration: write one such as \"10s\"", quote(text))
			case d <= 0:
				return wrong(arg, codeWindow, "a window is longer than 0")
			case d > p.scenario.Duration:
				return wrong(arg, codeWindow, "the window is longer than the run, which lasts %s", shortly(p.scenario.Duration))
			case c.window > 0:
				return wrong(arg, codeWindow, "this is a second window: %s", w.use())
			}
			c.window = d
		case c.name != "" || c.window > 0:
			return wrong(arg, codeExpression, "this should be a window, such as \"10s\": %s", w.use())
		default:
			if message := p.cast.complain(text, w.of); message != "" {
				return wrong(arg, codeUnknownName, "%s", message)
			}
			c.name = text
		}
	}
	if w.of == ofEndpoint && c.name == "" {
		return wrong(args[0], codeExpression, "of which endpoint? %s", w.use())
	}
	return c, true
}

// checkState complains of a breaker compared with what is no state.
func (p *Program) checkState(e ast.Expr, f *finder, where func(ast.Expr) common.Location) {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	if len(args) != 2 || name != operators.Equals && name != operators.NotEquals && name != operators.In {
		return
	}
	isBreaker := func(e ast.Expr) bool { return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "breaker" }
	var states []string
	for _, s := range event.BreakerStates {
		states = append(states, string(s))
	}
	complain := func(e ast.Expr) {
		if e.Kind() != ast.LiteralKind {
			return
		}
		if s, ok := e.AsLiteral().(types.String); ok {
			if message := unknown("state", string(s), states); message != "" {
				f.at(where(e), codeUnknownName, "%s", message)
			}
		}
	}
	switch {
	case isBreaker(args[0]) && args[1].Kind() == ast.ListKind:
		for _, e := range args[1].AsList().Elements() {
			complain(e)
		}
	case isBreaker(args[0]):
		complain(args[1])
	case isBreaker(args[1]):
		complain(args[0])
	}
}

// checkWindows sees that the operator and the windows go together.
func (p *Program) checkWindows(c *check, places []common.Location, f *finder) {
	e := c.of
	windows, counted, states := 0, 0, 0
	for i := range c.calls {
		switch one := &c.calls[i]; {
		case one.word.state:
			states++
		case one.window > 0:
			windows++
			counted++
			c.window = max(c.window, one.window)
		default:
			counted++
		}
	}
	plain := e.Operator == scenario.Once || e.Operator == scenario.Always || e.Operator == ""
	c.whole = plain && windows == 0
	for i := range c.calls {
		one := &c.calls[i]
		switch {
		case one.word.state && c.whole:
			f.at(places[i], codeOperator, "%s is of an instant, not of the whole run: say which by at, during, within or sometimes", one.word.name)
		case !one.word.state && one.window == 0 && windows > 0:
			f.at(places[i], codeWindow, "%s needs a window here, since others in this expression have one: %s", one.word.name, one.word.use())
		case !one.word.state && one.window == 0 && !c.whole:
			f.at(places[i], codeWindow, "%s needs a window, to be judged with %s: %s", one.word.name, e.Operator, one.word.use())
		}
	}
	from, to, ok := p.planned(e, f)
	if !ok {
		return
	}
	room := to - from
	switch {
	case e.Operator == scenario.During && room < max(c.window, 1):
		f.at(nil, codeWindow, "no window of %s fits into %s, from %s to %s", shortly(c.window), e.During.Fault, shortly(from), shortly(to))
	case e.Operator == scenario.Within && e.Within < c.window:
		f.at(nil, codeWindow, "no window of %s that begins at %s or later ends within %s", shortly(c.window), instantName(e.After), shortly(e.Within))
	case e.Operator == scenario.Within && max(c.window, 1)+e.Hold > room:
		f.at(nil, codeWindow, "the run ends before it can have held for %s", shortly(e.Hold))
	case e.Operator == scenario.At && from < c.window-1:
		f.at(nil, codeWindow, "there is no window of %s before %s", shortly(c.window), instantName(e.At))
	}
}

// checkPath sees that a breaker's path names what there is.
func (p *Program) checkPath(e *scenario.Expectation, f *finder) {
	target := e.Breaker
	if message := unknown("pool", target.Pool, p.cast.pools); message != "" {
		f.at(nil, codeUnknownName, "%s", message)
	} else if name := fmt.Sprintf("%s/%d", target.Pool, target.Index); target.Index > 0 && !slices.Contains(p.cast.endpoints, name) {
		f.at(nil, codeUnknownName, "%s", p.cast.complainEndpoint(name))
	}
	if e.Operator != scenario.Once && e.Operator != scenario.Always && e.Operator != "" && e.Operator != scenario.During {
		f.at(nil, codeOperator, "a breaker's path is judged over the whole run or during a fault, not with %s", e.Operator)
	}
	p.planned(e, f)
}
