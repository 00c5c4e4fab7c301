// Package scenario is the language of scenarios: what is simulated, what goes wrong
// meanwhile, and what is expected of the balancer.
//
//	scenarios, found := scenario.Read(os.DirFS("."), "scenarios")
//	for _, d := range found {
//		fmt.Println(d) // file:line:col: path: message, the source line, a caret
//	}
//	for _, s := range scenarios { // none if anything is wrong
//		play(s)
//	}
//
// What the language has (types, ranges, defaults, documentation) is one table, in
// table*.go; decoding, docs/scenarios.md and the JSON Schema all come from it. What a
// fault can happen to is another one, in effect.go.
//
// The types of this file are what was written, checked, and with every default filled
// in. The package is pure: it reads an [io/fs.FS] and nothing else.
package scenario

import (
	"time"

	"go-loadbalancer/lb/schema"
)

// Pos is where something was written: line and column count from 1, the file is its path
// in the FS. The zero Pos is of what was left out.
type Pos = schema.Pos

// What was found in scenarios.
type (
	Diagnostic  = schema.Diagnostic
	Diagnostics = schema.Diagnostics
)

// Scenario is one run.
type Scenario struct {
	Pos         Pos
	Name        string
	Description string
	Source      string // where the failure was seen, or described
	Seed        uint64 // not 0
	Duration    time.Duration
	Policy      Policy
	Topology    Topology
	Load        []Load
	Timeline    []Fault // by time
	Expect      []Expectation
	Waive       []Waiver
	Mutations   []Mutation

	// written is the document that it was read from; nil: it was not read.
	written *document
}

// Policy is one that the balancers have: it is in a directory, or written out.
type Policy struct {
	Pos Pos
	// Dir is the directory, cleaned, slash-separated and relative to the root of the
	// FS that the scenario was read from; empty: the policy is Inline.
	Dir string
	// Inline is YAML, mostly with its text where it has it in the scenario's file: what
	// is wrong with the policy then has the right line and column.
	Inline string
}

// Topology is what there is beside the policy.
type Topology struct {
	Replicas int         // of the balancer, at least 1
	Pools    []PoolModel // of those it says something about, in file order
	Redis    *bool       // nil: if the policy needs one
}

// PoolModel is how the endpoints of a pool do when they are well.
type PoolModel struct {
	Pos      Pos
	Name     string
	Latency  Latency // default 5ms
	Capacity float64 // requests a second an endpoint serves; 0: no bound
	Queue    int     // requests that wait at an endpoint beyond its capacity, before it answers 503
	BodySize int     // of its answers, in bytes; default 64
}

// Latency is drawn from the log-normal distribution with this median and 99th
// percentile; a P99 of 0: it is always P50.
type Latency struct{ P50, P99 time.Duration }

// Load is requests that come.
type Load struct {
	Pos Pos
	// From and To are when it begins and ends; To is the scenario's end by default.
	From, To time.Duration
	// Rate is requests a second, of an open loop. RateEnd is what it grows or falls to,
	// evenly, over the load's time; by default it is Rate.
	Rate, RateEnd float64
	// Users is how many there are of a closed loop, each of which makes a request, waits
	// for its end and for Think, and makes the next; 0: it is an open loop.
	Users int
	Think time.Duration
	// Arrivals is Poisson or Constant; of an open loop.
	Arrivals string
	// Sessions is how many clients there are that keep the cookies they are given, and
	// take turns at random; 0: nobody keeps any.
	Sessions int
	Deadline time.Duration // of each request; default 10s
	Host     string        // empty: the matched route's first hostname, else the address
	Listener string        // empty: the first
	Replica  int           // from 1; 0: in turn
	Retries  ClientRetries
	Pace     Pace
	Requests []Request // at least one
}

// Pace is how fast clients are, in bytes a second; 0: as fast as the other side.
type Pace struct {
	Head int // at sending the head of a request
	Body int // at sending its body
	Read int // at reading the answer
}

// ClientRetries is what clients do about failed requests.
type ClientRetries struct {
	Attempts int           // after the first
	Backoff  time.Duration // doubled each time, cut by up to half
}

// Request is a kind of request of a load.
type Request struct {
	Pos     Pos
	Method  string
	Path    string
	Weight  int // its share among those of the load
	Body    int // bytes
	Headers []Header
}

// Header is a field with its value.
type Header = schema.HeaderValue

// Fault is something that happens at a time, or from a time on.
type Fault struct {
	Pos  Pos
	Name string        // known as a time to expectations; empty: it has none
	At   time.Duration // when it begins
	For  time.Duration // 0: to the end of the run, or at once where it is an act
	On   Target
	// Repeat has it happen more than once. Its time is then from the first beginning to
	// the last end.
	Repeat *Repeat

	// Of an endpoint's answers. Nil, zero or empty: not so.
	Respond       *Respond
	Latency       *Latency
	Errors        *Errors
	First         *First
	Hang          bool
	SlowBody      int    // bytes a second
	Truncate      *int64 // after so many bytes of the body
	ContentLength *int64 // announced, whatever the body has
	Garbage       bool
	Health        string // pass | fail: what its health endpoint says, whatever else is wrong

	// Of connections.
	Refuse, Blackhole, Reset, Close bool
	// Partition names who cannot reach the target: lb/N, or all balancers if empty and
	// Partitioned.
	Partitioned bool
	Partition   []Target

	// Of processes.
	Kill, Restart, Pause bool
	Flap                 *Flap
	Clock                time.Duration // by how much a balancer's wall clock is wrong; 0: not so

	// Of Redis: one of Down, Slow, Failover, Flush, ReadOnly.
	Down, Failover, Flush, ReadOnly bool
	Slow                            time.Duration

	// Of control.
	Apply []Policy // another policy, good or bad; of several each in turn, with Repeat
	Scale int      // of On lb: how many replicas there are from now on; 0: not so
}

// Repeat is how often a fault happens: every so long, so many times in all.
type Repeat struct {
	Every time.Duration
	Times int // at least 2
}

// TargetKind is what a fault happens to.
type TargetKind string

const (
	OnEndpoint TargetKind = "endpoint"
	OnRedis    TargetKind = "redis"
	OnBalancer TargetKind = "lb"
	OnPolicy   TargetKind = "policy"
)

// Target is POOL/N, POOL/*, redis, lb, lb/N or policy.
type Target struct {
	Kind  TargetKind
	Pool  string
	Index int // from 1, in file order; 0: all
}

// Respond is an answer instead of the endpoint's own.
type Respond struct {
	Status int
	After  time.Duration // how long it takes
}

// Errors fails a share of the requests.
type Errors struct {
	Percent float64
	Status  int
}

// First fails the first requests from the fault's beginning on.
type First struct{ Count, Status int }

// Flap is a process that goes and comes.
type Flap struct{ Up, Down time.Duration }

// Operator says over what an expectation must be true.
type Operator string

const (
	Once      Operator = "once"      // of the whole run; also of an expression with windows, until it is compiled
	During    Operator = "during"    // at every instant, or in every window, of a fault
	Within    Operator = "within"    // at some instant by then
	At        Operator = "at"        // at an instant
	Sometimes Operator = "sometimes" // at some instant of the run
	Always    Operator = "always"    // in every window of the run
)

// Expectation is something that must be true.
type Expectation struct {
	Pos      Pos
	That     string // CEL; empty: Breaker and Path are judged
	ThatPos  Pos    // of the expression's first character
	Operator Operator
	Window   time.Duration // the greatest named by the expression; 0: none
	During   Instant       // the fault's name
	Grace    time.Duration
	Within   time.Duration
	After    Instant // what Within counts from
	Hold     time.Duration
	At       Instant

	Breaker Target
	Path    []string       // a subsequence of the states that it went through
	Max     map[string]int // transitions at most, by the state they lead to
	// Longest is how long it stays in a state at a time at most.
	Longest map[string]time.Duration
}

// Instant is a time: of a fault (its beginning, or its end), or of the run.
type Instant struct {
	Fault  string // empty: Offset counts from the run's beginning
	End    bool
	Offset time.Duration
}

// Waiver is an invariant that need not hold, and why.
type Waiver struct {
	Pos     Pos
	ID      string
	Because string
}

// Mutation is a change of the policy by which the scenario must fail.
type Mutation struct {
	Pos  Pos
	Name string
	// Set are fields of the policy with other values: paths such as
	// spec.pools[cart].circuitBreaker.failurePercent, in file order.
	Set []Assignment
}

// Assignment is a field of the policy with another value.
type Assignment struct {
	Pos   Pos
	Path  string
	Value string // YAML
}
