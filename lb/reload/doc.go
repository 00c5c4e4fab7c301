// Package reload replaces the policy that serves by the one its source holds:
// wholly or not at all, and without forgetting what is known of the endpoints.
//
//	reloader := reload.New(reload.Options{
//		Source:   dir,      // where policies come from
//		LastGood: stateDir, // where the one that serves is kept
//		Names:    book,     // addresses of endpoints' host names
//		Registry: registry, // live endpoints, lent to one policy after another
//		Current:  current,  // what the request path reads
//		Prepare:  prepare,  // opens listeners, for one
//		Events:   events,
//		Logger:   logger,
//	})
//	if err := reloader.Start(ctx); err != nil {
//		return err // nothing serves
//	}
//	reloader.Run(ctx) // until ctx ends
//
// # The sequence
//
// Read, hash, load, compile, prepare, swap, commit, keep, tell. All that can
// fail comes before the swap, and until then nothing that serves is touched:
// what was prepared is rolled back in reverse order, the last good policy goes
// on, and [Reloader.LastError] says why until a later success. After the swap
// nothing can fail: a policy that cannot be kept on disk serves all the same.
//
// A policy is known by its hash and revision. What serves already is not loaded
// again. A policy found invalid is not looked at again until it changes or
// somebody forces it; one that failed for another reason (a port taken, files
// that cannot be read) is tried again every time, and told of once.
//
// # Names
//
// A policy that names endpoints by host names is compiled with the addresses
// they have. When those change, the same policy is compiled and swapped in once
// more. That is no reload: when it was loaded, what is kept as last good, and
// what a refusal says stay as they are, and it is told as a commit with Refresh.
//
// # Ordering
//
// One reload runs at a time, whoever asks: [Reloader.Run] on behalf of the
// source, [Reloader.Reload] on behalf of an operator. A bad policy, or a panic
// on the way to the swap, ends that one reload and never the watching.
package reload
