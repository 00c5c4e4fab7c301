package wire

import "sync"

const (
	bufferSize      = 16 << 10
	largeBufferSize = 64 << 10
	// GatherLimit is how many bytes a [Conn] gathers before it writes.
	GatherLimit = bufferSize
	// leastRoom is how much must be left behind a held head for reading there to
	// pay; and there may be nothing left at all.
	leastRoom = bufferSize / 4
)

var (
	buffers      = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBufferSize]byte) }}
)

// block is a buffer lent by one of the pools, or none.
type block struct {
	small *[bufferSize]byte
	large *[largeBufferSize]byte
}

func (b *block) giveBack() {
	switch {
	case b.small != nil:
		buffers.Put(b.small)
	case b.large != nil:
		largeBuffers.Put(b.large)
	}
	*b = block{}
}

// Buffered returns what was read and not consumed. It is valid until the next
// Fill.
func (c *Conn) Buffered() []byte { return c.in[c.r:c.w] }

// Discard consumes n buffered bytes.
func (c *Conn) Discard(n int) { c.r += n }

// Hold keeps everything consumed so far in its place, and so valid, until
// [Conn.Unhold]: a head while its body is read.
func (c *Conn) Hold() { c.hold = c.r }

// Unhold ends Hold.
func (c *Conn) Unhold() {
	c.hold = 0
	c.aside.giveBack()
}

// Release gives the inbound buffer back if nothing in it is needed.
func (c *Conn) Release() {
	if c.r < c.w || c.hold > 0 || c.in == nil {
		return
	}
	c.drop()
	c.r, c.w = 0, 0
}

func (c *Conn) drop() {
	c.block.giveBack()
	c.in = nil
}

func (c *Conn) take() {
	if c.in == nil {
		c.block.small = buffers.Get().(*[bufferSize]byte)
		c.in = c.block.small[:]
	}
}

// Grow makes the inbound buffer a large one, for a head that needs it or a long
// body. A held head keeps the buffer it is in.
func (c *Conn) Grow() {
	if c.block.large != nil || c.hold > 0 {
		return
	}
	c.grow()
}

func (c *Conn) grow() {
	large := largeBuffers.Get().(*[largeBufferSize]byte)
	n := copy(large[:], c.in[c.r:c.w])
	c.drop()
	c.block.large, c.in = large, large[:]
	c.r, c.w = 0, n
}

// setAside leaves a held head in its buffer and goes on with another one.
func (c *Conn) setAside() {
	rest := c.in[c.r:c.w]
	c.aside, c.block, c.in = c.block, block{}, nil
	c.r, c.w, c.hold = 0, 0, 0
	if len(rest) <= bufferSize-leastRoom {
		c.take()
	} else {
		c.grow() // of nothing
	}
	c.w = copy(c.in, rest)
}

// room makes space at the end of the buffer, by moving what is buffered to the
// front, or behind the held head unless that leaves too little.
func (c *Conn) room() error {
	c.take()
	if c.r == c.w {
		c.r, c.w = c.hold, c.hold
	}
	if c.w < len(c.in) && c.hold <= len(c.in)-leastRoom {
		return nil
	}
	if c.hold > 0 && (c.r == c.hold || c.hold > len(c.in)-leastRoom) {
		c.setAside()
		return nil
	}
	if c.r > c.hold {
		c.w = c.hold + copy(c.in[c.hold:], c.in[c.r:c.w])
		c.r = c.hold
		return nil
	}
	if c.block.large == nil {
		c.grow()
		return nil
	}
	return ErrBufferFull
}
