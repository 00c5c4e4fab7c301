package session

import "time"

// ID names a session: 128 bits nobody can guess.
type ID [16]byte

// Home names an endpoint of a pool by a number that is the same in every process
// (see pool.HomeOf). It never reaches a client in clear.
type Home uint64

// None is no home.
const None Home = 0

// Ticket is what a client carries of its session, sealed by a [Keyring]. The
// times have whole seconds.
type Ticket struct {
	ID      ID
	Created time.Time
	// Seen is about when the session was last used: a ticket is renewed when it is
	// older than an eighth of the idle timeout.
	Seen time.Time
	// Pool and Home are where the session was at home when the ticket was issued. To a
	// [CookieStore] that is the truth; beside any other store it is what is
	// believed while the store cannot be asked, or has lost it.
	Pool uint32
	Home Home
}
