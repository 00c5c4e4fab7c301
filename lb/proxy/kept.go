package proxy

import (
	"sync/atomic"

	"go-loadbalancer/lb/wire"
)

const (
	// keptBody is the largest body that is kept for another try, in bytes. One that
	// was buffered with its head needs no keeping.
	keptBody = 64 << 10
	// keptBytes bounds the bodies kept at once, in bytes.
	keptBytes = 16 << 20
	// keptSpare is how much memory a call keeps for the bodies of later requests.
	keptSpare = 4 << 10
)

// kept is what was read of a body that streams, for another try.
type kept struct {
	body  []byte
	on    bool        // it is kept
	lost  bool        // it was not kept, or not all of it
	ended atomic.Bool // all of it was read: what is above does not change any more
	held  *atomic.Int64
}

// begin decides, before anything of the body is read, whether it will be kept.
func (k *kept) begin(wanted bool, held *atomic.Int64) {
	k.on, k.lost, k.held = wanted, !wanted, held
}

// add keeps a piece, if there is room for it.
func (k *kept) add(piece []byte) {
	if !k.on {
		return
	}
	if n := int64(len(piece)); len(k.body)+len(piece) > keptBody || k.held.Add(n) > keptBytes {
		if len(k.body)+len(piece) <= keptBody {
			k.held.Add(-n)
		}
		k.drop()
		k.lost = true
		return
	}
	k.body = append(k.body, piece...)
}

// drop gives the memory back.
func (k *kept) drop() {
	if k.held != nil {
		k.held.Add(-int64(len(k.body)))
	}
	if k.body = k.body[:0]; cap(k.body) > keptSpare {
		k.body = nil
	}
	k.on = false
}

// reset forgets the body, for another request.
func (k *kept) reset() {
	k.drop()
	k.lost, k.held = false, nil
	k.ended.Store(false)
}

// keeps reports whether the body of the request, which streams, is to be kept: for a
// retry, or for the case that a kept connection is found closed.
func (c *call) keeps() bool {
	return c.route.Retry.Method(c.req.Method) &&
		(c.req.Framing != wire.Sized || c.req.Length <= keptBody)
}

// bodyRead reports whether nothing more of the request's body is to be read.
func (c *call) bodyRead() bool {
	if c.kept.ended.Load() {
		return true
	}
	_, whole := c.x.Body().Whole()
	return whole
}
