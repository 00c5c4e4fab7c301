package scenario

import (
	"fmt"
	"time"
	"unicode/utf8"

	"go-loadbalancer/lb/schema"
)

// breakerStates are the states of a breaker.
var breakerStates = []string{"closed", "open", "half-open"}

// expected is an expectation as it is written.
type expected struct {
	Expectation
	sometimes bool
}

// expectationKind reads an expectation. Which operator it has follows from what is
// written.
func expectationKind() schema.Kind[Expectation] { return expectation{} }

type expectation struct{}

func (expectation) Fill(*Expectation)               {}
func (expectation) Clone(e Expectation) Expectation { return e }
func (expectation) Plain(Expectation) any           { return nil }
func (expectation) Shape() *schema.Shape            { return expectedKind().Shape() }
func (expectation) Read(d *schema.Decoder, n *schema.Node, e *Expectation) {
	var x expected
	expectedKind().Read(d, n, &x)
	*e = x.Expectation
}

func expectedKind() *schema.Object[expected] {
	span := schema.Duration(0, maxDuration)
	return &schema.Object[expected]{Pos: func(e *expected) *Pos { return &e.Pos }, Check: checkExpectation, Fields: []schema.Field[expected]{
		schema.Section("that", acts, expression{}, schema.Same[expected],
			"What must be true: an expression in CEL. Required, except with breaker.").DefaultsTo(nil),
		schema.Optional("within", acts, schema.Duration(time.Millisecond, maxDuration), 0, func(e *expected) *time.Duration { return &e.Within },
			"It is true at some instant before so much time has gone by since the time in after.").DefaultsTo(nil),
		schema.Optional("after", acts, instant(), Instant{}, func(e *expected) *Instant { return &e.After },
			"What within counts from. None: the beginning of the run."),
		schema.Optional("hold", acts, span, 0, func(e *expected) *time.Duration { return &e.Hold },
			"How long it stays true once it is, with within."),
		schema.Optional("during", acts, duringKind(), Instant{}, func(e *expected) *Instant { return &e.During },
			"It is true as long as this fault lasts, at every instant or over every window."),
		schema.Optional("grace", acts, span, 0, func(e *expected) *time.Duration { return &e.Grace },
			"For how long it need not be true yet, with during."),
		schema.Optional("at", acts, instant(), Instant{}, func(e *expected) *Instant { return &e.At },
			"It is true at this instant."),
		schema.Optional("sometimes", acts, onlyTrue(), false, func(e *expected) *bool { return &e.sometimes },
			"It is true at some instant of the run.").DefaultsTo(nil),
		schema.Optional("breaker", acts, oneEndpoint(), Target{}, func(e *expected) *Target { return &e.Breaker },
			"The endpoint whose breaker path, max and longest are about.").DefaultsTo(nil),
		schema.Optional("path", acts, schema.SomeOf(schema.OneOf(breakerStates...)), nil, func(e *expected) *[]string { return &e.Path },
			"States that the breaker goes through in this order, perhaps with others between them."),
		schema.Section("max", acts, ofStates[int]{schema.Integer(0, 1_000_000), "numbers", "{open: 2}"}, func(e *expected) *map[string]int { return &e.Max },
			"How often the breaker changes at most, by the state that it changes to.").DefaultsTo(nil),
		schema.Section("longest", acts, ofStates[time.Duration]{schema.Duration(time.Millisecond, maxDuration), "durations", "{half-open: 2s}"}, func(e *expected) *map[string]time.Duration { return &e.Longest },
			"How long the breaker stays in a state at a time at most, by the state.").DefaultsTo(nil),
	}}
}

// expression is the text of an expression, with where it begins.
type expression struct{}

// maxExpression is how long an expression may be, in characters.
const maxExpression = 4096

func (expression) text() *schema.Scalar[string] {
	return schema.Checked("expression", "", func(s string) string {
		switch {
		case s == "":
			return "must not be empty"
		case utf8.RuneCountInString(s) > maxExpression:
			return fmt.Sprintf("is longer than %d characters", maxExpression)
		}
		return ""
	})
}

func (expression) Fill(*expected)            {}
func (expression) Clone(e expected) expected { return e }
func (expression) Plain(expected) any        { return nil }
func (k expression) Shape() *schema.Shape    { return k.text().Shape() }
func (k expression) Read(d *schema.Decoder, n *schema.Node, e *expected) {
	k.text().Read(d, n, &e.That)
	if e.That != "" {
		e.ThatPos = d.File.Spread(n)[0]
	}
}

// ofStates is a mapping of a breaker's states to values of one kind.
type ofStates[T any] struct {
	value   *schema.Scalar[T]
	what    string // the values are, in the plural
	example string
}

func (ofStates[T]) Fill(*map[string]T)                {}
func (ofStates[T]) Clone(v map[string]T) map[string]T { return v }
func (ofStates[T]) Plain(map[string]T) any            { return nil }

func (k ofStates[T]) Shape() *schema.Shape {
	s := schema.Schema{Type: "object", Additional: false, MinProperties: 1}
	for _, state := range breakerStates {
		s.Properties = append(s.Properties, schema.Property{Name: state, Schema: k.value.Shape().Schema})
	}
	return &schema.Shape{Text: "mapping of states to " + k.what, Schema: s}
}

func (k ofStates[T]) Read(d *schema.Decoder, n *schema.Node, into *map[string]T) {
	*into = make(map[string]T)
	state := schema.OneOf(breakerStates...)
	schema.EachEntry(d, n, "mapping of states to "+k.what+": write "+k.example, func(key, value *schema.Node) {
		var name string
		var v T
		state.Read(d, key, &name)
		k.value.Read(d, value, &v)
		(*into)[name] = v
	})
	if n.Kind == schema.MappingNode && len(n.Content) == 0 {
		d.Fail(n, schema.CodeBadValue, "must not be empty")
	}
}

func checkExpectation(d *schema.Decoder, n *schema.Node, e *expected) {
	has := func(key string) bool { return schema.Written(n, key) }
	if has("breaker") {
		for _, key := range []string{"that", "within", "after", "hold", "during", "grace", "at", "sometimes"} {
			if has(key) {
				d.FailAt(n, key, schema.CodeConflict, "does not go with breaker, whose path, max and longest are about the whole run")
			}
		}
		if !has("path") && !has("max") && !has("longest") {
			d.Fail(n, schema.CodeMissing, "needs path, max or longest: what the breaker does")
		}
		e.Operator = Once
		return
	}
	for _, key := range []string{"path", "max", "longest"} {
		if has(key) {
			d.FailAt(n, key, schema.CodeConflict, "is about a breaker: name its endpoint, as in breaker: cart/1")
		}
	}
	if !has("that") {
		d.Fail(n, schema.CodeMissing, "needs that, an expression, or breaker with path, max or longest")
	}
	first := ""
	for _, key := range []string{"within", "during", "at", "sometimes"} {
		switch {
		case !has(key):
		case first != "":
			d.FailAt(n, key, schema.CodeConflict, "does not go with %s: write an expectation for each", first)
		default:
			first = key
		}
	}
	for _, pair := range [][2]string{{"after", "within"}, {"hold", "within"}, {"grace", "during"}} {
		if has(pair[0]) && !has(pair[1]) {
			d.FailAt(n, pair[0], schema.CodeConflict, "has no effect without %s", pair[1])
		}
	}
	switch first {
	case "":
		e.Operator = Once
	default:
		e.Operator = Operator(first)
	}
}
