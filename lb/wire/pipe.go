package wire

import (
	"slices"
	"sync"
)

// Pipe carries content from one socket to another without its passing through
// memory of the process: see splice(2).
type Pipe struct {
	r, w int // descriptors
	n    int // bytes in it
}

// Len is the number of bytes in the pipe.
func (p *Pipe) Len() int { return p.n }

// Pipes lends pipes. The zero value is ready for use.
type Pipes struct {
	mu     sync.Mutex
	idle   []*Pipe
	lent   int
	closed bool
}

// A pipe takes two descriptors, and of what is in it pins up to half a
// mebibyte of the kernel's memory.
const (
	maxPipes = 256 // lent at once
	// As many are kept as are lent, and a few more: making one takes four system
	// calls.
	leastIdlePipes = 4
)

// Get lends a pipe; nil if there are too many already, or none can be had:
// content is then to be copied.
func (p *Pipes) Get() *Pipe {
	p.mu.Lock()
	if p.closed || p.lent == maxPipes {
		p.mu.Unlock()
		return nil
	}
	p.lent++
	if n := len(p.idle); n > 0 {
		pipe := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return pipe
	}
	p.mu.Unlock()
	pipe := newPipe()
	if pipe == nil {
		p.mu.Lock()
		p.lent--
		p.mu.Unlock()
	}
	return pipe
}

// Put takes a pipe back. One that is not empty is of no further use.
func (p *Pipes) Put(pipe *Pipe) {
	p.mu.Lock()
	p.lent--
	if pipe.n == 0 && !p.closed {
		p.idle = append(p.idle, pipe)
		pipe = nil
	}
	keep := min(len(p.idle), max(p.lent, leastIdlePipes))
	extra := slices.Clone(p.idle[keep:])
	p.idle = p.idle[:keep]
	p.mu.Unlock()
	if pipe != nil {
		pipe.close()
	}
	for _, pipe := range extra {
		pipe.close()
	}
}

// Close closes every pipe that is not lent, and lent ones when they are put
// back. Get has none from now on.
func (p *Pipes) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, pipe := range idle {
		pipe.close()
	}
}

// Spliceable is how much of the content Splice could take, as far as is known:
// 0 if the content has to be read by Next, or what is buffered of it has.
func (b *Body) Spliceable() int64 {
	if b.framing != Sized || b.err != nil || b.conn.raw == nil || len(b.conn.Buffered()) > 0 {
		return 0
	}
	return b.left
}

// Splice is Next into an empty pipe, of content that is Spliceable. It returns
// how many bytes it moved.
func (b *Body) Splice(p *Pipe) (int, error) {
	b.started = true
	if b.err != nil {
		return 0, b.err
	}
	if err := b.fill(p); err != nil {
		return 0, b.failed(err)
	}
	b.left -= int64(p.n)
	b.read += int64(p.n)
	return p.n, nil
}

// splice fills an empty pipe with some of the next max bytes.
func (c *Conn) splice(p *Pipe, max int64) error {
	if err := c.armRead(); err != nil {
		return err
	}
	c.inPipe, c.inPipeMax = p, max
	c.step = stepSplice
	err := c.runRaw()
	c.inPipe = nil
	return err
}

// WritePipe writes what is gathered and then all that is in the pipe. The
// connection must be a socket.
func (c *Conn) WritePipe(p *Pipe) error {
	if err := c.Flush(); err != nil {
		return err
	}
	c.outPipe = p
	defer func() { c.outPipe = nil }()
	return c.writeRaw()
}

// IsSocket reports whether the connection can be spliced.
func (c *Conn) IsSocket() bool { return c.raw != nil }
