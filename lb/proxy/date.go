package proxy

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateClock formats the Date field once a second.
type dateClock struct {
	wall func() time.Time
	last atomic.Pointer[dated]
}

type dated struct {
	second int64
	text   []byte
}

// now is the present as an HTTP date (RFC 9110 section 5.6.7). It must not be
// written to.
func (d *dateClock) now() []byte {
	t := d.wall()
	if last := d.last.Load(); last != nil && last.second == t.Unix() {
		return last.text
	}
	next := &dated{t.Unix(), []byte(t.UTC().Format(http.TimeFormat))}
	d.last.Store(next)
	return next.text
}
