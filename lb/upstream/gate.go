package upstream

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Gate caps the connections of several transports together: those that are being
// dialed, that are lent and that are idle. The zero Gate caps nothing.
//
// At the cap a new connection takes the place of the one that has been idle for
// longest, whichever transport's that is. If none is idle it waits until one is
// released, which is then closed rather than kept: an idle connection never
// stands in the way of a request.
type Gate struct {
	// scarce: somebody waits, or there are more connections than there may be. It
	// is read for each connection that is given back, and written under mu.
	scarce atomic.Bool

	// mu may be held while a transport's is taken, never the other way round.
	mu      sync.Mutex
	limit   int // 0: none
	open    int
	members map[*Transport]int // connections of each; none has 0
	waiting []*entrant
}

// entrant is a connection that waits for its place.
type entrant struct {
	t  *Transport
	in chan struct{} // closed when it has it
}

// SetLimit changes the cap; 0 or less is none. Idle connections above it are
// closed, the oldest first; lent ones stay until they are released.
func (g *Gate) SetLimit(n int) {
	g.mu.Lock()
	g.limit = max(n, 0)
	for len(g.waiting) > 0 && !g.full() {
		g.open++
		g.admit()
	}
	g.judge()
	var surplus []*http1
	for g.limit > 0 && g.open-len(surplus) > g.limit {
		s := g.oldest()
		if s == nil {
			break
		}
		surplus = append(surplus, s)
	}
	g.mu.Unlock()
	for _, s := range surplus {
		s.t.drop(s)
	}
}

// Open is the number of connections it counts.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *Gate) full() bool { return g.limit > 0 && g.open >= g.limit }

// judge finds out anew whether connections are scarce. The caller holds mu.
func (g *Gate) judge() {
	g.scarce.Store(len(g.waiting) > 0 || g.limit > 0 && g.open > g.limit)
}

// admit lets the first of those that wait in, with a place that is counted
// already. The caller holds mu.
func (g *Gate) admit() {
	first := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	g.count(first.t, 1)
	close(first.in)
}

// count adds to a transport's connections. The caller holds mu.
func (g *Gate) count(t *Transport, n int) {
	if g.members == nil {
		g.members = map[*Transport]int{}
	}
	if g.members[t] += n; g.members[t] == 0 {
		delete(g.members, t)
	}
}

// enter takes a place for a connection of t, or returns false if there is none
// within timeout, or life ends. leave is owed for it.
func (g *Gate) enter(t *Transport, timeout time.Duration, life context.Context) bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	if !g.full() {
		g.open++
		g.count(t, 1)
		g.mu.Unlock()
		return true
	}
	// From here on what is released is not kept, so that nothing can turn idle
	// behind the search's back.
	me := &entrant{t, make(chan struct{})}
	g.waiting = append(g.waiting, me)
	g.judge()
	var old *http1
	if g.open <= g.limit {
		old = g.oldest()
	}
	if old != nil {
		// Its place goes to the newcomer: nobody can take it in between.
		g.forget(me)
		g.count(old.t, -1)
		g.count(t, 1)
		g.mu.Unlock()
		old.t.discard(old)
		return true
	}
	g.mu.Unlock()

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-me.in:
		return true
	case <-timer.C:
	case <-life.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.forget(me) // it may have been let in just now
}

// forget ends an entrant's wait, and reports whether it waited. The caller holds
// mu.
func (g *Gate) forget(e *entrant) bool {
	i := slices.Index(g.waiting, e)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.judge()
	return true
}

// leave gives back the place of a connection of t, which is closed by now.
func (g *Gate) leave(t *Transport) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count(t, -1)
	if len(g.waiting) > 0 && g.open <= g.limit {
		g.admit()
	} else {
		g.open--
	}
	g.judge()
}

// oldest takes the connection that has been idle for longest away from its
// transport; nil if none is idle. The caller holds mu.
func (g *Gate) oldest() *http1 {
	for {
		var from *Transport
		var since time.Time
		for t := range g.members {
			at, idle := t.oldestIdle()
			if idle && (from == nil || at.Before(since) || at.Equal(since) && t.address < from.address) {
				from, since = t, at
			}
		}
		if from == nil {
			return nil
		}
		if s := from.takeOldest(); s != nil {
			return s // else a request was faster
		}
	}
}
