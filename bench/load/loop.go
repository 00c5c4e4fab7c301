package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// readSize is the size of the one buffer everything is read into, in bytes.
const readSize = 128 << 10

// handler owns one descriptor of a loop.
type handler interface {
	// ready is told that the descriptor may have become readable or writable
	// (edge-triggered).
	ready(l *loop, events uint32)
}

// loop is a single-threaded, edge-triggered epoll loop. Generator and backend
// share one, so that both together cost the core they share as little as can
// be: one system call collects the events of both sides.
type loop struct {
	epoll    int
	handlers []handler // by descriptor
	events   [512]unix.EpollEvent
	buf      []byte
	failures failures
	awake    bool // it looks for events all the time: see [Spec]
}

// failures counts what went wrong and keeps the first to show.
type failures struct {
	count int
	first string
}

func (f *failures) add(format string, args ...any) {
	if f.count++; f.count == 1 {
		f.first = fmt.Sprintf(format, args...)
	}
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &loop{epoll: fd, buf: make([]byte, readSize)}, nil
}

func (l *loop) add(fd int, h handler) error {
	for len(l.handlers) <= fd {
		l.handlers = append(l.handlers, nil)
	}
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     int32(fd),
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	l.handlers[fd] = h
	return nil
}

// close closes a descriptor, which also takes it out of the epoll set.
func (l *loop) close(fd int) {
	l.handlers[fd] = nil
	unix.Close(fd)
}

// poll waits for events until a deadline (zero: for ever) and handles them.
func (l *loop) poll(deadline time.Time) error {
	var timeout *unix.Timespec
	if l.awake {
		timeout = new(unix.Timespec)
	} else if !deadline.IsZero() {
		ts := unix.NsecToTimespec(max(0, int64(time.Until(deadline))))
		timeout = &ts
	}
	n, err := epollWait(l.epoll, l.events[:], timeout)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("epoll_pwait2: %w", err)
	}
	for i := range n {
		ev := &l.events[i]
		// A handler may have closed the next one's descriptor.
		if h := l.handlers[ev.Fd]; h != nil {
			h.ready(l, ev.Events)
		}
	}
	return nil
}
