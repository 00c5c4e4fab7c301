package load

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All calls go past the Go scheduler: the descriptors are non-blocking, and
// nothing else wants to run in this process.

// epollWait is epoll_pwait2: unlike epoll_wait, its timeout is finer than a
// millisecond, which the open loop needs. It appeared in Linux 5.11.
func epollWait(epoll int, events []unix.EpollEvent, timeout *unix.Timespec) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	return int(n), errnoErr(errno)
}

func read(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errnoErr(errno)
}

func write(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errnoErr(errno)
}

func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
