package session

import (
	"math"
	"time"
)

// ID names a session: 128 bits nobody can guess.
type ID [16]byte

// Home names an endpoint of a pool by a number that is the same in every process
// (see pool.HomeOf). It never reaches a client in clear.
type Home uint64

// None is no home.
const None Home = 0

// Stamp is an instant of the years from 1970 to 2105, as far as a ticket has room for
// one: the seconds since 1970 began, in UTC.
type Stamp uint32

// StampOf returns the second that t is in, or the one nearest to it that there is.
func StampOf(t time.Time) Stamp { return Stamp(min(max(t.Unix(), 0), math.MaxUint32)) }

// Time is when the second began.
func (s Stamp) Time() time.Time { return time.Unix(int64(s), 0).UTC() }

// ago is how long before now that was. A request asks often: a [time.Time] would take
// longer.
func (s Stamp) ago(now time.Time) time.Duration {
	return time.Duration(now.UnixNano() - int64(s)*int64(time.Second))
}

// Ticket is what a client carries of its session, sealed by a [Keyring].
type Ticket struct {
	ID      ID
	Created Stamp
	// Seen is about when the session was last used: a ticket is renewed when it is
	// older than an eighth of the idle timeout.
	Seen Stamp
	// Pool and Home are where the session was at home when the ticket was issued. To a
	// [CookieStore] that is the truth; beside any other store it is what is
	// believed while the store cannot be asked, or has lost it.
	Pool uint32
	Home Home
}
