package reload

// LastGood keeps the files of the last policy that served, so that a balancer
// started while its source holds a bad policy can serve the last good one. It
// is used by one reload at a time.
type LastGood interface {
	// Load returns the kept files; an error wrapping [io/fs.ErrNotExist] if
	// there are none.
	Load() (Bundle, error)
	// Save replaces the kept files, atomically: after a crash at any moment Load
	// returns the old ones or the new ones. A failure is logged by the caller
	// and tried again at the next reload.
	Save(Bundle) error
}
