package event

import "time"

// SessionOperation is what the shared session store was asked for. Its values label a
// metric.
type SessionOperation string

const (
	SessionFind   SessionOperation = "find"   // where a session is at home
	SessionBind   SessionOperation = "bind"   // to give it a home unless it has one
	SessionRebind SessionOperation = "rebind" // to give it another one
	SessionTouch  SessionOperation = "touch"  // to keep it
	SessionAgree  SessionOperation = "agree"  // for the key that tickets are sealed by
)

// SessionOperations lists every [SessionOperation].
var SessionOperations = []SessionOperation{SessionFind, SessionBind, SessionRebind, SessionTouch, SessionAgree}

// SessionResult is what came of it. Its values label a metric.
type SessionResult string

const (
	SessionOK         SessionResult = "ok"
	SessionError      SessionResult = "error"
	SessionTimeout    SessionResult = "timeout"
	SessionUnreadable SessionResult = "unreadable" // what it holds is garbage, or of a newer release
	SessionBusy       SessionResult = "busy"       // it was not asked: too much was under way
)

// SessionResults lists every [SessionResult].
var SessionResults = []SessionResult{SessionOK, SessionError, SessionTimeout, SessionUnreadable, SessionBusy}

// SessionAsked is an operation of the shared session store.
type SessionAsked struct {
	Operation SessionOperation
	Result    SessionResult
	Took      time.Duration // 0 of one that was left out
}

// MoveReason says why a session has another home than before. Its values label a
// metric.
type MoveReason string

const (
	MovedGone        MoveReason = "gone"        // its endpoint was removed, or has weight 0
	MovedDrained     MoveReason = "drained"     // its endpoint drains, and took as long as it may or failed
	MovedUnavailable MoveReason = "unavailable" // its endpoint was not eligible, and the policy says Rebind
	MovedByStore     MoveReason = "store"       // the shared store, back again, had another home for it
	MovedByWeight    MoveReason = "weight"      // its route's weights give it to another pool
)

// MoveReasons lists every [MoveReason].
var MoveReasons = []MoveReason{MovedGone, MovedDrained, MovedUnavailable, MovedByStore, MovedByWeight}

// SessionMove is a session that has another home than before.
type SessionMove struct {
	Pool     ID
	PoolName string
	Reason   MoveReason
}

// SessionRefusals lists why a ticket, by which a client claims a session, is refused.
// They label a metric.
var SessionRefusals = []string{"length", "malformed", "version", "key", "forged", "duplicate", "expired", "unreadable"}

// SessionStoreChange is a shared session store that is no longer asked, or is again.
type SessionStoreChange struct {
	Away bool
	Err  error // the last of it; nil if it is back
	At   time.Time
}

// SessionUse is how a request's session was served.
type SessionUse uint8

const (
	NoSession    SessionUse = iota // its pool keeps none
	SessionNew                     // it has none yet, and was given one
	SessionHome                    // at its home
	SessionAway                    // elsewhere, since its home is not eligible; it returns
	SessionMoved                   // elsewhere, which is its home from now on

	SessionUses // how many there are
)

func (u SessionUse) String() string {
	return [SessionUses]string{"", "new", "home", "away", "moved"}[u]
}
