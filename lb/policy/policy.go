// Package policy turns a directory of policy YAML into positioned, defaulted,
// validated values, and says everything that is wrong with it at once.
//
//	p, found := policy.Load(os.DirFS("policies"))
//	for _, d := range found {
//		fmt.Println(d) // file:line:col: path: message, the source line, a caret
//	}
//	if found.HasErrors() {
//		return // p is nil
//	}
//	serve(p)
//
// The package is pure: it reads an [io/fs.FS] and nothing else. What the
// language contains (types, ranges, defaults, documentation) is one table, in
// schema.go; decoding, defaults, docs/policy.md and the JSON Schema all come
// from it.
//
// The types of this file are what was written, with every default filled in.
// What a running balancer makes of them is package snapshot.
package policy

import (
	"net/netip"
	"regexp"
	"time"

	"go-loadbalancer/lb/schema"
)

// Policy is one directory's whole policy: defaulted, validated, in file order
// (files sorted by name, documents and lists as written).
type Policy struct {
	Name    string // metadata.name
	Version string // metadata.version, free text chosen by the author
	// Hash is the SHA-256, in lower-case hex, of the policy's files: see [Hash].
	Hash string

	TrustedProxies []netip.Prefix // peers whose X-Forwarded-* are believed
	AccessLog      AccessLog
	Listeners      []Listener // at least one
	Routes         []Route
	Pools          []Pool
}

// Pos is where a value was written. The zero Pos belongs to a defaulted value.
type Pos = schema.Pos

// What was found in a policy.
type (
	Severity    = schema.Severity
	Diagnostic  = schema.Diagnostic
	Diagnostics = schema.Diagnostics
)

const (
	SeverityError   = schema.SeverityError   // the policy is refused
	SeverityWarning = schema.SeverityWarning // the policy serves, and somebody should look
)

// AccessLog says which requests are written to the access log.
type AccessLog struct {
	Sample       float64       // share of requests logged, 0 to 1
	AlwaysErrors bool          // log every response of status 500 and above, and every broken one
	AlwaysSlow   bool          // log every request slower than SlowerThan
	SlowerThan   time.Duration // default 1s
	// RedactQueryParams are names of query parameters whose values are not shown, in lower
	// case; "*" is all.
	RedactQueryParams []string
}

// Listener is one address traffic comes in by.
type Listener struct {
	Pos      Pos
	Name     string
	Address  string // host:port; an empty host means every address
	TLS      *ListenerTLS
	Splice   bool
	Trace    string // Refuse | Allow; default Refuse
	Timeouts ListenerTimeouts
	Limits   ListenerLimits
}

// ListenerTLS is refused until it acts.
type ListenerTLS struct {
	Certificates []Certificate
	ClientCA     string
	ClientAuth   string // None | Optional | Require
	MinVersion   string // "1.2" | "1.3"
	ALPN         []string
}

// Certificate names a PEM certificate chain and its key.
type Certificate struct{ CertFile, KeyFile string }

// ListenerTimeouts bounds how long a client may keep a connection waiting.
type ListenerTimeouts struct {
	Idle          time.Duration // between requests of one connection; default 60s
	RequestHeader time.Duration // from a head's first byte to its last; default 10s
	RequestBody   time.Duration // longest silence inside a request body, and the grace of RequestBodyRate; default 30s
	Write         time.Duration // longest a response may wait for the client to take its due; default 30s
	ConnectionAge time.Duration // after which a connection is ended between requests; 0: never; default 10m
}

// ListenerLimits bounds what clients may cost.
type ListenerLimits struct {
	HeaderBytes           int // whole head: request line and fields; default 32 KiB
	HeaderFields          int // number of fields; default 100
	Connections           int // open at once on this listener; default 20000
	ConnectionsPerAddress int // of them from one IPv4 address or IPv6 /64; default half of Connections
	RequestBodyRate       int // least bytes a second of a request body that is waited for; 0: none; default 240
	ResponseRate          int // least bytes a second of a response that waits for the client; 0: none; default 240
}

// Route sends the requests it matches to pools.
type Route struct {
	Pos         Pos
	Name        string
	Hostnames   []string // lower case; "*.example.com" is a wildcard; none: any host
	Matches     []Match  // any of them; never empty: the default is PathPrefix "/"
	Filters     Filters
	BackendRefs []BackendRef // empty only if Filters.Redirect is set
	Timeouts    RouteTimeouts
	Retry       *Retry
}

// PathType says how a path is compared.
type PathType string

const (
	PathExact  PathType = "Exact"
	PathPrefix PathType = "PathPrefix" // by whole path elements: /a matches /a and /a/b, not /ab
	PathRegex  PathType = "RegularExpression"
)

// Match is a conjunction: everything given must hold.
type Match struct {
	Pos       Pos
	PathType  PathType
	Path      string         // begins with "/", except for a regular expression
	PathRegex *regexp.Regexp // for PathRegex only; anchored at both ends
	Method    string         // empty: any
	Headers   []ValueMatch   // names compared without regard to case
	Query     []ValueMatch   // queryParams
}

// ValueMatch is a header or query parameter that must have a value.
type ValueMatch struct {
	Name  string
	Type  string // Exact | RegularExpression
	Value string
	Regex *regexp.Regexp // anchored; nil for Exact
}

// Filters is what happens to a request and its response on the way, each at
// most once a route.
type Filters struct {
	RequestHeaders  *HeaderModifier
	ResponseHeaders *HeaderModifier
	Rewrite         *URLRewrite
	Redirect        *Redirect
	Mirror          *Mirror
	RateLimit       *RateLimit
}

// HeaderModifier changes fields: first Remove, then Set, then Add.
type HeaderModifier struct {
	Set, Add []HeaderValue // in file order
	Remove   []string
}

// HeaderValue is one field with its value.
type HeaderValue = schema.HeaderValue

// URLRewrite changes the target before it is sent upstream.
type URLRewrite struct {
	Hostname string // empty: kept
	PathType string // "" | ReplaceFullPath | ReplacePrefixMatch
	Path     string
}

// Redirect answers instead of a pool.
type Redirect struct {
	Scheme     string // empty: the request's own
	Hostname   string
	Port       int    // 0: the scheme's own
	PathType   string // "" | ReplaceFullPath | ReplacePrefixMatch
	Path       string
	StatusCode int // 301 | 302 | 303 | 307 | 308; default 302
}

// Mirror copies a share of the requests to another pool.
type Mirror struct {
	Pool    string
	Percent float64 // 0 to 100
}

// RateLimit is a token bucket for each key.
type RateLimit struct {
	Requests int
	Per      time.Duration
	Burst    int
	Key      string // SourceIP | Header
	Header   string
}

// BackendRef is a pool with its share of a route's requests.
type BackendRef struct {
	Pos    Pos
	Pool   string
	Weight int // 0 to 1,000,000; default 1
}

// RouteTimeouts bounds a request. See docs/decisions/timeouts.md.
type RouteTimeouts struct {
	Request        time.Duration // from the request head to the response head, tries and waiting included; 0: no bound; default 30s
	BackendRequest time.Duration // the same for one try; 0: as Request; default 0
	StreamIdle     time.Duration // longest silence of a body or a tunnel once begun; 0: no bound; default 5m
}

// Retry says which failed tries are made again, elsewhere.
type Retry struct {
	Attempts int           // retries after the first try, 0 to 10
	Codes    []int         // response statuses tried again
	Backoff  time.Duration // base of the jittered exponential pause
	Methods  []string      // empty: the idempotent ones (RFC 9110 section 9.2.2)
}

// Pool is a set of endpoints that serve the same thing.
type Pool struct {
	Pos                Pos
	Name               string
	Endpoints          []Endpoint
	DrainTimeout       time.Duration // how long a removed or draining endpoint may finish; default 5m
	LoadBalancer       LoadBalancer
	CircuitBreaker     CircuitBreaker
	HealthCheck        HealthCheck
	SessionPersistence *SessionPersistence // nil: none
	RetryBudget        RetryBudget
	Limits             Limits
	Protocol           string        // HTTP1 | H2C | H2; only HTTP1 acts
	TLS                *PoolTLS      // refused until it acts
	ConnectTimeout     time.Duration // default 2s
	IdleTimeout        time.Duration // how long an unused upstream connection is kept; default 30s
	ResolveInterval    time.Duration // between look-ups of an endpoint's host name; default 10s
}

// Endpoint is one address of a pool.
type Endpoint struct {
	Pos      Pos
	Address  string // host:port, as written; the host an IP address or a name
	Weight   int    // 0 to 1000; default 1; 0: never picked
	Priority int    // 0 first; a higher number only when no lower one is eligible
	Drain    bool
	// Name is the host name in lower case, without port and without a dot at its
	// end, that Address was looked up by: package names gives it. Empty in what was written.
	Name string
}

// LoadBalancer is how a pool's endpoint is picked.
type LoadBalancer struct {
	Type              string        // RoundRobin | LeastRequest | Random | PeakEWMA | ConsistentHash; default LeastRequest
	SlowStartWindow   time.Duration // 0: none
	HashOn            string        // SourceIP | Header | Cookie | QueryParam
	HashName          string        // the header's, cookie's or parameter's name
	BoundedLoadFactor float64       // most load of one endpoint relative to the mean; 0: unbounded; default 1.25
}

// CircuitBreaker holds the thresholds of each endpoint's breaker.
type CircuitBreaker struct {
	ConsecutiveFailures int           // 0: off; default 5
	FailurePercent      int           // 0: off; 1 to 100; default 20
	MinRequests         int           // before FailurePercent is looked at; default 20
	Interval            time.Duration // window of FailurePercent; default 10s
	OpenDuration        time.Duration // default 5s
	MaxOpenDuration     time.Duration // what it may grow to; default 30s
	HalfOpenRequests    int           // probes at once, and successes that close it; default 3
	Codes               []int         // statuses that count as failures; default 500 502 503 504
	Errors              []string      // Connect | Timeout | Reset | Protocol; default all
}

// HealthCheck is how a pool's endpoints are probed.
type HealthCheck struct {
	Active         *ActiveCheck // nil: none
	PanicThreshold int          // percent healthy below which health is ignored, 0 to 100; default 50
}

// ActiveCheck is a probe sent at an interval.
type ActiveCheck struct {
	Type               string // HTTP | TCP | GRPC
	Path               string // HTTP
	Hostname           string // HTTP: the Host sent; empty: the endpoint's address
	ExpectedStatuses   []int  // HTTP; default 200
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	InitialState       string        // Healthy | Unhealthy, until the first probe; default Healthy
	Service            string        // GRPC; empty: the server as a whole
	HoldDown           time.Duration // flap damping; 0: none; default 1m
	MaxHoldDown        time.Duration // default 10m
}

// SessionPersistence keeps a client at one endpoint. Pools of one route have the
// same Type, name and cookie attributes: a client has one session for all of them.
type SessionPersistence struct {
	Pos             Pos
	Type            string        // Cookie | Header; default Cookie
	Store           string        // Redis | Cookie | Memory; default Redis
	CookieName      string        // default lb_session
	CookiePath      string        // begins with "/", without ";" and control bytes; default /
	CookieSameSite  string        // Lax | Strict | None; default Lax
	CookieSecure    string        // Auto: where the client used https | Always | Never; default Auto
	CookieLifetime  string        // Session | Permanent: Max-Age is AbsoluteTimeout; default Session
	HeaderName      string        // with Type Header, never one of the connection or of framing
	AbsoluteTimeout time.Duration // 1s to a year; default 24h
	IdleTimeout     time.Duration // 1s to AbsoluteTimeout; default 30m, or AbsoluteTimeout if that is shorter
	OnUnavailable   string        // Return | Rebind; default Return
	StoreTimeout    time.Duration // 100µs to 10s; default 5ms
}

// RetryBudget caps retries relative to requests.
type RetryBudget struct {
	Percent             float64
	MinRetriesPerSecond int
}

// Limits caps what a pool takes on at once.
type Limits struct {
	MaxParallelRequests         int // default 1024
	MaxPendingRequests          int // default 256
	PendingTimeout              time.Duration
	MaxConnections              int // upstream connections of the pool; default 1024
	PerEndpointParallelRequests int // default 0: no cap but the pool's
}

// PoolTLS is refused until it acts.
type PoolTLS struct {
	ServerName        string
	CAFile            string
	CertFile, KeyFile string
	SubjectAltNames   []string
}
