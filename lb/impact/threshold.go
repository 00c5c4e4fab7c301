package impact

import (
	"math"
	"time"
)

// meaning is what it means that a number grows.
type meaning struct {
	// growing is Looser or Tighter: which of the two more of it is; "": neither.
	growing Direction
	more    string // what more of it does
	less    string
	zeroIs  zero
}

// Direction is whether a change has the balancer let more through, or less.
type Direction string

// Looser is more load, longer waits, later reactions; Tighter is the other way round.
const (
	Looser  Direction = "looser"
	Tighter Direction = "tighter"
)

// zero is what 0 of a number stands for.
type zero int

const (
	none      zero = iota // 0, as it says
	unbounded             // no bound: more than any other
)

// weighed is what a weight means, of which more may be less.
const weighed = "its share is relative to the other weights: see above"

// meanings has every number and duration of the language, by its field. A test holds it
// against the table.
var meanings = map[string]meaning{
	"spec.accessLog.sample":     {more: "more requests are logged", less: "fewer requests are logged"},
	"spec.accessLog.slowerThan": {more: "fewer requests count as slow", less: "more requests count as slow"},

	"spec.listeners[].timeouts.idle":                {growing: Looser, more: "unused connections of clients stay longer", less: "unused connections of clients end sooner"},
	"spec.listeners[].timeouts.requestHeader":       {growing: Looser, more: "slow heads are waited for longer", less: "slow heads are given up sooner"},
	"spec.listeners[].timeouts.requestBody":         {growing: Looser, more: "silent bodies are waited for longer", less: "silent bodies are given up sooner"},
	"spec.listeners[].timeouts.write":               {growing: Looser, more: "slow readers are waited for longer", less: "slow readers are given up sooner"},
	"spec.listeners[].timeouts.connectionAge":       {growing: Looser, zeroIs: unbounded, more: "connections of clients live longer, and spread later over new replicas", less: "connections of clients live shorter, and spread sooner over new replicas"},
	"spec.listeners[].limits.headerBytes":           {growing: Looser, more: "larger heads are taken", less: "heads that were taken are refused"},
	"spec.listeners[].limits.headerFields":          {growing: Looser, more: "heads of more fields are taken", less: "heads that were taken are refused"},
	"spec.listeners[].limits.connections":           {growing: Looser, more: "more clients at once", less: "fewer clients at once"},
	"spec.listeners[].limits.connectionsPerAddress": {growing: Looser, more: "one address may have more connections", less: "one address may have fewer connections"},
	"spec.listeners[].limits.requestBodyRate":       {growing: Tighter, more: "slower uploads are broken off", less: "slower uploads are waited for"},
	"spec.listeners[].limits.responseRate":          {growing: Tighter, more: "slower downloads are broken off", less: "slower downloads are waited for"},

	"spec.routes[].filters.requestRedirect.port":       {more: "another port", less: "another port"},
	"spec.routes[].filters.requestRedirect.statusCode": {more: "clients may understand it differently: 301 and 308 are kept, 307 and 308 keep the method", less: "clients may understand it differently: 301 and 308 are kept, 307 and 308 keep the method"},
	"spec.routes[].filters.requestMirror.percent":      {growing: Looser, more: "the mirror's pool gets more copies", less: "the mirror's pool gets fewer copies"},
	"spec.routes[].filters.rateLimit.requests":         {growing: Looser, more: "each key may ask more often", less: "each key may ask less often"},
	"spec.routes[].filters.rateLimit.per":              {growing: Tighter, more: "each key may ask less often", less: "each key may ask more often"},
	"spec.routes[].filters.rateLimit.burst":            {growing: Looser, more: "each key may ask more at once", less: "each key may ask less at once"},
	"spec.routes[].backendRefs[].weight":               {more: weighed, less: weighed},
	"spec.routes[].timeouts.request":                   {growing: Looser, zeroIs: unbounded, more: "clients may wait longer", less: "clients get a 504 sooner"},
	"spec.routes[].timeouts.backendRequest":            {growing: Looser, zeroIs: unbounded, more: "a slow endpoint is waited for longer", less: "a slow endpoint is given up sooner"},
	"spec.routes[].timeouts.streamIdle":                {growing: Looser, zeroIs: unbounded, more: "silent bodies and tunnels stay longer", less: "silent bodies and tunnels end sooner"},
	"spec.routes[].retry.attempts":                     {growing: Looser, more: "a failure may cost more tries", less: "a failure may cost fewer tries"},
	"spec.routes[].retry.backoff":                      {growing: Tighter, more: "retries come later", less: "retries come sooner"},

	"spec.pools[].endpoints[].weight":   {more: weighed, less: weighed},
	"spec.pools[].endpoints[].priority": {more: "it is used later, when those before it fail", less: "it is used sooner"},
	"spec.pools[].drainTimeout":         {growing: Looser, more: "endpoints that leave may take longer, and sessions stay longer", less: "endpoints that leave are cut off sooner, and sessions move sooner"},
	"spec.pools[].connectTimeout":       {growing: Looser, more: "an endpoint that does not answer is waited for longer", less: "an endpoint that does not answer is given up sooner"},
	"spec.pools[].idleTimeout":          {more: "unused connections are kept longer", less: "unused connections are kept shorter"},
	"spec.pools[].resolveInterval":      {more: "changes of DNS are seen later", less: "changes of DNS are seen sooner"},

	"spec.pools[].loadBalancer.slowStart.window":  {more: "endpoints that come back get their share more slowly", less: "endpoints that come back get their share sooner"},
	"spec.pools[].loadBalancer.boundedLoadFactor": {growing: Looser, zeroIs: unbounded, more: "a key's endpoint may have more load before the next is used", less: "keys leave their endpoint at less load"},

	"spec.pools[].circuitBreaker.consecutiveFailures": {growing: Looser, zeroIs: unbounded, more: "breakers open after more failures in a row", less: "breakers open after fewer failures in a row"},
	"spec.pools[].circuitBreaker.failurePercent":      {growing: Looser, zeroIs: unbounded, more: "breakers bear more failures", less: "breakers bear fewer failures"},
	"spec.pools[].circuitBreaker.minRequests":         {growing: Looser, more: "breakers judge by more requests, so later", less: "breakers judge by fewer requests, so sooner"},
	"spec.pools[].circuitBreaker.interval":            {more: "breakers look at a longer time", less: "breakers look at a shorter time"},
	"spec.pools[].circuitBreaker.openDuration":        {growing: Tighter, more: "an open breaker is left alone for longer", less: "an open breaker is probed sooner"},
	"spec.pools[].circuitBreaker.maxOpenDuration":     {growing: Tighter, more: "a breaker that opens again and again stays open for longer", less: "a breaker that opens again and again is probed sooner"},
	"spec.pools[].circuitBreaker.halfOpenRequests":    {growing: Tighter, more: "more probes must succeed to close a breaker", less: "fewer probes must succeed to close a breaker"},

	"spec.pools[].healthCheck.panicThreshold":                 {growing: Looser, more: "checks are ignored while more endpoints are healthy", less: "checks are obeyed while fewer endpoints are healthy"},
	"spec.pools[].healthCheck.active.interval":                {growing: Looser, more: "failing endpoints are found later", less: "failing endpoints are found sooner, by more checks"},
	"spec.pools[].healthCheck.active.timeout":                 {growing: Looser, more: "slow checks pass", less: "slow checks fail"},
	"spec.pools[].healthCheck.active.healthyThreshold":        {growing: Tighter, more: "endpoints come back later", less: "endpoints come back sooner"},
	"spec.pools[].healthCheck.active.unhealthyThreshold":      {growing: Looser, more: "failing endpoints are taken out later", less: "failing endpoints are taken out sooner"},
	"spec.pools[].healthCheck.active.flapDamping.holdDown":    {growing: Tighter, more: "endpoints that come and go are held out for longer", less: "endpoints that come and go are held out for shorter"},
	"spec.pools[].healthCheck.active.flapDamping.maxHoldDown": {growing: Tighter, more: "endpoints that come and go are held out for longer in the end", less: "endpoints that come and go are held out for shorter in the end"},

	"spec.pools[].sessionPersistence.absoluteTimeout": {growing: Looser, more: "sessions may last longer", less: "sessions end sooner: those that are older begin anew"},
	"spec.pools[].sessionPersistence.idleTimeout":     {growing: Looser, more: "sessions may be silent for longer", less: "silent sessions end sooner"},
	"spec.pools[].sessionPersistence.storeTimeout":    {growing: Looser, more: "requests may wait longer for the store", less: "requests wait shorter for the store"},

	"spec.pools[].retryBudget.percent":             {growing: Looser, more: "more retries", less: "fewer retries"},
	"spec.pools[].retryBudget.minRetriesPerSecond": {growing: Looser, more: "more retries with little traffic", less: "fewer retries with little traffic"},

	"spec.pools[].limits.maxParallelRequests":             {growing: Looser, more: "the pool takes on more at once", less: "the pool takes on less at once"},
	"spec.pools[].limits.maxPendingRequests":              {growing: Looser, more: "more requests may wait", less: "fewer requests may wait: more are shed at once"},
	"spec.pools[].limits.pendingTimeout":                  {growing: Looser, more: "requests may wait longer for their turn", less: "requests are shed sooner"},
	"spec.pools[].limits.maxConnections":                  {growing: Looser, more: "more connections to the endpoints", less: "fewer connections to the endpoints"},
	"spec.pools[].limits.perEndpoint.maxParallelRequests": {growing: Looser, zeroIs: unbounded, more: "each endpoint takes on more at once", less: "each endpoint takes on less at once"},
}

// judge says which way a field's number went, and what that means; "" of what has no
// such meaning.
func judge(field string, old, new any) (Direction, string) {
	m, known := meanings[field]
	a, isNumber := m.size(old)
	b, still := m.size(new)
	if !known || !isNumber || !still || a == b {
		return "", ""
	}
	switch {
	case math.IsInf(b, 1):
		return m.growing, "0 is no bound: " + m.more
	case b > a:
		return m.growing, m.more
	}
	return map[Direction]Direction{Looser: Tighter, Tighter: Looser}[m.growing], m.less
}

// size is a plain value as a number.
func (m *meaning) size(v any) (float64, bool) {
	var size float64
	switch v := v.(type) {
	case int:
		size = float64(v)
	case float64:
		size = v
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			return 0, false
		}
		size = d.Seconds()
	default:
		return 0, false
	}
	if size == 0 && m.zeroIs == unbounded {
		return math.Inf(1), true
	}
	return size, true
}
