package load

import (
	"os"
	"time"
)

// moment is how often a slow client sends or reads something, unless it has less than a
// byte for it.
const moment = 100 * time.Millisecond

// pacer is somebody who takes his time over bytes; without a rate he takes none.
type pacer struct {
	rate  int // bytes a second
	began time.Time
	done  int64
}

// start begins anew.
func (p *pacer) start(rate int) { *p = pacer{rate: rate, began: time.Now()} }

// most is how many bytes of n may come at once.
func (p *pacer) most(n int) int {
	if p.rate == 0 {
		return n
	}
	return min(n, max(1, int(float64(p.rate)*moment.Seconds())))
}

// due is when n more bytes may have come.
func (p *pacer) due(n int) time.Time {
	return p.began.Add(time.Duration(float64(p.done+int64(n)) / float64(p.rate) * float64(time.Second)))
}

// wait waits until n more bytes are due. It fails if that is too late.
func (c *conn) wait(p *pacer, n int) error {
	if p.rate == 0 {
		return nil
	}
	due := p.due(n)
	if late := due.After(c.by); late {
		due = c.by
	}
	c.sleep(time.Until(due))
	if !time.Now().Before(c.by) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (c *conn) sleep(d time.Duration) {
	if own, ok := c.Conn.(interface{ Sleep(time.Duration) }); ok {
		own.Sleep(d)
		return
	}
	time.Sleep(d)
}

// send sends bytes at a rate, 0: at once. It stops when an answer comes, or the
// connection's end; sent is how many bytes have gone.
func (c *conn) send(b []byte, rate int) (sent int, err error) {
	var p pacer
	p.start(rate)
	for sent < len(b) {
		n := p.most(len(b) - sent)
		if err := c.wait(&p, n); err != nil {
			return sent, err
		}
		if r, ok := c.Conn.(interface{ Readable() bool }); ok && rate > 0 && r.Readable() {
			return sent, nil
		}
		m, err := c.Write(b[sent : sent+n])
		sent += m
		p.done += int64(m)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// reading is what a client reads, no faster than it wants to.
type reading struct{ *conn }

func (r reading) Read(b []byte) (int, error) {
	c := r.conn
	if c.read.rate == 0 {
		return c.Conn.Read(b)
	}
	b = b[:c.read.most(len(b))]
	if err := c.wait(&c.read, len(b)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.read.done += int64(n)
	return n, err
}
