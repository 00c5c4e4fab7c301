package reload

// Prepared is what somebody made ready for a policy that does not serve yet,
// such as opened listeners. Exactly one of its methods is called, once.
type Prepared interface {
	// Commit takes what was prepared into use, and lets go of what the policy
	// before it used. The new policy serves already. It cannot fail.
	Commit()
	// Rollback undoes the preparation: the policy was refused after all.
	Rollback()
}
