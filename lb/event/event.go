// Package event says what happened: plain structs, and a [Listener] of
// functions that are told of them. The balancer emits events and never waits
// for anybody; metrics, logs and the dashboard are made from them.
//
//	b := balancer.New(balancer.Options{
//		Events: event.Tee(metrics.Events(), accessLog.Events()),
//		// …
//	})
//
// Routes, pools and endpoints carry small integer ids ([ID]), handed out by the
// balancer, so that a consumer keeps an array and never looks a label up. Which
// id means what is told by [Listener.PolicyPrepared] before the first event
// that carries it.
//
// Every function is called synchronously by the goroutine to which the thing
// happened, so it must be quick, must not block, and must be safe for
// concurrent use. A pointer argument, and every byte slice under it, is valid
// only until the function returns.
package event

import (
	"net/netip"
	"time"
)

// ID is a small number standing for a route, a pool or an endpoint. Each kind
// counts by itself, from 0. An id is not given to anything else before the
// thing it named was retired.
type ID int32

// None is the id of nothing: a request that matched no route, say.
const None ID = -1

// Listener is told of events. A nil field means: not interested.
type Listener struct {
	// RequestRouted is called once a request has a route, before it is sent
	// anywhere. Every call is followed by one RequestEnded with the same route.
	RequestRouted func(route ID)
	// RequestEnded is called exactly once a request, after its last byte.
	RequestEnded func(*Request)
	// AttemptEnded is called exactly once for each try at an endpoint, before
	// the request's RequestEnded; for that of a mirror, at any time.
	AttemptEnded func(*Attempt)
	// MirrorEnded is called exactly once for each request that its route wants
	// copied to another pool, and not before the copy's AttemptEnded if there was
	// one. The request itself may have ended long before.
	MirrorEnded func(Mirror)

	// BreakerChanged is called for every transition of an endpoint's breaker.
	// It runs under that breaker's lock.
	BreakerChanged func(BreakerChange)
	// HealthChanged is called when an endpoint turns healthy or unhealthy.
	HealthChanged func(HealthChange)
	// PanicChanged is called when a pool begins or ceases to ignore health.
	PanicChanged func(PanicChange)
	// RetryRefused is called for every try that failed and was not made again,
	// though its route's retry says that it should be.
	RetryRefused func(pool ID, reason RetryRefusal)
	// NameResolved is called for every look-up of an endpoint's host name.
	NameResolved func(*Resolution)

	// SessionMoved is called for every session that gets another home.
	SessionMoved func(SessionMove)
	// SessionRefused is called for every ticket of a client that is no good: one of
	// [SessionRefusals].
	SessionRefused func(reason string)
	// SessionStoreAsked is called for every operation of the shared session store.
	SessionStoreAsked func(SessionAsked)
	// SessionStoreChanged is called when the shared store is given up for a while, and
	// when it is back. It runs under a lock.
	SessionStoreChanged func(SessionStoreChange)

	// PolicyPrepared is called with all ids of a new policy before it serves:
	// whatever a consumer must have at hand for them is made here.
	PolicyPrepared func(*Catalog)
	// PolicyCommitted is called once the policy serves.
	PolicyCommitted func(*Commit)
	// PolicyRejected is called for a policy that was refused; the last good
	// one goes on serving.
	PolicyRejected func(*Rejection)
	// EndpointRetired is called when a removed endpoint has drained and its id
	// may be given to another.
	EndpointRetired func(endpoint ID)

	// ConnectionOpened and ConnectionClosed tell of client connections.
	ConnectionOpened func(listener string)
	ConnectionClosed func(listener string, reason CloseReason)
	// AcceptPaused is called when a listener begins to pause, for want of
	// descriptors or memory to accept with.
	AcceptPaused func(listener string)
}

// CloseReason says why a client connection ended. Its values label a metric.
type CloseReason string

const (
	ClosedByClient    CloseReason = "client" // the client closed between requests
	ClosedAfterReply  CloseReason = "reply"  // the last reply said so
	ClosedIdle        CloseReason = "idle"   // no further request within the idle timeout
	ClosedBadRequest  CloseReason = "bad_request"
	ClosedBroken      CloseReason = "broken" // reset, or a response that could not be finished
	ClosedDrain       CloseReason = "drain"  // the listener is closing
	ClosedAfterTunnel CloseReason = "tunnel" // an upgraded connection ended
	ClosedAged        CloseReason = "aged"   // it had reached its age

	// What a listener's limits cut.
	ClosedSilent     CloseReason = "silent"             // connected, and sent nothing in the time for a head
	ClosedSlowHead   CloseReason = "slow_head"          // a head was not whole in its time
	ClosedSlowBody   CloseReason = "slow_body"          // a body paused too long, or came at less than the least rate
	ClosedSlowReader CloseReason = "slow_reader"        // a response was not taken, or at less than the least rate
	ClosedOverLimit  CloseReason = "over_limit"         // more connections than the listener takes
	ClosedCrowded    CloseReason = "over_address_limit" // more connections than it takes from one address
)

// CloseReasons lists every [CloseReason], for consumers that keep an array of
// them.
var CloseReasons = []CloseReason{
	ClosedByClient, ClosedAfterReply, ClosedIdle, ClosedBadRequest, ClosedBroken, ClosedDrain, ClosedAfterTunnel, ClosedAged,
	ClosedSilent, ClosedSlowHead, ClosedSlowBody, ClosedSlowReader, ClosedOverLimit, ClosedCrowded,
}

// Request is one request, ended.
type Request struct {
	Start    time.Time
	Duration time.Duration

	Listener string
	Route    ID // None: no route matched
	Pool     ID // None: no pool was chosen
	Endpoint ID // of the last try; None: never tried

	RouteName, PoolName string
	RoutePath           string // of the match that the route was chosen by: see snapshot.Matched
	Upstream            string // address of the last try's endpoint

	Method, Scheme, Host, Target, UserAgent []byte // as received; hostile
	Proto                                   string // "1.0", "1.1", "2"
	Peer                                    netip.AddrPort
	Client                                  netip.Addr // the peer, or what a trusted proxy said of it

	Status        int   // sent to the client; 0: none was
	RequestBytes  int64 // body
	ResponseBytes int64 // body
	Attempts      int
	Flags         Flags
	Session       SessionUse

	RequestID  []byte
	Span       Span
	PolicyHash string

	// FirstByte is from Start to the upstream's response head; 0: none came.
	FirstByte time.Duration
}

// Attempt is one try at an endpoint, ended.
type Attempt struct {
	Route, Pool, Endpoint ID
	Number                int // from 1
	Start                 time.Time
	Duration              time.Duration
	Status                int // the endpoint's answer; 0: none
	Result                Result
	Reused                bool   // on a connection that had served before
	Resend                Resend // why the request was sent once more within the attempt; "": it was not
	Verdict               Verdict
	Probe                 bool   // admitted by a half-open breaker
	Mirror                bool   // of a copy: no part of the request, nor of its pool's share
	RequestID             []byte // of the request it is for; nil of a copy

	Span           Span   // below that of the request
	PoolName       string // set if the span is sampled, as is what follows
	Upstream       string // the endpoint's address
	Method, Target []byte // as sent; hostile
}

// Resend says when an endpoint had closed the kept connection on which an attempt sent
// its request: the same attempt then sent it once more, on a new one. Its values label a
// metric.
type Resend string

const (
	ResentUnsent     Resend = "unsent"     // before anything of the request was sent
	ResentUnread     Resend = "unread"     // after that, and it is certain that the endpoint has read nothing of it
	ResentUnanswered Resend = "unanswered" // after that, and before any byte of an answer: the endpoint may have it twice
)

// Resends lists every [Resend] there is.
var Resends = []Resend{ResentUnsent, ResentUnread, ResentUnanswered}

// Verdict is what an endpoint's breaker is told of an attempt.
type Verdict string

const (
	VerdictSuccess Verdict = "success"
	VerdictFailure Verdict = "failure"
	VerdictNone    Verdict = "none" // the client's doing, or ours, or not counted by the policy
)

// Mirror is a copy of a request for another pool, ended or not sent at all.
type Mirror struct {
	Route, Pool ID // of the request, and of the copy
	Result      MirrorResult
}

// MirrorResult says what became of a copy. Its values label a metric.
type MirrorResult string

const (
	MirrorSent       MirrorResult = "sent"        // a response came, whatever it said
	MirrorFailed     MirrorResult = "failed"      // it was sent, or tried to be, and no response came, or one that broke off
	MirrorNoEndpoint MirrorResult = "no_endpoint" // no endpoint of its pool was eligible
	MirrorOverflow   MirrorResult = "overflow"    // too many were under way, or the balancer was stopping
	MirrorTooLarge   MirrorResult = "too_large"   // the body was larger than what is copied
	MirrorIncomplete MirrorResult = "incomplete"  // the body did not come to its end
)

// MirrorResults lists every [MirrorResult].
var MirrorResults = []MirrorResult{MirrorSent, MirrorFailed, MirrorNoEndpoint, MirrorOverflow, MirrorTooLarge, MirrorIncomplete}

// Result classifies an attempt. Its values label a metric.
type Result string

const (
	OK             Result = "ok"              // a whole response that is no failure by the pool's breaker codes; of a copy, as much as was to be read
	Failed         Result = "status"          // the same with one of the breaker's codes
	ConnectFailed  Result = "connect"         // no connection
	TimedOut       Result = "timeout"         // no response head, or no further byte, in time
	Reset          Result = "reset"           // the connection broke before the response head
	Truncated      Result = "truncated"       // it broke inside the body
	ProtocolError  Result = "protocol_error"  // what came was not HTTP
	ClientCanceled Result = "client_canceled" // the client left; no judgement of the endpoint
	Exhausted      Result = "exhausted"       // no descriptor or memory for a connection; no judgement either
	Overflowed     Result = "overflow"        // the pool has as many connections as it may; no judgement either
	Aborted        Result = "aborted"         // broken off by us, since the endpoint's drain or ours took too long, or by a mistake of ours; no judgement either
)

// Results lists every [Result], for consumers that keep an array of them.
var Results = []Result{OK, Failed, ConnectFailed, TimedOut, Reset, Truncated, ProtocolError, ClientCanceled, Exhausted, Overflowed, Aborted}

// BreakerState is a state of an endpoint's circuit breaker.
type BreakerState string

const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half-open"
)

// BreakerStates lists every [BreakerState].
var BreakerStates = []BreakerState{BreakerClosed, BreakerOpen, BreakerHalfOpen}

// BreakerChange is a transition of an endpoint's circuit breaker.
type BreakerChange struct {
	Pool, Endpoint    ID
	PoolName, Address string
	From, To          BreakerState
	Reason            string // consecutive_failures | failure_percent | probe_failed | probe_timeout | probes_succeeded | open_elapsed | turned_off
	At                time.Time
}

// HealthChange is a change of mind of an endpoint's active check.
type HealthChange struct {
	Pool, Endpoint    ID
	PoolName, Address string
	Healthy           bool
	Reason            string
	Held              time.Duration // for how long it will not be healthy again, whatever its checks say
	At                time.Time
}

// PanicChange is a pool that begins or ceases to ignore its endpoints' health.
type PanicChange struct {
	Pool           ID
	PoolName       string
	Panic          bool
	Healthy, Total int // endpoints
	At             time.Time
}

// RetryRefusal says why a failed try was not made again. Its values label a
// metric.
type RetryRefusal string

const (
	RetryBudgetSpent RetryRefusal = "budget"   // the pool's retry budget is used up
	RetryTooLate     RetryRefusal = "too_late" // the pause, or the endpoint's Retry-After, does not fit the request's timeout
	RetryBodyGone    RetryRefusal = "body"     // its body was too large to be kept
)

// RetryRefusals lists every [RetryRefusal].
var RetryRefusals = []RetryRefusal{RetryBudgetSpent, RetryTooLate, RetryBodyGone}

// Resolution is a look-up of the host name of an endpoint.
type Resolution struct {
	Host      string
	Addresses int   // that serve now, the last good ones if it failed
	Changed   bool  // others than before
	Err       error // nil: it succeeded
	At        time.Time
}

// PolicyInfo identifies a policy.
type PolicyInfo struct {
	Name     string
	Version  string
	Hash     string // SHA-256, lower-case hex
	Revision string // what the source calls it, such as a git commit; may be empty
}

// Catalog names every id a policy uses, and says what consumers must know of
// its settings.
type Catalog struct {
	Policy    PolicyInfo
	Listeners []string // names; they have no ids
	Routes    []Named
	Pools     []Named
	Mirrors   []Named // those of the pools that some route copies requests to
	Endpoints []NamedEndpoint
	AccessLog AccessLog
}

// AccessLog says which requests the policy wants written to the access log.
// The zero value wants none.
type AccessLog struct {
	Sample       float64       // share of requests written, 0 to 1
	AlwaysErrors bool          // and every failed one
	AlwaysSlow   bool          // and every one slower than SlowerThan
	SlowerThan   time.Duration // looked at only with AlwaysSlow
	// RedactQueryParams names parameters whose values are not shown, in spans neither,
	// beside those that never are; in lower case. "*" stands for all of them.
	RedactQueryParams []string
}

// Named is an id with its name.
type Named struct {
	ID   ID
	Name string
}

// NamedEndpoint is an endpoint's id with its place.
type NamedEndpoint struct {
	ID, Pool ID
	PoolName string
	Address  string
}

// Commit is a policy that began to serve.
type Commit struct {
	*Catalog
	At       time.Time
	Took     time.Duration // from reading the files to the swap
	Initial  bool          // the first policy of this process
	LastGood bool          // restored from the state directory, since the source's own was refused
	// Refresh says that this policy serves already: only the addresses of its
	// endpoints' host names have changed. It is no reload.
	Refresh bool
	// Kept, Added and Removed count endpoints: kept ones go on with their
	// breaker, health, counters and connections.
	Kept, Added, Removed int
	// WindowsReset and HealthReset count those of the kept that a changed setting made
	// forget what their breaker had counted, or how healthy they are.
	WindowsReset, HealthReset int
}

// Rejection is a policy that was refused.
type Rejection struct {
	At   time.Time
	Hash string // empty if the files could not be read
	// Reason labels a metric: unreadable | invalid | listen.
	Reason string
	Err    error // printable, all diagnostics included
}
