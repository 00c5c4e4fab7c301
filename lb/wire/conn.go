package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	bufferSize      = 16 << 10
	largeBufferSize = 64 << 10
	// GatherLimit is how many bytes a [Conn] gathers before it writes.
	GatherLimit = bufferSize
)

var (
	buffers      = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBufferSize]byte) }}
)

// ErrBufferFull means that what must be whole in memory is larger than the
// buffer for it.
var ErrBufferFull = errors.New("wire: buffer full")

// ErrUnasked means that a peer sent bytes, or closed, before it was asked
// anything: an idle connection that can no longer be used.
var ErrUnasked = errors.New("wire: bytes or a close came before a request was sent")

// Conn is a connection with a buffer each way and deadlines that are moved only
// when they have to be. While nothing is buffered it holds no buffer.
//
// One goroutine may read while another writes; each half belongs to one.
type Conn struct {
	nc  net.Conn
	raw syscall.RawConn // nil: not a socket

	// epoch is what the armed deadlines count from: reading the monotonic clock
	// alone costs half of time.Now.
	epoch time.Time

	// Reading.
	in          []byte // the pooled buffer, or nil
	small       *[bufferSize]byte
	large       *[largeBufferSize]byte
	r, w        int // buffered: in[r:w]
	hold        int // in[:hold] is a head that is still in use
	read        deadline
	interrupted atomic.Bool

	// Writing.
	out      []byte
	outSmall *[bufferSize]byte
	write    deadline
	vec      net.Buffers
	vecStore [2][]byte

	readable func(fd uintptr) bool // fillRaw's and exchangeRaw's step, made once
	step     rawStep
	n        int
	err      error
}

// NewConn wraps nc.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, epoch: time.Now()}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			c.readable = c.onReadable
		}
	}
	return c
}

// Net is the wrapped connection.
func (c *Conn) Net() net.Conn { return c.nc }

// Buffered returns what was read and not consumed. It is valid until the next
// Fill.
func (c *Conn) Buffered() []byte { return c.in[c.r:c.w] }

// Discard consumes n buffered bytes.
func (c *Conn) Discard(n int) { c.r += n }

// Hold keeps everything consumed so far in its place, and so valid, until
// [Conn.Unhold]: a head while its body is read.
func (c *Conn) Hold() { c.hold = c.r }

// Unhold ends Hold.
func (c *Conn) Unhold() { c.hold = 0 }

// Release gives the inbound buffer back if nothing in it is needed.
func (c *Conn) Release() {
	if c.r < c.w || c.hold > 0 || c.in == nil {
		return
	}
	c.giveBack()
	c.r, c.w, c.hold = 0, 0, 0
}

func (c *Conn) giveBack() {
	switch {
	case c.small != nil:
		buffers.Put(c.small)
	case c.large != nil:
		largeBuffers.Put(c.large)
	}
	c.in, c.small, c.large = nil, nil, nil
}

func (c *Conn) take() {
	if c.in == nil {
		c.small = buffers.Get().(*[bufferSize]byte)
		c.in = c.small[:]
	}
}

// Grow makes the inbound buffer a large one, for a head that needs it or a long
// body. A held head keeps the buffer it is in.
func (c *Conn) Grow() {
	if c.large != nil || c.hold > 0 && c.small != nil {
		return
	}
	c.grow()
}

func (c *Conn) grow() {
	large := largeBuffers.Get().(*[largeBufferSize]byte)
	n := copy(large[:], c.in[c.r:c.w])
	c.giveBack()
	c.large, c.in = large, large[:]
	c.r, c.w = 0, n
}

// room makes space at the end of the buffer, by moving what is buffered to the
// front (or behind the held head).
func (c *Conn) room() error {
	c.take()
	if c.r == c.w {
		c.r, c.w = c.hold, c.hold
	}
	if c.w < len(c.in) {
		return nil
	}
	if c.r > c.hold {
		c.w = c.hold + copy(c.in[c.hold:], c.in[c.r:c.w])
		c.r = c.hold
		return nil
	}
	if c.hold == 0 && c.large == nil {
		c.grow()
		return nil
	}
	return ErrBufferFull
}

// SetReadTimeout bounds every following read: how long it may wait for its
// first byte. 0 is no bound. The deadline in force may be a little later than
// asked (a twentieth, at most 1 s), so that it need not be moved for every read.
func (c *Conn) SetReadTimeout(d time.Duration) { c.read.within(d, d+slack(d)) }

// SetReadWindow is SetReadTimeout with a lateness of the caller's choice: a read
// fails after least at the earliest and most at the latest.
func (c *Conn) SetReadWindow(least, most time.Duration) { c.read.within(least, most) }

// SetWriteTimeout bounds every following write as SetReadTimeout does reads.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.write.within(d, d+slack(d)) }

// Interrupt makes the read that waits now fail with [os.ErrDeadlineExceeded],
// and every later one until [Conn.Rearm]. Any goroutine may call it.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// Rearm ends an Interrupt. It is the reader's to call.
func (c *Conn) Rearm() {
	c.interrupted.Store(false)
	c.read.by = unknown
}

// armRead puts the read timeout in force. An Interrupt that the deadline set
// here overtakes is seen by the check behind it.
func (c *Conn) armRead() error {
	if by, move := c.read.arm(c.epoch); move {
		if err := c.nc.SetReadDeadline(by); err != nil {
			return err
		}
		if c.interrupted.Load() {
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

func (c *Conn) armWrite() error {
	if by, move := c.write.arm(c.epoch); move {
		return c.nc.SetWriteDeadline(by)
	}
	return nil
}

// Fill reads once, at least one byte, to the end of what is buffered. The end of
// the connection is [io.EOF].
func (c *Conn) Fill() error {
	if err := c.armRead(); err != nil {
		return err
	}
	if c.raw != nil {
		c.step = stepRead
		return c.runRaw()
	}
	if err := c.room(); err != nil {
		return err
	}
	n, err := c.nc.Read(c.in[c.w:])
	if n > 0 {
		c.w += n
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	c.Release()
	return err
}

// Probe reports [ErrUnasked] if the peer has sent anything or has closed, as far
// as is known without waiting. Only a socket can tell.
func (c *Conn) Probe() error {
	if c.r < c.w {
		return ErrUnasked
	}
	if c.raw == nil {
		return nil
	}
	c.step = stepPeek
	return c.runRaw()
}

// Ask makes sure that the peer has sent nothing unasked, writes what is pending
// and waits for the first bytes of the answer. On a socket the check costs
// nothing, since it takes the place of the read that finds nothing yet.
// [ErrUnasked] means that nothing was written.
func (c *Conn) Ask() error {
	if c.r < c.w {
		return ErrUnasked
	}
	if err := c.armWrite(); err != nil {
		return err
	}
	if c.raw == nil {
		if err := c.Flush(); err != nil {
			return err
		}
		return c.Fill()
	}
	if err := c.armRead(); err != nil {
		return err
	}
	c.step = stepProbe
	return c.runRaw()
}

type rawStep uint8

const (
	stepRead  rawStep = iota // read; wait if there is nothing
	stepProbe                // expect nothing, write, then wait
	stepPeek                 // expect nothing, do not wait
	stepFlush                // the write came short: leave, flush, come back
)

// runRaw performs the step by the socket's own poller.
func (c *Conn) runRaw() error {
	for {
		c.n, c.err = 0, nil
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
		c.err = &net.OpError{Op: "read", Net: "tcp", Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(), Err: err}
	case n == 0:
		c.err = io.EOF
	default:
		c.w += n
		c.n = n
	}
	return true
}

// sendRaw writes what is pending from inside the poller's wait, after the probe
// has found the socket empty: what comes from now on is the answer, and the
// poller wakes for it.
func (c *Conn) sendRaw(fd uintptr) bool {
	if len(c.out) == 0 {
		c.step = stepRead
		return false
	}
	n, err := rawWrite(fd, c.out)
	if err != nil && err != syscall.EAGAIN {
		c.err = &net.OpError{Op: "write", Net: "tcp", Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(), Err: err}
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

// Pending is what is gathered to be written; append to it and give it back with
// [Conn.SetPending].
func (c *Conn) Pending() []byte {
	if c.out == nil {
		c.outSmall = buffers.Get().(*[bufferSize]byte)
		c.out = c.outSmall[:0]
	}
	return c.out
}

// SetPending sets what is gathered to be written.
func (c *Conn) SetPending(b []byte) { c.out = b }

// HasPending reports whether anything is gathered.
func (c *Conn) HasPending() bool { return len(c.out) > 0 }

func (c *Conn) dropOut() {
	if c.outSmall != nil {
		buffers.Put(c.outSmall)
	}
	c.out, c.outSmall = nil, nil
}

// Write gathers p, or writes it at once together with what is gathered if there
// is much of it.
func (c *Conn) Write(p []byte) error {
	out := c.Pending()
	if len(out)+len(p) <= GatherLimit {
		c.out = append(out, p...)
		return nil
	}
	return c.writeOut(p)
}

// Flush writes what is gathered.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		c.dropOut()
		return nil
	}
	return c.writeOut(nil)
}

func (c *Conn) writeOut(p []byte) error {
	if err := c.armWrite(); err != nil {
		return err
	}
	defer c.dropOut()
	if len(p) == 0 {
		_, err := c.nc.Write(c.out)
		return err
	}
	if len(c.out) == 0 {
		_, err := c.nc.Write(p)
		return err
	}
	c.vecStore[0], c.vecStore[1] = c.out, p
	c.vec = c.vecStore[:]
	_, err := c.vec.WriteTo(c.nc)
	c.vecStore[0], c.vecStore[1] = nil, nil
	return err
}

// CloseWrite ends the outbound half if the connection can, else does nothing.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// Close closes the connection and gives its buffers back. The goroutines using
// it must be done.
func (c *Conn) Close() error {
	err := c.nc.Close()
	c.r, c.w, c.hold = 0, 0, 0
	c.Release()
	c.dropOut()
	return err
}
