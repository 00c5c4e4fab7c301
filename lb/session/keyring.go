package session

// Key is the secret that tickets are sealed by: 256 bits.
type Key [32]byte
