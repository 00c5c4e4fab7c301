package backend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// unknown is the size of a body that is streamed.
const unknown = -1

var errTruncated = errors.New("truncated by a fault")

// body writes a response body as the faults want it.
type body struct {
	w        io.Writer
	flush    func() error
	deadline func(time.Time) error
	wait     func(time.Duration) // does not return if the wait is pointless
	rate     int                 // bytes a second; 0: no limit
	left     int64               // bytes until it is cut; negative: never
}

// Write writes p whole unless it is cut.
func (b *body) Write(p []byte) (int, error) {
	cut := false
	if b.left >= 0 && int64(len(p)) >= b.left {
		p, cut = p[:b.left], true
	}
	done := 0
	for len(p) > 0 {
		piece := p
		if b.rate > 0 {
			piece = p[:min(len(p), max(1, b.rate/10))]
			b.wait(time.Duration(len(piece)) * time.Second / time.Duration(b.rate))
		}
		b.deadline(time.Now().Add(progressTimeout))
		n, err := b.w.Write(piece)
		done += n
		if err == nil && b.rate > 0 {
			err = b.flush()
		}
		if err != nil {
			return done, err
		}
		p = p[n:]
	}
	if b.left >= 0 {
		b.left -= int64(done)
	}
	if cut {
		return done, errTruncated
	}
	return done, nil
}

// reply answers a body of size bytes, or of an unknown size, that fill writes.
// It does not return if the response was not to be whole, or could not be.
func (x *exchange) reply(status int, contentType string, size int64, fill func(io.Writer) error) {
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("X-Backend", x.name)
	x.status, x.began = status, time.Now()
	if status == http.StatusNoContent || status == http.StatusNotModified {
		x.w.WriteHeader(status)
		return
	}
	announced := size
	if lie := x.faults.ContentLength; lie != nil && size != unknown {
		announced = *lie
	}
	b := body{w: x.w, flush: x.rc.Flush, deadline: x.rc.SetWriteDeadline, wait: x.wait, rate: x.faults.SlowBody, left: -1}
	if cut := x.faults.Truncate; cut != nil && size != 0 {
		b.left = *cut
		if size != unknown {
			b.left = min(b.left, size-1)
		}
	}
	if x.r.Method != http.MethodHead && announced != size {
		x.lie(status, announced, &b, fill)
		return
	}

	if announced != unknown {
		x.w.Header().Set("Content-Length", strconv.FormatInt(announced, 10))
	}
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead {
		return
	}
	err := fill(&b)
	// What is still buffered must go out under the deadline, which must not
	// outlive this response.
	b.deadline(time.Now().Add(progressTimeout))
	if flushed := x.rc.Flush(); err == nil {
		err = flushed
	}
	b.deadline(time.Time{})
	if err != nil || b.left >= 0 {
		x.abort()
	}
}

// lie sends a response whose Content-Length is not its body's, which net/http
// would not, and then keeps the connection open without a word more, so that
// it is the peer who must find out.
func (x *exchange) lie(status int, announced int64, b *body, fill func(io.Writer) error) {
	conn, rw := x.takeOver()
	defer conn.Close()
	b.w, b.flush, b.deadline = rw, rw.Flush, conn.SetWriteDeadline
	b.deadline(time.Now().Add(progressTimeout))
	fmt.Fprintf(rw, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	h := x.w.Header()
	h.Set("Content-Length", strconv.FormatInt(announced, 10))
	h.Write(rw)
	io.WriteString(rw, "\r\n")
	err := fill(b)
	if flushed := rw.Flush(); err != nil || flushed != nil {
		return
	}
	x.hold(conn)
}

// takeOver takes the connection from net/http, without any deadline.
func (x *exchange) takeOver() (net.Conn, *bufio.ReadWriter) {
	conn, rw, err := x.rc.Hijack()
	if err != nil {
		x.abort()
	}
	conn.SetDeadline(time.Time{})
	return conn, rw
}
