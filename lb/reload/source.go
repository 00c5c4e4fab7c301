package reload

import "context"

// Source is where policies come from: a watched directory in production
// (package source), a script in the simulator.
type Source interface {
	// Read returns the policy's files as they are now: all of one moment, never
	// half of an old set and half of a new one. A source that vanished is an
	// error, not an empty policy. Read ends early, with ctx's error, when ctx
	// does. The caller does not change what it gets.
	Read(ctx context.Context) (Bundle, error)
	// Changed delivers when the files may have changed since the last Read. It
	// says "maybe": spurious deliveries are harmless, and several changes may
	// come as one. After the last change of any number there is a delivery.
	Changed() <-chan struct{}
}

// Bundle is the files of one policy.
type Bundle struct {
	Files    map[string][]byte // by base name
	Revision string            // what the source calls this state, such as a git commit; may be empty
}
