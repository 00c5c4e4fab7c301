package pool

// Statuses is a set of response status codes, 100 to 599.
type Statuses [8]uint64

// NewStatuses returns the set of some codes; others than 100 to 599 are left out.
func NewStatuses(codes []int) (s Statuses) {
	for _, c := range codes {
		if c >= 100 && c < 600 {
			s[(c-100)>>6] |= 1 << ((c - 100) & 63)
		}
	}
	return s
}

// Has says whether the set contains a code. Any number may be asked for.
func (s *Statuses) Has(code int) bool {
	i := uint(code - 100)
	return i < 500 && s[i>>6]&(1<<(i&63)) != 0
}
