package model

import (
	"net/http"
	"strconv"
	"time"

	"go-loadbalancer/sim/http1"
)

// answer sends the response; false: the connection must end.
func (c *conn) answer(p *plan, noBody bool) bool {
	status := orOK(p.status)
	noBody = noBody || status == http.StatusNoContent || status == http.StatusNotModified
	if p.slow == 0 && p.cut == nil && p.claim == nil && !p.last && !noBody {
		text := c.e.usual(status)
		n, err := c.Write(text)
		c.sent(n - (len(text) - c.e.o.BodySize))
		return err == nil
	}
	size := int64(c.e.o.BodySize)
	claim := size
	if p.claim != nil {
		claim = *p.claim
	}
	c.out = c.e.appendHead(c.out[:0], status, claim, p.last || p.cut != nil)
	if noBody {
		_, err := c.Write(c.out)
		return err == nil
	}
	sent := size
	if p.cut != nil {
		sent = max(0, min(*p.cut, size-1)) // a shorter body loses its last byte
	}
	if p.slow == 0 {
		head := len(c.out)
		c.out = http1.AppendPattern(c.out, 0, sent)
		n, err := c.Write(c.out)
		c.sent(n - head)
		if err != nil {
			return false
		}
	} else if _, err := c.Write(c.out); err != nil || !c.drip(sent, p.slow) {
		return false
	}
	if p.claim != nil && claim > sent && p.cut == nil {
		// What was announced is not all there, and the connection stays open, silent.
		http1.NewReader(c).Body(http1.Framing{ToEnd: true}, nil)
		return false
	}
	return p.cut == nil
}

// sent notes that so many bytes of the body were got rid of.
func (c *conn) sent(n int) {
	if c.visit < 0 || n <= 0 {
		return
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.visits[c.visit].Sent += int64(n)
}

// piece is how often a slow body has a piece sent.
const piece = 100 * time.Millisecond

// drip sends a body at so many bytes a second.
func (c *conn) drip(size int64, rate int) bool {
	began, sent := time.Now(), int64(0)
	for sent < size {
		next := min(size, sent+max(1, int64(float64(rate)*piece.Seconds())))
		due := time.Duration(float64(next) / float64(rate) * float64(time.Second))
		c.sleep(due - time.Since(began))
		c.out = http1.AppendPattern(c.out[:0], sent, next)
		n, err := c.Write(c.out)
		c.sent(n)
		if err != nil {
			return false
		}
		sent = next
	}
	return true
}

// usual is a whole answer that has nothing wrong with it.
func (e *Endpoint) usual(status int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.answers[status]
	if b == nil {
		b = e.appendHead(nil, status, int64(e.o.BodySize), false)
		b = http1.AppendPattern(b, 0, int64(e.o.BodySize))
		e.answers[status] = b
	}
	return b
}

func (e *Endpoint) appendHead(b []byte, status int, length int64, last bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	b = append(b, "\r\nX-Backend: "...)
	b = append(b, e.o.Name...)
	if status != http.StatusNoContent && status != http.StatusNotModified { // they have no body (RFC 9110, section 6.4.1)
		b = append(b, "\r\nX-Size: "...)
		b = strconv.AppendInt(b, int64(e.o.BodySize), 10)
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, length, 10)
	}
	if last {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}

func orOK(status int) int {
	if status == 0 {
		return http.StatusOK
	}
	return status
}
