//go:build unix && !linux

package wire

import "syscall"

// rawRead reads what a non-blocking socket has, past interruptions.
func rawRead(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// rawSend writes what a non-blocking socket takes of a or, if that is empty, of
// b, past interruptions.
func rawSend(fd uintptr, a, b []byte) (int, error) {
	if len(a) == 0 {
		a = b
	}
	for {
		n, err := syscall.Write(int(fd), a)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
