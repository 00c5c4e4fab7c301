package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrBufferFull means that what must be whole in memory is larger than the
// buffer for it.
var ErrBufferFull = errors.New("wire: buffer full")

// ErrUnasked means that a peer sent bytes, or closed, before it was asked
// anything: an idle connection that can no longer be used.
var ErrUnasked = errors.New("wire: bytes or a close came before a request was sent")

// ErrStalled means that a peer took nothing of what was to be written in time.
// What it has taken before is not known, so the connection is of no further use
// for writing.
var ErrStalled = errors.New("wire: the peer took nothing of what was written in time")

// Conn is a connection with a buffer each way and deadlines that are moved only
// when they have to be. While nothing is buffered it holds no buffer; but for a
// read that waits, if it is not a socket.
//
// One goroutine may read while another writes; each half belongs to one.
type Conn struct {
	nc  net.Conn
	raw syscall.RawConn // nil: not a socket

	// epoch is what the armed deadlines count from: reading the monotonic clock
	// alone costs half of time.Now.
	epoch time.Time

	// Reading.
	in          []byte // block's bytes, or nil
	block       block
	r, w        int   // buffered: in[r:w]
	hold        int   // in[:hold] is a head that is still in use
	aside       block // where a held head is instead, if little room was left behind it
	read        deadline
	interrupted atomic.Bool
	inPipe      *Pipe // read into, instead of in
	inPipeMax   int64

	// Writing.
	out      []byte // in outBlock, unless it outgrew it
	outBlock block
	write    deadline
	writable func(fd uintptr) bool // writeRaw's step, made once
	unsent   [2][]byte
	outPipe  *Pipe // what is in it comes after unsent
	waits    bool  // the step waits if the socket is full
	writeErr error
	pressure pressure     // see rate.go
	written  atomic.Int64 // bytes, since the connection was opened

	readable func(fd uintptr) bool // runRaw's step, made once
	step     rawStep
	err      error
}

// NewConn wraps nc. If nc is a socket it is read, and now and then written,
// behind nc's back: what wraps one to see its bytes must not show itself as a
// [syscall.Conn].
func NewConn(nc net.Conn) *Conn {
	c := new(Conn)
	c.Open(nc)
	return c
}

// Open makes of a zero or closed Conn what NewConn returns, without its memory.
func (c *Conn) Open(nc net.Conn) {
	*c = Conn{nc: nc, epoch: time.Now(), readable: c.readable, writable: c.writable}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		c.raw = raw
		if c.readable == nil {
			c.readable, c.writable = c.onReadable, c.onWritable
		}
	}
}

// Net is the wrapped connection.
func (c *Conn) Net() net.Conn { return c.nc }

// SetReadTimeout bounds every following read: how long it may wait for its
// first byte. 0 is no bound. The deadline in force may be a little later than
// asked (a twentieth, at most 1 s), so that it need not be moved for every read.
func (c *Conn) SetReadTimeout(d time.Duration) { c.read.within(d, late(d)) }

// SetReadWindow is SetReadTimeout with a lateness of the caller's choice: a read
// fails after least at the earliest and most at the latest.
func (c *Conn) SetReadWindow(least, most time.Duration) { c.read.within(least, most) }

// SetReadEnd bounds every following read by the connection's age too: none waits
// beyond it, but that each may wait for the shortest time. 0 is no such bound.
func (c *Conn) SetReadEnd(age, shortest time.Duration) { c.read.end, c.read.shortest = age, shortest }

// Age is how long ago the connection was opened.
func (c *Conn) Age() time.Duration { return time.Since(c.epoch) }

// AgeAtRead is how old it was when it last began to read, which is known without
// a look at the clock. It is the reader's to call.
func (c *Conn) AgeAtRead() time.Duration { return c.read.asked }

// SetWriteTimeout bounds, as SetReadTimeout does for reads, how long a write may
// go without the peer taking any of it: then it fails with [ErrStalled].
func (c *Conn) SetWriteTimeout(d time.Duration) { c.write.within(d, late(d)) }

// Interrupt makes the read that waits now fail with [os.ErrDeadlineExceeded],
// and every later one until [Conn.Rearm]. Any goroutine may call it.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// Rearm ends an Interrupt. It is the reader's to call, once Interrupt has
// returned.
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
			c.read.by = unknown // look again the next time
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

// A readable connection can say whether a read would return at once, with bytes or
// with an end. A connection that is no socket should be one: else what comes before
// a request was sent cannot be told from its answer.
type readable interface{ Readable() bool }

// unasked is Probe for what is no socket.
func (c *Conn) unasked() error {
	if r, ok := c.nc.(readable); ok && r.Readable() {
		return ErrUnasked
	}
	return nil
}

// Probe reports [ErrUnasked] if the peer has sent anything or has closed, as far
// as is known without waiting. Only a socket can tell, and what is [readable].
func (c *Conn) Probe() error {
	if c.r < c.w {
		return ErrUnasked
	}
	if c.raw == nil {
		return c.unasked()
	}
	// A deadline that has passed since the last read would be found instead.
	if err := c.armRead(); err != nil {
		return err
	}
	c.step = stepPeek
	return c.runRaw()
}

// Ask makes sure that the peer has sent nothing unasked, writes what is pending
// and waits for the first bytes of the answer. On a socket the check costs
// nothing, since it takes the place of the read that finds nothing yet.
//
// [ErrUnasked] means that nothing was written; of any other error too, if what
// was pending still is. A timeout may be followed by another Ask, or, if nothing
// is pending any more, by Fill; [ErrStalled] by neither.
func (c *Conn) Ask() error {
	if c.r < c.w {
		return ErrUnasked
	}
	if c.raw == nil {
		if err := c.unasked(); err != nil {
			return err
		}
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

// Pending is what is gathered to be written; append to it and give it back with
// [Conn.SetPending].
func (c *Conn) Pending() []byte {
	if c.out == nil {
		c.outBlock.small = buffers.Get().(*[bufferSize]byte)
		c.out = c.outBlock.small[:0]
	}
	return c.out
}

// SetPending sets what is gathered to be written.
func (c *Conn) SetPending(b []byte) { c.out = b }

// HasPending reports whether anything is gathered.
func (c *Conn) HasPending() bool { return len(c.out) > 0 }

func (c *Conn) dropOut() {
	c.outBlock.giveBack()
	c.out = nil
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

// writeOut writes what is gathered and then p.
func (c *Conn) writeOut(p []byte) error {
	defer c.dropOut()
	if c.raw != nil {
		c.unsent = [2][]byte{c.out, p}
		defer func() { c.unsent = [2][]byte{} }()
		return c.writeRaw()
	}
	if err := c.armWrite(); err != nil {
		return err
	}
	sent := 0 // since the deadline was set
	for _, p := range [2][]byte{c.out, p} {
		for len(p) > 0 {
			n, err := c.nc.Write(p)
			p, sent = p[n:], sent+n
			c.written.Add(int64(n))
			if err == nil {
				continue
			}
			if err := c.stalled(sent, err); err != nil {
				return err
			}
			sent = 0
		}
	}
	return nil
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
	c.r, c.w = 0, 0
	c.Unhold()
	c.Release()
	c.dropOut()
	return err
}
