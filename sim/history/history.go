// Package history is what happened in a run: the ground truth that expectations and
// reports are made of. A stage writes it, and nobody changes it afterwards.
//
// All times count from the run's beginning. Endpoints are called POOL/N, N from 1 in
// the file order of the policy the run began with, and replicas of the balancer lb/N.
package history

import "time"

// Run is a whole run.
type Run struct {
	Scenario string
	Stage    string // virtual | local | containers
	Seed     uint64
	Duration time.Duration // of the scenario; the run itself goes on until all is over
	Pools    []Pool
	Replicas int    // the run began with
	Lives    []Life // by time

	Requests []Request // by intended start
	Attempts []Attempt // by start
	Breakers []Breaker // by time, and so are the following
	Healths  []Health
	Panics   []Panic
	Policies []Policy
	Moves    []Move
	Faults   []Fault
	Notes    []Note
	Strays   []Stray

	// Leaks is what was left when all had been stopped; empty: nothing.
	Leaks []string
	// Metrics is what the balancers counted, by replica (lb/N) and series, such as
	// lb_requests_total{code="200",route="cart"}; of replicas that were killed none.
	Metrics map[string]map[string]float64
	// AccessLogs are the balancers' access logs, by replica; none, unless the job wants
	// them, and of replicas that were killed.
	AccessLogs map[string]string `json:",omitempty"`
	// Behind is by how much the generator was late at the most.
	Behind time.Duration
	// SetUp is how long it took until the run could begin, and TearDown until nothing was
	// left of it after its load and its faults had ended. Where all is in one process they
	// are 0.
	SetUp, TearDown time.Duration `json:",omitzero"`
	// Failure is why the run is void: a panic with its stack, a deadlock; empty: it is not.
	Failure string
}

// Pool is a pool with its endpoints, in file order.
type Pool struct {
	Name      string
	Endpoints []string // addresses; of host names those that they lead to
}

// Life is a replica that begins or ceases to be. One of which nothing is said lives
// all the time, and one whose first is a beginning was not there before.
type Life struct {
	At      time.Duration
	Replica string
	Up      bool
	Killed  bool // without a word: what it had under way is lost
}

// Request is one request, as its client saw it.
type Request struct {
	ID       string        // sent as X-Request-Id
	Load     int           // which load of the scenario, from 0
	Kind     int           // which of its requests
	Session  int           // which client, from 1; 0: one that keeps no cookies
	Retry    int           // which retry of the client's, from 1; 0: the first
	Intended time.Duration // when it should have begun: latency counts from here
	Start    time.Duration
	End      time.Duration
	Deadline time.Duration // by when it had to end
	Replica  string
	Method   string
	Path     string
	Status   int    // 0: none came
	By       string // the endpoint that answered; empty: the balancer itself
	// Whole says that the response came to its end as its endpoint meant it; LooksWhole
	// that it did by all that HTTP says; CloseDelimited that only the connection's end
	// ended it.
	Whole, LooksWhole, CloseDelimited bool
	RetryAfter                        string
	Err                               string // why it did not end well; empty: it did
	// Unsent says that not all of its head was sent: the balancer cannot tell which it is.
	Unsent bool
	// First says that it was the first of its connection, which the balancer may close
	// unread: it takes no more than its limits say.
	First bool
	Got   int64 // bytes of the answer's body that it read
	// Route, Policy (hash), Flags and Sticky (how its session was served) are what the
	// balancer said of it.
	Route, Policy, Flags, Sticky string
	Ends                         int // how often the balancer said that it ended
}

// OK says whether its client can be content.
func (r *Request) OK() bool { return r.Whole && r.Status > 0 && r.Status < 500 }

// Latency is from the intended start to the end.
func (r *Request) Latency() time.Duration { return r.End - r.Intended }

// Attempt is one try at an endpoint, as its balancer saw it, and whether it arrived.
type Attempt struct {
	Request    string // id; empty: not known
	Replica    string
	Pool       string
	Endpoint   string
	Number     int
	Start, End time.Duration
	Status     int
	Result     string // of event.Result
	Probe      bool
	Mirror     bool
	// Breaker is the endpoint's breaker's state at the replica when it began.
	Breaker string
	// Draining says that the endpoint drained then, and Home that the request's session
	// is at home there.
	Draining, Home bool
	// Sent is how many bytes of its answer's body the endpoint got rid of, so far as the
	// stage knows.
	Sent int64
	// Arrived says how much of the request the endpoint got: none, some or all.
	Arrived string
}

// Stray is a request that came to an endpoint though no balancer tells of an attempt there.
// What a balancer that is killed had under way is of that kind, and so is a request that
// is sent once more in the same attempt, for the connection it was sent on had ended.
type Stray struct {
	At       time.Duration
	Endpoint string
	Request  string // id
}

// Breaker is a transition.
type Breaker struct {
	At                time.Duration
	Replica, Endpoint string
	From, To, Reason  string
}

// Health is a change of an endpoint's health.
type Health struct {
	At                time.Duration
	Replica, Endpoint string
	Healthy           bool
	Reason            string
}

// Panic is a pool that begins or ceases to ignore health.
type Panic struct {
	At            time.Duration
	Replica, Pool string
	On            bool
}

// Policy is a policy that began to serve, or was refused.
type Policy struct {
	At      time.Duration
	Replica string
	Hash    string
	Version string
	Refused string // why; empty: it serves
}

// Move is a session that got another home.
type Move struct {
	At                    time.Duration
	Replica, Pool, Reason string
}

// Fault is a fault of the scenario as it was made.
type Fault struct {
	Name       string
	On         string
	What       string
	Start, End time.Duration
	Touched    int    // requests, checks or messages that met it
	Skipped    string // why the stage could not make it; empty: it did
}

// Note is something else that happened: a replica that was killed, say.
type Note struct {
	At   time.Duration
	Text string
}
