package pool

import "math/bits"

// circle is marks on a circle of 2⁶⁴ positions, sorted. A mark has its position
// in the high bits and a member's index in the low ones. The marks must be
// spread about evenly: then sorting them takes linear time and finding one
// constant time.
type circle struct {
	marks  []uint64
	index  uint64   // mask of the index bits
	shift  int      // from a position to its arc
	starts []uint32 // of each arc: the first mark in it or after it
}

// indexMask returns the mask for the indexes of n members.
func indexMask(n int) uint64 { return 1<<bits.Len(uint(n-1)) - 1 }

// newCircle sorts the marks, of which there must be one, into a new circle: by
// arcs, of which there are about as many as marks, and then within each arc.
func newCircle(marks []uint64, index uint64) *circle {
	arcs := bits.Len(uint(len(marks) - 1))
	c := &circle{
		marks: make([]uint64, len(marks)), index: index,
		shift: 64 - arcs, starts: make([]uint32, 1<<arcs+1),
	}
	for _, m := range marks {
		c.starts[m>>c.shift+1]++
	}
	for i := range c.starts[1:] {
		c.starts[i+1] += c.starts[i]
	}
	// Filling moves each arc's start to the start of the next.
	for _, m := range marks {
		at := &c.starts[m>>c.shift]
		c.marks[*at] = m
		*at++
	}
	copy(c.starts[1:], c.starts)
	c.starts[0] = 0
	for i := 1; i < len(c.marks); i++ {
		m, j := c.marks[i], i
		for j > 0 && c.marks[j-1] > m {
			c.marks[j] = c.marks[j-1]
			j--
		}
		c.marks[j] = m
	}
	return c
}

// find returns the first mark at or after a position, perhaps len(marks).
func (c *circle) find(position uint64) int {
	position &^= c.index
	i := int(c.starts[position>>c.shift])
	for i < len(c.marks) && c.marks[i] < position {
		i++
	}
	return i
}

// member returns the index in the i-th mark.
func (c *circle) member(i int) int { return int(c.marks[i] & c.index) }
