package proxy

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// tunnel passes the 101 on and then bytes both ways, until both sides have
// ended, one breaks, or neither says anything for the route's idle time.
func (c *call) tunnel() (event.Result, error) {
	if !c.bodySent() {
		return "", errEarly101
	}
	c.join()
	down := c.x.Tunnel()
	if down == nil {
		return "", errUnasked101
	}
	c.settle()
	c.replied = true
	c.ev.Status = 101
	c.flag(event.Upgraded)
	if err := c.x.Reply(&c.reply); err != nil {
		return "", lost(err)
	}
	if err := c.x.Flush(); err != nil {
		return "", lost(err)
	}
	// The endpoint did what was asked of it. How long the tunnel lives is no matter
	// of its breaker, whose probes must not wait for that.
	c.judge(event.OK)
	up := c.stream.Tunnel()
	t := &tunnel{idle: c.route.Timeouts.StreamIdle, start: time.Now()}
	up.SetReadTimeout(t.idle)
	down.SetReadTimeout(t.idle)
	type upload struct {
		bytes    int64
		panicked any
	}
	sent := make(chan upload, 1)
	go func() {
		var u upload
		defer func() {
			if u.panicked = recover(); u.panicked != nil {
				up.Net().Close() // ends the other direction
			}
			sent <- u
		}()
		u.bytes = t.copy(up, down)
	}()
	c.ev.ResponseBytes = t.copy(down, up)
	u := <-sent
	if u.panicked != nil {
		panic(u.panicked) // here it ends one connection and not the process
	}
	c.ev.RequestBytes = u.bytes
	if c.endpoint.Transport.Aborted() {
		return "", errTunnelCut
	}
	return event.OK, nil
}

var errTunnelCut = &upstream.Error{Kind: upstream.Aborted, Err: errors.New("the endpoint was taken out of service, or the balancer stopped")}

type tunnel struct {
	idle  time.Duration
	start time.Time
	heard atomic.Int64 // when either side last said something, in ns since start
}

// copy passes what src says on to dst. The end of src ends that direction alone;
// anything else breaks both connections.
func (t *tunnel) copy(dst, src *wire.Conn) (n int64) {
	for {
		if piece := src.Buffered(); len(piece) > 0 {
			src.Discard(len(piece))
			if dst.Write(piece) != nil || dst.Flush() != nil {
				break
			}
			n += int64(len(piece))
			t.heard.Store(int64(time.Since(t.start)))
		}
		err := src.Fill()
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			if dst.CloseWrite() == nil {
				return n
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(t.start)-time.Duration(t.heard.Load()) < t.idle {
				continue // the other direction is alive
			}
		}
		break
	}
	dst.Net().Close()
	src.Net().Close()
	return n
}
