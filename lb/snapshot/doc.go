// Package snapshot is a policy made ready to serve: routes that can be matched
// quickly, filters ready to append, pools of live endpoints.
//
//	staged, err := snapshot.Compile(policy, revision, registry) // nothing live is touched
//	if err != nil {
//		return err
//	}
//	staged.Commit(&current, time.Now())
//
//	s := current.Load() // once a request
//	m := s.Match(&snapshot.Request{Method: method, Host: host, Path: path})
//	if m.Route == nil {
//		return notFound
//	}
//	p := m.Route.Pick(rand.Uint64()).Pool
//
// # Which route matches
//
// Precedence is Gateway API's
// (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule). Of all rules
// that match a request, one wins by, in this order:
//
//  1. the hostname: exact, then the longest wildcard, then any host;
//  2. the path: exact, then a regular expression, the longest pattern first,
//     then the longest prefix. (Gateway API leaves the place of expressions
//     open. After prefixes, the usual catch-all "/" would hide them all.)
//  3. having a method;
//  4. the number of headers, then of query parameters, it asks for;
//  5. file order.
//
// A more specific host does not hide a less specific one: if none of its rules
// matches, those of the next host are tried. "*.example.com" stands for one or
// more labels.
//
// # Hosts and paths, as they are compared
//
// A host is compared without its port, without one final dot and without regard
// to case. A path is compared byte by byte as it was received, without the
// query: nothing is percent-decoded and "//" is not "/". So whoever calls Match
// must have dealt with paths that an endpoint could read otherwise: dot segments
// (also as %2e) must have been resolved or refused, or else /public/../private
// would be routed as /public and served as /private. A prefix matches whole path
// elements: /a matches /a, /a/ and /a/b, but not /ab. Only a regular expression
// can match a path that does not begin with "/", such as the "*" of OPTIONS.
//
// # Concurrency
//
// A Snapshot is immutable and may be used by any number of goroutines. Compile,
// Commit and Discard belong to the one that reloads. A request loads the
// snapshot once; it loads it again and starts over only if its pool refuses it
// and the snapshot is no longer the current one: the endpoints it knew may have
// been removed meanwhile.
package snapshot
