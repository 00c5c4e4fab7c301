package http1

import "bytes"

// pattern is what the bodies of the simulator's backends are of, over and over. It has
// no period shorter than itself.
var pattern = bytes.Repeat([]byte("0123456789abcdef"), 256)

const period = 16

// AppendPattern appends the bytes of such a body from one offset to another.
func AppendPattern(b []byte, from, to int64) []byte {
	for from < to {
		piece := pattern[from%period:]
		if int64(len(piece)) > to-from {
			piece = piece[:to-from]
		}
		b = append(b, piece...)
		from += int64(len(piece))
	}
	return b
}

// Check looks whether a body is of the pattern.
type Check struct {
	Size int64 // so far
	Bad  bool  // it is not
}

// See looks at the next piece.
func (c *Check) See(p []byte) {
	for len(p) > 0 {
		piece := pattern[c.Size%period:]
		piece = piece[:min(len(piece), len(p))]
		c.Bad = c.Bad || !bytes.Equal(piece, p[:len(piece)])
		c.Size += int64(len(piece))
		p = p[len(piece):]
	}
}
