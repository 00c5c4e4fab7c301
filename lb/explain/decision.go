package explain

// Decision is what becomes of a request, and why. Probabilities are from 0 to 1, times
// in seconds.
type Decision struct {
	Policy  Policy  `json:"policy"`
	Request Request `json:"request"`
	Outcome Outcome `json:"outcome"`
	// Answer is what the balancer answers by itself; empty where it forwards.
	Answer string `json:"answer,omitempty"`
	// Route is the one that matches; null: none does.
	Route *Route `json:"route"`
	// Considered is every match of every route in file order, the chosen one included.
	Considered []Considered `json:"considered"`
	Session    *Session     `json:"session"` // null: the route's pools keep none
	Backends   []Backend    `json:"backends"`
	// Pools are those of the backends that the request may go to.
	Pools  []Pool  `json:"pools"`
	Choice *Choice `json:"choice"` // null: no endpoint can be picked
	// Along is what else happens on the way.
	Along Along    `json:"along"`
	Notes []string `json:"notes"`
}

// Policy is the policy asked.
type Policy struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    string `json:"hash"`
	// Live: it serves, and endpoints are as they are now. Else it was read from files, and
	// every endpoint counts as healthy and idle.
	Live bool `json:"live"`
}

// Request is the request, as it is matched.
type Request struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`   // without dot segments
	Client string `json:"client"` // what a trusted proxy said, if one sent it; empty: not known
	// Trusted: its peer is a trusted proxy of the policy.
	Trusted bool `json:"trusted"`
}

// Outcome is how a request ends, as far as the balancer decides.
type Outcome string

const (
	Forward     Outcome = "forward"
	NoRoute     Outcome = "no-route"
	Redirect    Outcome = "redirect"
	Limited     Outcome = "rate-limited"
	NoPool      Outcome = "no-pool"
	Unavailable Outcome = "unavailable" // no endpoint can be picked
	Waits       Outcome = "waits"       // in the queue of its pool, or of its session's home
	Answered    Outcome = "answered"    // by the balancer: TRACE, Max-Forwards
)

// Good says whether the request gets what its route promises; else it is refused.
func (o Outcome) Good() bool {
	switch o {
	case Forward, Redirect, Waits, Answered:
		return true
	}
	return false
}

// Route is the route that was chosen.
type Route struct {
	Name  string `json:"name"`
	Match int    `json:"match"` // which of its matches, from 1
	Text  string `json:"text"`  // what that asks for
}

// Considered is one match of a route.
type Considered struct {
	Route  string `json:"route"`
	Match  int    `json:"match"`
	Chosen bool   `json:"chosen"`
	Holds  bool   `json:"holds"` // the request meets all of its conditions
	// By is the first condition that is not met, or by which the chosen match is more
	// specific: host, path, method, header, query, order.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// Backend is a pool with its share of the route's requests.
type Backend struct {
	Pool   string `json:"pool"`
	Weight int    `json:"weight"`
	// Probability that this request goes there: 1 or 0 for one of a known session.
	Probability float64 `json:"probability"`
}

// Session is a request's session. Neither its id nor its ticket is told.
type Session struct {
	Carrier string `json:"carrier"` // such as "cookie lb_session"
	// State is new, known or refused: then a new one begins.
	State string `json:"state"`
	// Refused is why what the client brought is no good.
	Refused string `json:"refused,omitempty"`
	Pool    string `json:"pool,omitempty"` // that the session goes to
	// Home is the endpoint that it is at home at there; empty: none yet.
	Home string `json:"home,omitempty"`
	// HomeAddress is that endpoint's address.
	HomeAddress string `json:"homeAddress,omitempty"`
	// By is who says so: store, replica (what this one heard last) or ticket.
	By string `json:"by,omitempty"`
	// Lodging is open, busy, away, early, gone or unknown.
	Lodging string `json:"lodging,omitempty"`
	// Served is home, away, moves or new.
	Served string `json:"served"`
	Why    string `json:"why,omitempty"`
}

// Pool is a pool that the request may go to.
type Pool struct {
	Name        string      `json:"name"`
	Algorithm   string      `json:"algorithm"`
	How         string      `json:"how"` // it chooses, in words
	Panic       bool        `json:"panic"`
	Probability float64     `json:"probability"` // that the request goes there
	Exact       bool        `json:"exact"`       // the candidates' probabilities are; else they are drawn
	Draws       int         `json:"draws,omitempty"`
	Refusal     string      `json:"refusal,omitempty"`
	Candidates  []Candidate `json:"candidates"`
	InFlight    int64       `json:"inFlight"`
	Limit       int64       `json:"limit"` // of requests in flight; 0: none
	Waiting     int64       `json:"waiting"`
	MayWait     int64       `json:"mayWait"`
	RetriesLeft float64     `json:"retriesLeft"` // in its budget
}

// Candidate is one endpoint of a pool.
type Candidate struct {
	Endpoint string `json:"endpoint"` // POOL/N
	Address  string `json:"address"`
	Weight   int    `json:"weight"`
	Priority int    `json:"priority"`
	Eligible bool   `json:"eligible"`
	// Why is why it cannot be picked; empty if it can.
	Why string `json:"why,omitempty"`
	// Probability that it is picked if the request goes to its pool.
	Probability float64 `json:"probability"`
	SlowStart   float64 `json:"slowStart"` // part of its share that it gets; 1: all
	InFlight    int64   `json:"inFlight"`
	LatencyMs   float64 `json:"latencyMs,omitempty"` // expected, where it is measured
	Failing     int     `json:"failing,omitempty"`   // eighths of its latest tries that failed: a moving average over about eight
}

// Choice is the endpoint that the request goes to most probably.
type Choice struct {
	Pool        string  `json:"pool"`
	Endpoint    string  `json:"endpoint"`
	Address     string  `json:"address"`
	Probability float64 `json:"probability"` // of the request's going there, of all it may
	Exact       bool    `json:"exact"`
}

// Along is what else happens to a request on the way.
type Along struct {
	Filters   []string `json:"filters"`
	Timeouts  []string `json:"timeouts"`
	Retry     string   `json:"retry"`
	Mirror    string   `json:"mirror,omitempty"`
	RateLimit string   `json:"rateLimit,omitempty"`
}
