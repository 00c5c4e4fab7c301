package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

type rawStep uint8

const (
	stepRead   rawStep = iota // read; wait if there is nothing
	stepProbe                 // expect nothing, write, then wait
	stepPeek                  // expect nothing, do not wait
	stepFlush                 // the write came short: leave, flush, come back
	stepSplice                // read into a pipe; wait if there is nothing
)

// runRaw performs the step by the socket's own poller.
func (c *Conn) runRaw() error {
	for {
		c.err = nil
		if err := c.raw.Read(c.readable); err != nil {
			c.Release()
			return err
		}
		switch {
		case c.err != nil:
			c.Release()
			return c.err
		case c.step == stepFlush:
			if err := c.Flush(); err != nil {
				c.dropOut() // some of it went
				return err
			}
			c.step = stepRead
		default:
			return nil
		}
	}
}

// onReadable is called with the socket when it may be readable, first of all
// before any wait. It reports whether the wait is over.
func (c *Conn) onReadable(fd uintptr) bool {
	if c.step == stepSplice {
		return c.spliceRaw(fd)
	}
	if c.err = c.room(); c.err != nil {
		return true
	}
	n, err := rawRead(fd, c.in[c.w:])
	if err == syscall.EAGAIN {
		switch c.step {
		case stepProbe:
			return c.sendRaw(fd)
		case stepPeek:
			c.Release()
			return true
		}
		c.Release() // a waiting connection holds no buffer
		return false
	}
	if c.step != stepRead {
		c.err = ErrUnasked
		return true
	}
	switch {
	case err != nil:
		c.err = c.failed("read", err)
	case n == 0:
		c.err = io.EOF
	default:
		c.w += n
	}
	return true
}

// spliceRaw is onReadable for a pipe.
func (c *Conn) spliceRaw(fd uintptr) bool {
	n, err := c.inPipe.spliceIn(fd, c.inPipeMax)
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		c.err = c.failed("splice", err)
	case n == 0:
		c.err = io.EOF
	}
	return true
}

// failed says what failed, and on which connection. It is called while the socket
// is held (see socket.Conn), and so must not ask it for anything: LocalAddr would
// wait for ever for the hold to end.
func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: c.nc.RemoteAddr(), Err: err}
}

// sendRaw writes what is pending from inside the poller's wait, after the probe
// has found the socket empty: what comes from now on is the answer, and the
// poller wakes for it.
func (c *Conn) sendRaw(fd uintptr) bool {
	if len(c.out) == 0 {
		c.step = stepRead
		c.Release()
		return false
	}
	n, err := rawSend(fd, c.out, nil)
	if err != nil && err != syscall.EAGAIN {
		c.err = c.failed("write", err)
		return true
	}
	c.written.Add(int64(n))
	if n < len(c.out) {
		c.out = append(c.out[:0], c.out[n:]...)
		c.step = stepFlush
		return true
	}
	c.dropOut()
	c.step = stepRead
	c.Release()
	return false
}

// errFull means that a write would have to wait.
var errFull = errors.New("wire: the socket is full")

// writeRaw writes what is unsent and in the pipe. The deadline is looked after
// only if that has to wait: most writes do not.
func (c *Conn) writeRaw() error {
	c.pressure.marked, c.waits = false, false
	for {
		before := c.left()
		c.writeErr = nil
		err := c.raw.Write(c.writable)
		switch {
		case err == nil && c.writeErr == errFull:
			c.waits = true
			err = c.armWrite()
		case err == nil:
			return c.writeErr
		case !c.waits && errors.Is(err, os.ErrDeadlineExceeded):
			// An earlier write waited, and its deadline has passed since.
			c.write.by = none
			err = c.nc.SetWriteDeadline(time.Time{})
		default:
			err = c.stalled(before-c.left(), err)
		}
		if err != nil {
			return err
		}
	}
}

// left is how many bytes writeRaw has still to write.
func (c *Conn) left() int {
	n := len(c.unsent[0]) + len(c.unsent[1])
	if c.outPipe != nil {
		n += c.outPipe.n
	}
	return n
}

// onWritable is called with the socket when it may be writable, first of all
// before any wait. It reports whether the wait is over.
func (c *Conn) onWritable(fd uintptr) bool {
	for c.left() > 0 {
		err := c.sendSome(fd)
		switch {
		case err == syscall.EAGAIN && c.waits:
			c.pressure.wait(fd)
			return false
		case err == syscall.EAGAIN:
			c.writeErr = errFull
			return true
		case err != nil:
			c.writeErr = c.failed("write", err)
			return true
		}
	}
	return true
}

// sendSome writes as much of what is unsent, or else of what is in the pipe, as
// the socket takes at once.
func (c *Conn) sendSome(fd uintptr) error {
	u := &c.unsent
	if len(u[0])+len(u[1]) == 0 {
		before := c.outPipe.n
		err := c.outPipe.spliceOut(fd)
		c.written.Add(int64(before - c.outPipe.n))
		return err
	}
	n, err := rawSend(fd, u[0], u[1])
	c.written.Add(int64(n))
	first := min(n, len(u[0]))
	u[0], u[1] = u[0][first:], u[1][n-first:]
	return err
}
