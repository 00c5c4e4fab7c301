package app

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptGrace is how long the kernel may keep a connection back, see
// [deferAccept]. A listener goes on accepting for so long when it is closed,
// lest those connections be reset.
const acceptGrace = time.Second

// deferAccept makes the kernel hand over a connection only once its first bytes
// have come, or after a second: a wake-up less for each connection.
func deferAccept(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(acceptGrace/time.Second))
	}); e != nil {
		return e
	}
	return err
}
