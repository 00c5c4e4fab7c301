package wire

import (
	"syscall"
	"unsafe"
)

// On Linux the socket calls are used, and without telling the scheduler: recvfrom
// and sendto pass by the file layer that read and write go through, and a call
// that cannot block needs nobody to stand in for it. Together that is a
// twentieth of what a small request costs.

// rawRead reads what a non-blocking socket has, past interruptions.
func rawRead(fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
		if errno != syscall.EINTR {
			return outcome(n, errno)
		}
	}
}

// rawSend writes what a non-blocking socket takes of a and then b, past
// interruptions.
func rawSend(fd uintptr, a, b []byte) (int, error) {
	if len(a) == 0 {
		a, b = b, nil
	}
	const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	for {
		var (
			n     uintptr
			errno syscall.Errno
		)
		if len(b) == 0 {
			n, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
				uintptr(unsafe.Pointer(unsafe.SliceData(a))), uintptr(len(a)), flags, 0, 0)
		} else {
			both := [2]syscall.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
			both[0].SetLen(len(a))
			both[1].SetLen(len(b))
			message := syscall.Msghdr{Iov: &both[0], Iovlen: 2}
			n, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&message)), flags)
		}
		if errno != syscall.EINTR {
			return outcome(n, errno)
		}
	}
}

// outcome is what a raw call returned, as others return it.
func outcome(n uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, syscall.EAGAIN // as a constant: the conversion would allocate
	}
	return 0, errno
}
