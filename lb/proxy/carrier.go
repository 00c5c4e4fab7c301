package proxy

import "go-loadbalancer/lb/wire"

// carrier brings content from one side to the other, piece by piece: copied, or
// inside the kernel where both sides can do that and there is enough of it.
type carrier struct {
	pipes *wire.Pipes // nil: everything is copied, and can be seen in piece
	pipe  *wire.Pipe  // lent, from the first piece that is not copied on
	piece []byte      // taken and not given yet, unless it is in the pipe
}

// source is what a carrier takes from: a request's or a response's body.
type source interface{ Next() ([]byte, error) }

// sink is what a carrier gives to: an exchange or a stream.
type sink interface{ Write([]byte) error }

// A SplicingSource is a body that may also pass content into a pipe.
type SplicingSource interface {
	// Splice is Next into an empty pipe; it returns how many bytes it moved.
	Splice(*wire.Pipe) (int, error)
	// Spliceable is how many bytes it could move; 0: Next must be called.
	Spliceable() int64
}

// A SplicingSink is an exchange or a stream that may also take content from a
// pipe.
type SplicingSink interface {
	// WritePipe is Write, at once, of all that is in the pipe.
	WritePipe(*wire.Pipe) error
	// Splices reports, once the head was given, whether WritePipe may be called.
	Splices() bool
}

// spliceLeast is the length of content, in bytes, from which on splicing pays.
const spliceLeast = 64 << 10

// take takes the next piece of what is for the sink, and returns its length.
// Errors are those of the source's Next.
func (c *carrier) take(from source, to sink) (int, error) {
	if src, ok := from.(SplicingSource); ok {
		left := src.Spliceable()
		if c.pipe == nil && c.pipes != nil && left >= spliceLeast {
			if dst, ok := to.(SplicingSink); ok && dst.Splices() {
				c.pipe = c.pipes.Get()
			}
		}
		if c.pipe != nil && left > 0 {
			return src.Splice(c.pipe)
		}
	}
	piece, err := from.Next()
	c.piece = piece
	return len(piece), err
}

// give gives what was taken. Errors are those of the sink's Write.
func (c *carrier) give(to sink) error {
	if c.pipe != nil && c.pipe.Len() > 0 {
		return to.(SplicingSink).WritePipe(c.pipe)
	}
	return to.Write(c.piece)
}

// end gives the pipe back.
func (c *carrier) end() {
	if c.pipe != nil {
		c.pipes.Put(c.pipe)
		c.pipe = nil
	}
}
