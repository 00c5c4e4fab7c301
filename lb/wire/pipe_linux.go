package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is the capacity asked for, as if each buffer in a pipe were a page: 64
// buffers. All pipes at once then stay within what one user may have without
// privilege (pipe-user-pages-soft, pipe(7)). Of 64 KiB, 256 KiB, 512 KiB and 1 MiB
// it cost the least CPU for bodies of 1 MiB.
const pipeSize = 256 << 10

func newPipe() *Pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	// If it may not be so large, a smaller one will do.
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return &Pipe{r: fds[0], w: fds[1]}
}

func (p *Pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// spliceIn moves up to max bytes from a socket into the pipe.
func (p *Pipe) spliceIn(fd uintptr, max int64) (int, error) {
	n, err := rawSplice(fd, uintptr(p.w), max)
	p.n += n
	return n, err
}

// spliceOut moves what the socket takes out of the pipe.
func (p *Pipe) spliceOut(fd uintptr) error {
	n, err := rawSplice(uintptr(p.r), fd, int64(p.n))
	p.n -= n
	return err
}

func rawSplice(from, to uintptr, max int64) (int, error) {
	const flags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, from, 0, to, 0, uintptr(min(max, maxSplice)), flags)
		if errno != syscall.EINTR {
			return outcome(n, errno)
		}
	}
}

const maxSplice = 1 << 20
