package wire

import (
	"errors"
	"os"
	"time"
)

// Written is how many bytes were written since the connection was opened.
func (c *Conn) Written() int64 { return c.written.Load() }

// unreadLook is how often Unread looks whether what it waits for can still come.
const unreadLook = 10 * time.Millisecond

// Unread reports, after a read that ended in [io.EOF], whether the peer has certainly
// read none of the last n bytes written, n from 1: it had closed the connection
// before any of them reached its system. That is so if they met a reset, since nobody
// was there any more, and none of them was acknowledged by the close that came first.
// (A peer that closes one half only, and reads on, acknowledges what it reads.) It waits
// for the reset, a round trip, for wait at the longest. False says nothing.
//
// It is the reader's to call, once all n bytes were written without an error: a write
// that fails may have been told of a reset, and a read then finds an end that never came.
//
// It makes a request that is not idempotent one that may be sent again: a means to
// detect that it was never applied (RFC 9110 section 9.2.2).
func (c *Conn) Unread(n int64, wait time.Duration) bool {
	if n <= 0 {
		return false
	}
	if c.raw == nil {
		u, ok := c.nc.(unreader)
		return ok && u.Unread(n)
	}
	c.read.by = unknown
	for left := wait; ; left -= unreadLook {
		if err := c.nc.SetReadDeadline(time.Now().Add(min(left, unreadLook))); err != nil {
			return false
		}
		var is, known bool
		err := c.raw.Read(func(fd uintptr) bool {
			is, known = unread(fd, n)
			return known
		})
		if left <= unreadLook || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err == nil && is
		}
	}
}

// unreader is a connection that is no socket and can tell what [Conn.Unread] asks.
type unreader interface{ Unread(n int64) bool }
