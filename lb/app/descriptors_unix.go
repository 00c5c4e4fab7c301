//go:build unix

package app

import "syscall"

// descriptors is how many file descriptors the process may have open; 0 if that
// is not known.
func descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<30))
}
