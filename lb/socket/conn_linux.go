package socket

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is an accepted connection. It is a [net.Conn] and a [syscall.Conn], to be
// used as a *[net.TCPConn] is.
type Conn struct {
	peer netip.AddrPort

	// polled is the socket once it had to be waited for.
	polled atomic.Pointer[polled]

	// mu guards what follows, which matters until then. No system call made while
	// it is held can block.
	mu            sync.Mutex
	fd            int
	closed        bool
	read, written deadline
}

// polled is a socket the runtime's poller knows.
type polled struct {
	file *os.File
	raw  syscall.RawConn
}

// deadline is one that was set before there was a poller to keep it.
type deadline struct {
	at   time.Time
	past bool // it was in the past already
}

func (d *deadline) set(at time.Time) { *d = deadline{at, !at.IsZero() && time.Until(at) <= 0} }

// poll makes the socket known to the poller.
func (c *Conn) poll() (*polled, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.polled.Load(); p != nil {
		return p, nil
	}
	if c.closed {
		return nil, net.ErrClosed
	}
	file := os.NewFile(uintptr(c.fd), "tcp")
	p := &polled{file: file}
	var err error
	if p.raw, err = file.SyscallConn(); err == nil {
		// Fails if the poller did not take it.
		if err = file.SetReadDeadline(c.read.at); err == nil {
			err = file.SetWriteDeadline(c.written.at)
		}
	}
	if err != nil {
		c.closed = true
		file.Close()
		return nil, err
	}
	c.polled.Store(p)
	return p, nil
}

// attempt calls f with the socket if that is not known to the poller yet.
func (c *Conn) attempt(d *deadline, f func(fd uintptr) bool) (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false, net.ErrClosed
	case c.polled.Load() != nil:
		return false, nil
	case d != nil && d.past:
		return false, os.ErrDeadlineExceeded
	}
	return f(uintptr(c.fd)), nil
}

// SyscallConn returns the socket, to be used without being known to the poller
// until it has to wait.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

// rawConn is a Conn's [syscall.RawConn].
type rawConn Conn

// Read calls f until it reports that it is done, and waits in between for the
// socket to become readable.
func (r *rawConn) Read(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	p := c.polled.Load()
	if p == nil {
		if done, err := c.attempt(&c.read, f); done || err != nil {
			return err
		}
		var err error
		if p, err = c.poll(); err != nil {
			return err
		}
	}
	return closedBy(p.raw.Read(f))
}

// Write is Read for a socket to become writable.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	p := c.polled.Load()
	if p == nil {
		if done, err := c.attempt(&c.written, f); done || err != nil {
			return err
		}
		var err error
		if p, err = c.poll(); err != nil {
			return err
		}
	}
	return closedBy(p.raw.Write(f))
}

// Control calls f with the socket, which must not block.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	done, err := c.attempt(nil, func(fd uintptr) bool {
		f(fd)
		return true
	})
	if done || err != nil {
		return err
	}
	return closedBy(c.polled.Load().raw.Control(f))
}

// closedBy makes of a file's error a connection's.
func closedBy(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return net.ErrClosed // there is no other
}

// Read reads what has come. The end of the connection is [io.EOF].
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	var (
		n   int
		err error
	)
	if e := (*rawConn)(c).Read(func(fd uintptr) bool {
		n, err = again(func() (int, error) { return unix.Read(int(fd), b) })
		return err != unix.EAGAIN
	}); e != nil {
		return 0, c.failed("read", e)
	}
	switch {
	case err != nil:
		return 0, c.failed("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of b, or returns how much of it went before the error.
func (c *Conn) Write(b []byte) (int, error) {
	var (
		n   int
		err error
	)
	if e := (*rawConn)(c).Write(func(fd uintptr) bool {
		for n < len(b) {
			var m int
			m, err = again(func() (int, error) { return unix.SendmsgN(int(fd), b[n:], nil, nil, unix.MSG_NOSIGNAL) })
			if err != nil {
				return err != unix.EAGAIN
			}
			n += m
		}
		return true
	}); e != nil {
		return n, c.failed("write", e)
	}
	if err != nil {
		return n, c.failed("write", err)
	}
	return n, nil
}

// again repeats a system call that was interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close closes the connection. Reads and writes that wait fail with
// [net.ErrClosed].
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.failed("close", net.ErrClosed)
	}
	c.closed = true
	p := c.polled.Load()
	if p == nil {
		// What of it would take long the kernel does behind our back.
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(c.fd), 0, 0)
		c.mu.Unlock()
		if errno != 0 {
			return c.failed("close", errno)
		}
		return nil
	}
	c.mu.Unlock()
	return p.file.Close()
}

// CloseWrite ends the connection's outbound half.
func (c *Conn) CloseWrite() error {
	return c.control("shutdown", func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger is [net.TCPConn.SetLinger].
func (c *Conn) SetLinger(seconds int) error {
	return c.control("set", func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
	})
}

func (c *Conn) control(op string, f func(fd int) error) error {
	var err error
	if e := (*rawConn)(c).Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		err = e
	}
	if err != nil {
		return c.failed(op, err)
	}
	return nil
}

// LocalAddr is the address the connection came to; nil once it is closed.
func (c *Conn) LocalAddr() net.Addr {
	var addr net.Addr
	(*rawConn)(c).Control(func(fd uintptr) {
		sa, err := unix.Getsockname(int(fd))
		if err != nil {
			return
		}
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			addr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
		case *unix.SockaddrInet6:
			addr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr6(sa.Addr, sa.ZoneId), uint16(sa.Port)))
		}
	})
	return addr
}

// RemoteAddr is the address the connection comes from.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// Peer is RemoteAddr without its cost.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// SetDeadline is [net.Conn]'s.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline is [net.Conn]'s.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.read, t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is [net.Conn]'s.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.written, t, (*os.File).SetWriteDeadline)
}

func (c *Conn) setDeadline(d *deadline, t time.Time, set func(*os.File, time.Time) error) error {
	p := c.polled.Load()
	if p == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return net.ErrClosed
		}
		if p = c.polled.Load(); p == nil {
			d.set(t)
			return nil
		}
	}
	return closedBy(set(p.file, t))
}
