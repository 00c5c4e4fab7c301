//go:build unix && !linux

package wire

// queued would be how many bytes written to a socket the peer has not
// acknowledged: only Linux tells.
func queued(uintptr) int { return -1 }
