package pool

// MaxTries is how many endpoints a request can be sent to, one after another:
// a first try and ten retries.
const MaxTries = 11

// Tried is the endpoints a request was sent to already. The zero Tried is
// empty. It holds no memory of its own.
type Tried struct {
	endpoints [MaxTries]*Endpoint
	n         int
}

// Add notes e; beyond [MaxTries] it is forgotten.
func (t *Tried) Add(e *Endpoint) {
	if t.n < MaxTries {
		t.endpoints[t.n] = e
		t.n++
	}
}

// Has says whether e was added.
func (t *Tried) Has(e *Endpoint) bool {
	for _, x := range t.endpoints[:t.n] {
		if x == e {
			return true
		}
	}
	return false
}

// Len is how many were added.
func (t *Tried) Len() int { return t.n }

// Reset empties it, for reuse by another request.
func (t *Tried) Reset() {
	clear(t.endpoints[:t.n])
	t.n = 0
}
