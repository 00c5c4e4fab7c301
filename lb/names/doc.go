// Package names knows the addresses of endpoints that a policy names by a host
// name: it looks the names up again and again, and keeps the last good answer of
// each.
//
//	book := names.New(names.Options{Resolve: resolve, Events: events})
//	defer book.Close()
//
//	wanted := names.Of(policy)
//	if err := book.Learn(ctx, wanted); err != nil { // waits a moment for new names
//		return err
//	}
//	serve(book.Expand(policy)) // an endpoint for each address
//	book.Keep(wanted)          // and forgets all others
//
//	for range book.Changed() {
//		serve(book.Expand(policy)) // the same policy, with other addresses
//	}
//
// # When a name is looked up
//
// At once when it is new; then after the shortest resolveInterval of the pools
// that name it, give or take a tenth, or after the answer's time to live where
// the resolver tells one that is shorter, but not sooner than after a second.
// After a failure it is tried again in 1 s, 2 s, 4 s and so on up to the
// interval. A name is looked up once for all pools that have it, however it is
// capitalised.
//
// # What an answer changes
//
// A good answer replaces the addresses there were. A failed or an empty one
// changes nothing: a resolver in trouble says nothing of the servers, and a
// server that is really gone is found out by its breaker and its checks.
//
// # Ownership
//
// Each name has a goroutine, which [Book.Learn] starts and [Book.Keep] or
// [Book.Close] ends; Close joins them all. At most 16 look-ups run at a time,
// each of at most 5 s; those of more names wait for their turn. Learn, Keep and
// Close are called by one goroutine at a time, everything else by any.
package names
