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
	usage    string // its arguments; those in brackets may be left out
	example  string // for whoever misuses it
	means    string
}

// words is the vocabulary.
var words = []*word{
	{name: "success", gives: cel.DoubleType, of: ofRoute, ratio: true, unit: "request", usage: `success([route,] [window])`,
		means: `The share of requests that ended well: whole, and with a status below 500; 0 to 1.`},
	{name: "errors", gives: cel.DoubleType, of: ofRoute, ratio: true, unit: "request", usage: `errors([route,] [window])`,
		means: `1 - success.`},
	{name: "goodput", gives: cel.DoubleType, of: ofRoute, usage: `goodput([route,] [window])`,
		means: `Requests a second that ended well, by when they ended.`},
	{name: "latency", gives: cel.DurationType, quantile: true, of: ofRoute, ratio: true, unit: "request", usage: `latency(q, [route,] [window])`, example: `, such as latency(0.99, "5s") <= duration("80ms")`,
		means: `The q-quantile of how long requests took from when they were to begin, by nearest rank; 0 < q <= 1.`},
	{name: "lost", gives: cel.IntType, of: ofRoute, usage: `lost([route,] [window])`,
		means: `How many requests got no answer that came to its end, those left out whose endpoint broke off what it had begun.`},
	{name: "shed", gives: cel.IntType, of: ofRoute, usage: `shed([route,] [window])`,
		means: `How many requests got a 503 of the balancer's own.`},
	{name: "shed_latency", gives: cel.DurationType, quantile: true, of: ofRoute, ratio: true, rare: true, unit: "request", usage: `shed_latency(q, [route,] [window])`,
		means: `The q-quantile of how long those took.`},
	{name: "rate", gives: cel.DoubleType, of: ofPoolOrEndpoint, usage: `rate([pool or endpoint,] [window])`,
		means: `Attempts a second at a pool or an endpoint, probes left out; without a name, requests a second.`},
	{name: "share", gives: cel.DoubleType, of: ofEndpoint, ratio: true, unit: "attempt", usage: `share(endpoint, [window])`,
		means: `Attempts at an endpoint as a part of its pool's, probes left out; 0 to 1.`},
	{name: "amplification", gives: cel.DoubleType, of: ofPool, ratio: true, unit: "request", usage: `amplification([pool,] [window])`,
		means: `Attempts to requests that were tried.`},
	{name: "moved_sessions", gives: cel.IntType, of: ofPool, usage: `moved_sessions([pool,] [window])`,
		means: `How many sessions got another home.`},
	{name: "most_moves", gives: cel.IntType, of: ofPool, usage: `most_moves([pool,] [window])`,
		means: `How often that session got another home which did so most often, as its client saw it.`},
	{name: "lost_sessions", gives: cel.IntType, of: ofPool, usage: `lost_sessions([pool,] [window])`,
		means: `How many clients that had a session were given another.`},
	{name: "load", gives: cel.DoubleType, of: ofEndpoint, rare: true, usage: `load(endpoint, [window])`,
		means: `The most requests that an endpoint had in flight as one more came, in parts of its fair share: what its weight gives it of all in flight in the pool with that one.`},
	{name: "held", gives: cel.IntType, of: ofRoute, rare: true, usage: `held([route,] [window])`,
		means: `The most bytes of an answer that its endpoint had sent and its client had not read when the request ended.`},
	{name: "in_flight", gives: cel.IntType, of: ofPoolOrEndpoint, state: true, usage: `in_flight([pool or endpoint,] [replica])`,
		means: `Attempts under way at a pool or an endpoint; without a name, requests, as their clients see it.`},
	{name: "breaker", gives: cel.StringType, of: ofEndpoint, state: true, usage: `breaker(endpoint, [replica])`,
		means: `The state of its breaker: "closed", "open" or "half-open".`},
	{name: "probes", gives: cel.IntType, of: ofEndpoint, state: true, usage: `probes(endpoint, [replica])`,
		means: `Attempts under way that a half-open breaker let through and has not judged yet.`},
	{name: "healthy", gives: cel.BoolType, of: ofEndpoint, state: true, usage: `healthy(endpoint, [replica])`,
		means: `Whether its active check says so.`},
	{name: "health_changes", gives: cel.IntType, of: ofEndpoint, usage: `health_changes(endpoint, [window])`,
		means: `How often its health turned, at all replicas together.`},
	{name: "policy", gives: cel.StringType, state: true, usage: `policy([replica])`,
		means: `The version of the policy that serves.`},
}

// use is how it is used, for whoever did otherwise.
func (w *word) use() string { return w.usage + w.example }

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
