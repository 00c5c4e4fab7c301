package stage

import (
	"errors"
	"net"
	"syscall"
)

// Readable says whether a read of a connection would not wait: bytes, or the end, have
// come.
func Readable(c *net.TCPConn) (is bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = !errors.Is(err, syscall.EAGAIN)
	})
	return is || err != nil
}
