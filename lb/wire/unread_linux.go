package wire

import "golang.org/x/sys/unix"

// unread says whether a peer that has closed a TCP socket has acknowledged none of the
// last n bytes written to it and answered them with a reset; known says whether that can
// be said already.
func unread(fd uintptr, n int64) (is, known bool) {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return false, true
	}
	// What a reset found in the queue is still counted.
	reset, none := info.State == unix.BPF_TCP_CLOSE, int64(queued(fd)) >= n
	return reset && none, reset || !none
}
