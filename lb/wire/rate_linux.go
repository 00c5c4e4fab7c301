package wire

import (
	"syscall"
	"unsafe"
)

// queued is how many bytes written to a TCP socket the peer has not acknowledged
// (SIOCOUTQ, tcp(7)); -1 if the system does not tell.
func queued(fd uintptr) int {
	var n int32
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return -1
	}
	return int(n)
}
