package upstream_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/upstream"
)

// gated runs a test of three transports that share a gate, over in-memory
// connections in virtual time. Afterwards every place must have been given back.
func gated(t *testing.T, limit int, test func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, g := new(pipes), new(upstream.Gate)
		g.SetLimit(limit)
		var all []*upstream.Transport
		for _, address := range []string{"a:1", "b:1", "c:1"} {
			tr := upstream.NewTransport(upstream.Options{Address: address, Dial: p.dial, Gate: g})
			tr.SetLimits(upstream.Limits{ConnectTimeout: 2 * time.Second, IdleTimeout: time.Hour})
			all = append(all, tr)
		}
		test(t, g, all, p)
		for _, tr := range all {
			tr.Abort()
		}
		synctest.Wait()
		expect(t, "places taken at the end", g.Open(), 0)
		p.all.Wait()
	})
}

// use sends a request on a stream and gives it back, to be used again.
func use(t *testing.T, s upstream.Stream) {
	t.Helper()
	if _, _, err := exchange(t, s, get()); err != nil {
		t.Fatal(err)
	}
	s.Release()
}

// later opens a stream in a goroutine of its own.
func later(tr *upstream.Transport) <-chan upstream.Stream {
	ch := make(chan upstream.Stream, 1)
	go func() {
		if s, err := tr.Open(); err == nil {
			ch <- s
		}
		close(ch)
	}()
	synctest.Wait()
	return ch
}

// has says whether a stream was opened by now.
func has(ch <-chan upstream.Stream) upstream.Stream {
	synctest.Wait()
	select {
	case s := <-ch:
		return s
	default:
		return nil
	}
}

// An idle connection makes room, the one that was idle for longest first.
func TestGateReplacesTheOldestIdle(t *testing.T) {
	gated(t, 2, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		for _, i := range []int{1, 0} {
			use(t, open(t, tr[i]))
			time.Sleep(time.Second)
		}
		began := time.Now()
		s := open(t, tr[2])
		if time.Since(began) > 0 || tr[1].Idle() != 0 || tr[0].Idle() != 1 {
			t.Errorf("after %v, %d and %d are idle", time.Since(began), tr[0].Idle(), tr[1].Idle())
		}
		expect(t, "open", p.open(), 2)
		expect(t, "counted", g.Open(), 2)
		use(t, s)
		expect(t, "kept", tr[2].Idle(), 1)
		use(t, open(t, tr[2])) // the same one: it needs no place
		expect(t, "dialed", p.dialed, 3)
	})
}

// Where none is idle it is waited for, in turn; what is released meanwhile goes to
// who waits.
func TestGateWaits(t *testing.T) {
	gated(t, 1, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		s := open(t, tr[0])
		first, second := later(tr[1]), later(tr[2])
		time.Sleep(time.Second)
		if has(first) != nil || has(second) != nil {
			t.Fatal("opened above the cap")
		}
		use(t, s)
		expect(t, "kept while others wait", tr[0].Idle(), 0)
		s = has(first)
		if s == nil || has(second) != nil {
			t.Fatal("not opened, or out of turn")
		}
		s.Cancel()
		s.Release()
		if s = has(second); s == nil {
			t.Fatal("the second was not opened")
		}
		use(t, s)
		expect(t, "kept when nobody waits", tr[2].Idle(), 1)
		expect(t, "counted", g.Open(), 1)
	})
}

// Who waits in vain leaves no trace.
func TestGateTimeout(t *testing.T) {
	gated(t, 1, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		s := open(t, tr[0])
		began := time.Now()
		if _, err := tr[1].Open(); kind(err) != upstream.Overflow || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		use(t, s)
		expect(t, "kept", tr[0].Idle(), 1)

		s = open(t, tr[0])
		began = time.Now()
		time.AfterFunc(time.Second, tr[1].Abort)
		if _, err := tr[1].Open(); kind(err) != upstream.Aborted || time.Since(began) != time.Second {
			t.Errorf("aborted: %v after %v", err, time.Since(began))
		}
		use(t, s)
		expect(t, "kept", tr[0].Idle(), 1)
		expect(t, "counted", g.Open(), 1)
	})
}

// A place that comes at the last moment is had or not, but never lost.
func TestGateAtTheLastMoment(t *testing.T) {
	gated(t, 1, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		var had, not int
		for range 100 {
			s := open(t, tr[0])
			time.AfterFunc(2*time.Second, s.Release)
			s, err := tr[1].Open()
			synctest.Wait()
			if err != nil {
				not++
				expect(t, "counted", g.Open(), 0)
				continue
			}
			had++
			expect(t, "counted", g.Open(), 1)
			s.Release()
		}
		t.Logf("%d were let in, %d not", had, not)
	})
}

func TestGateSetLimit(t *testing.T) {
	gated(t, 0, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		// Idle ones above a lower limit are closed, the oldest first.
		var lent []upstream.Stream
		for _, i := range []int{2, 0, 1} {
			lent = append(lent, open(t, tr[i]))
		}
		for _, s := range lent {
			use(t, s)
			time.Sleep(time.Second)
		}
		g.SetLimit(2)
		expect(t, "open", p.open(), 2)
		if tr[0].Idle() != 1 || tr[1].Idle() != 1 || tr[2].Idle() != 0 {
			t.Error("not the oldest was closed")
		}
		g.SetLimit(1)
		expect(t, "open", p.open(), 1)
		expect(t, "counted", g.Open(), 1)

		// Lent ones stay until they are released.
		g.SetLimit(3)
		lent = []upstream.Stream{open(t, tr[1]), open(t, tr[1]), open(t, tr[1])}
		waiting := later(tr[0])
		g.SetLimit(1)
		expect(t, "open", p.open(), 3)
		use(t, lent[0])
		use(t, lent[1])
		if has(waiting) != nil {
			t.Error("let in above the limit")
		}
		expect(t, "counted", g.Open(), 1)
		use(t, lent[2])
		s := has(waiting)
		if s == nil {
			t.Fatal("not let in at the limit")
		}

		// A higher one lets in who waits, as many as may.
		more := []<-chan upstream.Stream{later(tr[1]), later(tr[2]), later(tr[1]), later(tr[2])}
		g.SetLimit(3)
		var in []upstream.Stream
		for i, ch := range more {
			s := has(ch)
			if (s != nil) != (i < 2) {
				t.Fatalf("waiting one %d: let in %v", i+1, s != nil)
			}
			if s != nil {
				in = append(in, s)
			}
		}
		expect(t, "counted", g.Open(), 3)
		g.SetLimit(0)
		for _, ch := range more[2:] {
			if s := has(ch); s == nil {
				t.Fatal("there is no limit, and one waits")
			} else {
				in = append(in, s)
			}
		}
		use(t, s)
		for _, s := range in {
			use(t, s)
		}
		expect(t, "kept", tr[0].Idle()+tr[1].Idle()+tr[2].Idle(), 5)
		expect(t, "counted", g.Open(), 5)
	})
}

// Above a lowered limit what is released is closed, though nobody waits.
func TestGateShrinks(t *testing.T) {
	gated(t, 3, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
		lent := []upstream.Stream{open(t, tr[0]), open(t, tr[0]), open(t, tr[0])}
		g.SetLimit(2)
		for _, s := range lent {
			use(t, s)
		}
		expect(t, "kept", tr[0].Idle(), 2)
		expect(t, "counted", g.Open(), 2)
	})
}

// However a connection ends, its place is given back once.
func TestGateCountsOnce(t *testing.T) {
	refused := errors.New("refused")
	for name, end := range map[string]func(t *testing.T, tr *upstream.Transport, s upstream.Stream){
		"not used":       func(_ *testing.T, _ *upstream.Transport, s upstream.Stream) { s.Release() },
		"cancelled":      func(_ *testing.T, _ *upstream.Transport, s upstream.Stream) { s.Cancel(); s.Cancel(); s.Release() },
		"aborted":        func(_ *testing.T, tr *upstream.Transport, s upstream.Stream) { tr.Abort(); tr.Abort(); s.Release() },
		"closed":         func(t *testing.T, tr *upstream.Transport, s upstream.Stream) { tr.Close(); use(t, s) },
		"closed as idle": func(t *testing.T, tr *upstream.Transport, s upstream.Stream) { use(t, s); tr.Close(); tr.Abort() },
		"shed":           func(t *testing.T, tr *upstream.Transport, s upstream.Stream) { use(t, s); tr.Shed(); tr.Shed() },
		"idle too long":  func(t *testing.T, _ *upstream.Transport, s upstream.Stream) { use(t, s); time.Sleep(2 * time.Hour) },
		"too many idle": func(t *testing.T, tr *upstream.Transport, s upstream.Stream) {
			other := open(t, tr)
			use(t, other)
			use(t, s)
			tr.Shed()
		},
		"never came about": func(t *testing.T, tr *upstream.Transport, s upstream.Stream) {
			s.Release()
			g := new(upstream.Gate)
			g.SetLimit(1)
			other := upstream.NewTransport(upstream.Options{Address: "d:1", Gate: g, Dial: func(context.Context, string, string) (net.Conn, error) {
				expect(t, "counted while dialing", g.Open(), 1)
				return nil, refused
			}})
			for range 3 {
				if _, err := other.Open(); !errors.Is(err, refused) {
					t.Error(err)
				}
			}
			expect(t, "counted after failures", g.Open(), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			gated(t, 9, func(t *testing.T, g *upstream.Gate, tr []*upstream.Transport, p *pipes) {
				tr[0].SetLimits(upstream.Limits{MaxIdle: 1})
				end(t, tr[0], open(t, tr[0]))
				expect(t, "open", p.open(), 0)
				expect(t, "counted", g.Open(), 0)
			})
		})
	}
}

// counter counts the connections that a dialer has open.
type counter struct {
	open, most atomic.Int64
	fails      func() bool
}

type countedConn struct {
	net.Conn
	once sync.Once
	c    *counter
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.c.open.Add(-1) })
	return err
}

func (c *counter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := c.open.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if c.fails() {
		c.open.Add(-1)
		return nil, errors.New("refused")
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		c.open.Add(-1)
		return nil, err
	}
	return &countedConn{Conn: nc, c: c}, nil
}

// TestGateUnderLoad: many requests to three endpoints over two connections. There
// are never more, everybody gets one, and in the end all are given back. Then with
// everything that can happen to a connection happening.
func TestGateUnderLoad(t *testing.T) {
	for _, rough := range []bool{false, true} {
		const workers, each, most = 8, 150, 2
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		g := new(upstream.Gate)
		g.SetLimit(most)
		var dice sync.Mutex
		source := rand.New(rand.NewPCG(seed, 99))
		c := &counter{fails: func() bool {
			dice.Lock()
			defer dice.Unlock()
			return rough && source.IntN(10) == 0
		}}
		var tr []*upstream.Transport
		for range 3 {
			b := serve(t, answering(okHello))
			one := upstream.NewTransport(upstream.Options{Address: b.address, Dial: c.dial, Gate: g})
			one.SetLimits(upstream.Limits{ConnectTimeout: patience})
			tr = append(tr, one)
		}
		var all sync.WaitGroup
		for i := range uint64(workers) {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, i))
				for range each {
					one := tr[rnd.IntN(3)]
					s, err := one.Open()
					if err != nil {
						if !rough || kind(err) != upstream.Connect {
							t.Errorf("not let in: %v", err)
						}
						continue
					}
					s.SetTimeout(patience, patience)
					switch dice := rnd.IntN(10); {
					case rough && dice == 0:
						s.Cancel()
					case rough && dice == 1:
						one.Shed()
					case rough && dice == 2:
						g.SetLimit(1 + rnd.IntN(most))
					default:
						if _, _, err := exchange(t, s, get()); err != nil && kind(err) != upstream.Stale {
							t.Error(err)
						}
					}
					s.Release()
				}
			})
		}
		all.Wait()
		if n := c.most.Load(); n != most {
			t.Errorf("%d connections at once, want %d", n, most)
		}
		if idle := tr[0].Idle() + tr[1].Idle() + tr[2].Idle(); g.Open() != idle || int64(idle) != c.open.Load() {
			t.Errorf("%d counted, %d idle, %d open", g.Open(), idle, c.open.Load())
		}
		for _, one := range tr {
			one.Abort()
		}
		if g.Open() != 0 || c.open.Load() != 0 {
			t.Errorf("%d counted and %d open at the end", g.Open(), c.open.Load())
		}
	}
}
