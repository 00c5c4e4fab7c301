package wire

import (
	"io"
	"net"
	"syscall"
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
	n, err := rawWrite(fd, c.out)
	if err != nil && err != syscall.EAGAIN {
		c.err = c.failed("write", err)
		return true
	}
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

// writeRaw writes all of b, waiting as often as the socket is full, or returns how
// much of it went before the error.
func (c *Conn) writeRaw(b []byte) (int, error) {
	c.unsent, c.writeErr = b, nil
	err := c.raw.Write(c.writable)
	n := len(b) - len(c.unsent)
	c.unsent = nil
	if err == nil {
		err = c.writeErr
	}
	return n, err
}

// onWritable is called with the socket when it may be writable, first of all
// before any wait. It reports whether the wait is over.
func (c *Conn) onWritable(fd uintptr) bool {
	for c.outPipe != nil && c.outPipe.n > 0 {
		err := c.outPipe.spliceOut(fd)
		if err == syscall.EAGAIN {
			c.pressure.wait(fd)
			return false
		}
		if err != nil {
			c.writeErr = c.failed("splice", err)
			return true
		}
	}
	for len(c.unsent) > 0 {
		n, err := rawWrite(fd, c.unsent)
		if err == syscall.EAGAIN {
			c.pressure.wait(fd)
			return false
		}
		if err != nil {
			c.writeErr = c.failed("write", err)
			return true
		}
		c.unsent = c.unsent[n:]
	}
	return true
}
