// Package session keeps a client at one endpoint: it opens and seals the tickets by
// which clients claim their sessions, and knows where each session is at home.
//
//	sessions := session.New(session.Options{Shared: store, Keys: keys, Events: events})
//	defer sessions.Close()
//	sessions.Start(ctx) // when a policy needs the shared store
//
//	var v session.Visit // of one request
//	sessions.Open(&v, carrier.Realm, text) // what the client brought, or nil
//	home := sessions.Home(&v, persistence, began)
//	if home == session.None {
//		home = pick()
//	}
//	… // the response begins
//	if sessions.Settle(&v, persistence, home, false) {
//		value = sessions.Seal(value, carrier.Realm, &v) // for the client
//	}
//
// [Sessions] are those of all pools and all policies of a process. A [Persistence] is
// how one pool keeps them, a [Carrier] how a route's clients bring their tickets. It
// decides nothing about endpoints: who calls says which are to be had, and calls
// [Sessions.Move] for a session whose home is not waited for any longer.
//
// # Order
//
// For a request Open or [Sessions.Refuse] comes first, then Home for the pool it goes
// to, then Move any number of times, then Settle once an endpoint has answered, and
// Seal if Settle says so. A request that is matched again, by another policy, calls Home
// again, and Open too if its carrier is another one. A request that fails is not
// settled. Home may find that the session is over; then the visit is one of a new
// session, whose [Visit.Number] is another.
//
// # Who knows of homes
//
// In the order in which they are believed: the store ([Memory], or the ticket itself by
// a [CookieStore], or one that is [Shared]); and beside a store, the client's ticket,
// which tells where home was when it was issued. Of a shared store each process
// remembers what it was told. That is good for as long as Watch hears of every change,
// and for a second where it does not.
//
// A binding that the shared store has not confirmed is provisional. It holds here and
// is told the store, with the session's requests, until that answers; the store's word
// is last. [event.MovedByStore] counts where it was another.
//
// # The shared store, and while it is away
//
// A request waits for it in Home, of a session that this process does not know, and
// in Move: for Persistence.Timeout in all. Settle never waits. A new session is told no
// store: its ticket tells, until its client has come back with it. That binding and the
// renewal of old ones go on beside the request. An operation that took too long for
// its request goes on for up to a second, and what it learns is noted.
//
// Under overload at most 128 operations that a request waits for and 32 others are under
// way. What is more is not asked at all and counted as busy: the session goes on by
// what is known, and its next request tries again. A breaker gives a store up that
// fails or is late, and tries it again after 0.5 to 5 s, by the next operation that
// is due. Meanwhile Home tells what is known here, or what the ticket tells, and Move
// moves nobody: it returns None.
//
// # Bounds
//
// Remembered are 131,072 sessions of a shared store, 57,344 tickets that were opened and
// 16,384 sessions whose home is unknown; a [Memory] has room for [MaxBindings]. The
// longest unused are forgotten, of tickets any, and nobody fails for it. A ticket has [SealedLen] bytes,
// and anything of another length is refused before it is looked at.
//
// # Ownership
//
// A [Visit] belongs to its request's goroutine. Everything else may be used by any
// number of goroutines. Each operation of the shared store has a goroutine, and Start
// begins one that watches it and one that sees to the key; Close ends and joins them.
// The store itself is closed by who made it, after that.
package session
