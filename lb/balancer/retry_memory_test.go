package balancer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go-loadbalancer/lb/event"
)

// Of many bodies that stream at once, no more are kept for another try than all
// together may be; what was kept is given back. The requests of the others go on, and
// fail with their first try.
func TestKeptMemoryIsBounded(t *testing.T) {
	const clients, size, held = 300, 60000, 16 << 20
	piece := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size))
	var taken atomic.Int64
	var round atomic.Pointer[chan struct{}]
	failing := listen(t, func(p *peer) {
		release := *round.Load()
		p.head()
		p.exactly(len(piece))
		if taken.Add(1)%clients == 0 {
			close(release)
		}
		await(t, release)
		p.reset()
	})
	second := listen(t, func(p *peer) {
		for {
			if _, err := p.head(); err != nil {
				return
			}
			if p.exactly(len(piece)+5) != piece+"0\r\n\r\n" {
				t.Error("another body came")
			}
			p.send(ok)
		}
	})
	l := start(t, setup{
		pools: inTurn("retryBudget: {percent: 100, minRetriesPerSecond: 1000}", failing.addr, second.addr), retry: "attempts: 1, backoff: 0s",
		listener: "limits: {connectionsPerAddress: 1000}",
	})
	for n := range 2 {
		release := make(chan struct{})
		round.Store(&release)
		var uploads []*peer
		for range clients {
			c := l.dial()
			c.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", piece)
			uploads = append(uploads, c)
		}
		await(t, release)
		again := 0
		for _, c := range uploads {
			c.send("0\r\n\r\n")
			if r, _, err := c.tryResponse("PUT"); err == nil && r.StatusCode == 200 {
				again++
			}
			c.Close()
		}
		if again > held/size || again < held/size/2 {
			t.Errorf("round %d: %d of %d bodies were sent again", n+1, again, clients)
		}
		l.ended((n + 1) * clients)
		l.mu.Lock()
		gone := 0
		for _, why := range l.refusals {
			if why == event.RetryBodyGone {
				gone++
			}
		}
		if want := len(l.refusals); gone != want || gone < (n+1)*(clients-held/size) {
			t.Errorf("round %d: %d bodies were gone, of %d refusals", n+1, gone, want)
		}
		l.mu.Unlock()
	}
}
