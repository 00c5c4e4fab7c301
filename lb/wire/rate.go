package wire

import (
	"errors"
	"math"
	"os"
	"time"
)

// A peer that says or takes a byte now and then is never silent, and could hold
// a connection for ever. Least rates bound that. They count only the time that
// was spent waiting for the peer: what the other side of the proxy needs, and a
// stream that has nothing to say, is never held against it. While nothing has to
// be waited for they cost nothing.

// pace is a least rate for reading: of the time spent waiting, as much as a
// silence may last is free, and the rest must be earned by bytes.
type pace struct {
	silence time.Duration // longest single wait; 0: the connection's timeout holds
	rate    int           // bytes a second; 0: only silence is bounded
	// invited: the peer waits for a 100 (Continue) before its first byte, and how
	// long that takes is not its doing.
	invited bool
	waited  time.Duration
	bytes   int64
}

// SetPace bounds how long the body may be waited for: at a time, silence; in
// all, as long again and a second more for every rate bytes that have come. A
// rate of 0 bounds the silence alone. It is to be called after Reset and before
// Next, where it replaces the connection's read timeout. invited says that the
// peer waits for a 100 (Continue) before it sends any.
func (b *Body) SetPace(silence time.Duration, rate int, invited bool) {
	b.pace = pace{silence: silence, rate: rate, invited: invited}
}

// left is how much longer the peer may be waited for in all.
func (p *pace) left() time.Duration {
	const enough = 1 << 32 // seconds
	earned := min(float64(p.bytes)/float64(p.rate), enough)
	return p.silence + time.Duration(earned*float64(time.Second)) - p.waited
}

// window is how long the next wait may be.
func (p *pace) window() (least, most time.Duration) {
	if p.rate > 0 {
		if left := p.left(); left < p.silence {
			left = max(left, time.Millisecond)
			return left, left
		}
	}
	return p.silence, late(p.silence)
}

// note counts n bytes that came after waiting.
func (p *pace) note(n int, waited time.Duration) {
	if p.invited && p.bytes == 0 {
		waited = 0
	}
	p.waited += waited
	p.bytes += int64(n)
}

// fill is the connection's Fill, or its splice if there is a pipe, at the body's
// pace.
func (b *Body) fill(into *Pipe) error {
	c, p := b.conn, &b.pace
	if p.silence > 0 {
		c.SetReadWindow(p.window())
	}
	if p.rate == 0 {
		return b.fillNow(into)
	}
	had, began := c.w-c.r, time.Since(c.epoch)
	err := b.fillNow(into)
	n := c.w - c.r - had
	if into != nil {
		n = into.n
	}
	p.note(n, time.Since(c.epoch)-began)
	return err
}

func (b *Body) fillNow(into *Pipe) error {
	if into != nil {
		return b.conn.splice(into, b.left)
	}
	return b.conn.Fill()
}

// pressure is what is known of a write that waits for the peer.
type pressure struct {
	rate   int  // least bytes a second the peer must take; 0: any
	marked bool // queued is known
	queued int  // bytes in the kernel's buffer when the wait began
}

// SetLeastRate sets how many bytes a second the peer must take, over each span
// of the write timeout in which a write waits for it, lest the write fails with
// [ErrStalled]; 0 asks for any progress at all. What counts is what the peer has
// acknowledged, where the system tells: a large buffer in the kernel neither
// passes for a fast reader nor hides a slow one.
func (c *Conn) SetLeastRate(bytesPerSecond int) { c.pressure.rate = bytesPerSecond }

// wait remarks that a write found the socket full. Only the first time since the
// write began, or since it was last judged, counts.
func (p *pressure) wait(fd uintptr) {
	if !p.marked {
		p.mark(queued(fd))
	}
}

func (p *pressure) mark(queued int) { p.marked, p.queued = queued >= 0, queued }

// stalled returns what is to become of a write that failed after sent bytes: nil
// if it timed out but the peer took its due, so that it may go on.
func (c *Conn) stalled(sent int, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	p, taken := &c.pressure, sent
	if c.raw != nil {
		now := -1
		c.raw.Control(func(fd uintptr) { now = queued(fd) })
		switch {
		case now < 0:
		case p.marked:
			taken += p.queued - now
		default:
			taken = math.MaxInt // nobody saw the wait begin: it begins now
		}
		p.mark(now)
	}
	if taken < c.due() {
		return ErrStalled
	}
	c.write.by = unknown
	return c.armWrite()
}

// due is how many bytes the peer must take in the span of a write timeout.
func (c *Conn) due() int {
	return max(1, int(float64(c.pressure.rate)*c.write.least.Seconds()))
}
