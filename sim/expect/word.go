package expect

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
)

// fewest is how many events a window must have for a ratio or a quantile of it.
const fewest = 20

// subject is what the name in a word's arguments stands for.
type subject int

const (
	ofNothing subject = iota
	ofRoute
	ofPool
	ofPoolOrEndpoint
	ofEndpoint // it must be there
)

// word is what an expression may say of a run.
type word struct {
	name     string
	gives    *cel.Type
	quantile bool // its first argument is one
	of       subject
	state    bool   // it is of an instant: no window, but maybe a replica
	ratio    bool   // it is worth nothing for few events
	rare     bool   // its events are some that need not come
	unit     string // of its events, where people want to know how many there were
	usage    string
}

// words is the vocabulary.
var words = []*word{
	{name: "success", gives: cel.DoubleType, of: ofRoute, ratio: true, unit: "request", usage: `success([route,] [window])`},
	{name: "errors", gives: cel.DoubleType, of: ofRoute, ratio: true, unit: "request", usage: `errors([route,] [window])`},
	{name: "goodput", gives: cel.DoubleType, of: ofRoute, usage: `goodput([route,] [window])`},
	{name: "latency", gives: cel.DurationType, quantile: true, of: ofRoute, ratio: true, unit: "request", usage: `latency(q, [route,] [window]), such as latency(0.99, "5s") <= duration("80ms")`},
	{name: "lost", gives: cel.IntType, of: ofRoute, usage: `lost([route,] [window])`},
	{name: "shed", gives: cel.IntType, of: ofRoute, usage: `shed([route,] [window])`},
	{name: "shed_latency", gives: cel.DurationType, quantile: true, of: ofRoute, ratio: true, rare: true, unit: "request", usage: `shed_latency(q, [route,] [window])`},
	{name: "rate", gives: cel.DoubleType, of: ofPoolOrEndpoint, usage: `rate([pool or endpoint,] [window])`},
	{name: "share", gives: cel.DoubleType, of: ofEndpoint, ratio: true, unit: "attempt", usage: `share(endpoint, [window])`},
	{name: "amplification", gives: cel.DoubleType, of: ofPool, ratio: true, unit: "request", usage: `amplification([pool,] [window])`},
	{name: "moved_sessions", gives: cel.IntType, of: ofPool, usage: `moved_sessions([pool,] [window])`},
	{name: "most_moves", gives: cel.IntType, of: ofPool, usage: `most_moves([pool,] [window])`},
	{name: "lost_sessions", gives: cel.IntType, of: ofPool, usage: `lost_sessions([pool,] [window])`},
	{name: "load", gives: cel.DoubleType, of: ofEndpoint, usage: `load(endpoint, [window])`},
	{name: "held", gives: cel.IntType, of: ofRoute, usage: `held([route,] [window])`},
	{name: "in_flight", gives: cel.IntType, of: ofPoolOrEndpoint, state: true, usage: `in_flight([pool or endpoint,] [replica])`},
	{name: "breaker", gives: cel.StringType, of: ofEndpoint, state: true, usage: `breaker(endpoint, [replica])`},
	{name: "probes", gives: cel.IntType, of: ofEndpoint, state: true, usage: `probes(endpoint, [replica])`},
	{name: "healthy", gives: cel.BoolType, of: ofEndpoint, state: true, usage: `healthy(endpoint, [replica])`},
	{name: "health_changes", gives: cel.IntType, of: ofEndpoint, usage: `health_changes(endpoint, [window])`},
	{name: "policy", gives: cel.StringType, state: true, usage: `policy([replica])`},
}

func wordOf(name string) *word {
	if i := slices.IndexFunc(words, func(w *word) bool { return w.name == name }); i >= 0 {
		return words[i]
	}
	return nil
}

// bound stands in for what a word does: a [reader] takes its place in every program.
var bound = cel.FunctionBinding(func(...ref.Val) ref.Val { return fewVal })

// environment knows the words by their types. Which text is a name and which a window
// CEL cannot know: that is looked at afterwards. There are no macros: what a word is of
// must be known before the run.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(), cel.ClearMacros(), cel.CrossTypeNumericComparisons(true), cel.ParserExpressionSizeLimit(4096),
	}
	for _, w := range words {
		least, most := 0, 1 // texts: a window or a replica
		if w.of != ofNothing {
			most++
		}
		if w.of == ofEndpoint {
			least++
		}
		var overloads []cel.FunctionOpt
		for n := least; n <= most; n++ {
			args := slices.Repeat([]*cel.Type{cel.StringType}, n)
			if w.quantile {
				args = append([]*cel.Type{cel.DoubleType}, args...)
			}
			overloads = append(overloads, cel.Overload(fmt.Sprintf("%s_%d", w.name, n), args, w.gives, bound))
		}
		options = append(options, cel.Function(w.name, overloads...))
	}
	return cel.NewCustomEnv(options...)
})

// wordNames lists the words, for those who misspell one.
func wordNames() (names []string) {
	for _, w := range words {
		names = append(names, w.name)
	}
	return append(names, "duration")
}

// countingWords lists those that are worth a whole number.
func countingWords() (names []string) {
	for _, w := range words {
		if w.gives == cel.IntType {
			names = append(names, w.name)
		}
	}
	return names
}

// looksLikeWindow tells a window from a name: it begins like a number.
func looksLikeWindow(s string) bool {
	return s != "" && strings.ContainsRune("0123456789.+-", rune(s[0]))
}
