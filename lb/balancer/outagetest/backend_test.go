package outagetest

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// backend plays an endpoint: what it does with a request is a behaviour, which
// a test changes as time goes on.
type backend struct {
	w       *world
	number  uint64
	address string
	shadow  bool // it gets copies of requests

	mu       sync.Mutex
	rnd      *rand.Rand
	does     behaviour // with requests
	health   behaviour // with GET /healthz
	listener net.Listener
	conns    map[*conn]bool // true: between requests
	stopping bool
	visits   int   // requests that came, health checks left out
	served   int   // those of them that were answered 2xx, wholly
	posts    int   // those of them that were POSTs
	checks   int   // health checks that came
	running  int   // requests under way now
	most     int   // the most at once since mark
	taken    int64 // the most bytes that were read of one connection that is over
	joined   sync.WaitGroup
}

// backends makes n endpoints that are well: 200 after 5 ms, ± 1 ms.
func (w *world) backends(n int) []*backend {
	out := make([]*backend, n)
	for i := range out {
		w.numbers++
		b := &backend{
			w: w, number: w.numbers, address: net.JoinHostPort(net.IPv4(10, 0, 0, byte(w.numbers)).String(), "80"),
			rnd:  rand.New(rand.NewPCG(w.seed, w.numbers)),
			does: after(4*time.Millisecond, 6*time.Millisecond, respond(200)), health: respond(200), conns: map[*conn]bool{},
		}
		b.start()
		w.all = append(w.all, b)
		out[i] = b
	}
	return out
}

// serve changes what it does with requests from now on; check, with health
// checks.
func (b *backend) serve(does behaviour)   { b.mu.Lock(); defer b.mu.Unlock(); b.does = does }
func (b *backend) check(health behaviour) { b.mu.Lock(); defer b.mu.Unlock(); b.health = health }

// start begins to listen, after kill and stop too.
func (b *backend) start() {
	l, err := b.w.net.listen(context.Background(), "tcp", b.address)
	if err != nil {
		b.w.t.Errorf("backend %s: %v", b.address, err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener, b.stopping = l, false
	b.joined.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns[c.(*conn)] = true
			b.mu.Unlock()
			b.joined.Go(func() { b.converse(c.(*conn)) })
		}
	})
}

// kill ends it as SIGKILL does: what is under way is reset, what comes refused.
func (b *backend) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Close()
	b.stopping = true
	for c := range b.conns {
		c.reset()
	}
}

// stop ends it as SIGTERM does: what is under way is finished.
func (b *backend) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Close()
	b.stopping = true
	for c, idle := range b.conns {
		if idle {
			c.Close()
		}
	}
}

// mark begins to count the most requests at once anew.
func (b *backend) mark() { b.mu.Lock(); defer b.mu.Unlock(); b.most = b.running }

// mostTaken is the most bytes that were read of one connection that is over.
func (b *backend) mostTaken() int64 { b.mu.Lock(); defer b.mu.Unlock(); return b.taken }

// counts is what came to a backend.
type counts struct{ visits, served, posts, checks, running, most int }

func (b *backend) counts() counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return counts{b.visits, b.served, b.posts, b.checks, b.running, b.most}
}

// visit is a request at a backend.
type visit struct {
	*http.Request
	b    *backend
	c    *conn
	in   *bufio.Reader
	id   string
	last bool // the connection ends with it
}

// converse serves one connection.
func (b *backend) converse(c *conn) {
	defer func() {
		b.mu.Lock()
		delete(b.conns, c)
		b.taken = max(b.taken, c.taken())
		b.mu.Unlock()
		c.Close()
	}()
	in := bufio.NewReaderSize(c, 2048)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns[c] = false
		b.mu.Unlock()
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		x := &visit{Request: req, b: b, c: c, in: in, id: req.Header.Get("X-Request-Id"), last: req.Close}
		b.mu.Lock()
		does := b.health
		check := req.URL.Path == healthPath
		if check {
			b.checks++
		} else {
			does = b.does
			b.visits++
			if req.Method == "POST" {
				b.posts++
			}
			b.running++
			b.most = max(b.most, b.running)
		}
		b.mu.Unlock()
		if !check && !b.shadow {
			b.w.handled(x.id)
		}
		does(x)
		b.mu.Lock()
		if !check {
			b.running--
		}
		b.conns[c] = true
		over := x.last || b.stopping
		b.mu.Unlock()
		if over {
			return
		}
	}
}

// healthPath is where policies' health checks ask, by default.
const healthPath = "/healthz"

// chance is true with probability p.
func (b *backend) chance(p float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rnd.Float64() < p
}

// between is a duration from least to most.
func (b *backend) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return least + time.Duration(b.rnd.Int64N(int64(most-least)))
}

// The backend in itself: what it is told to do is what a client sees.
func TestBackend(t *testing.T) {
	for name, tt := range map[string]struct {
		does   behaviour
		status int
		whole  bool
	}{
		"respond":      {respond(200), 200, true},
		"fails":        {respond(503), 503, true},
		"hangs":        {hang, 0, false},
		"resets":       {reset, 0, false},
		"truncates":    {truncate(30), 200, false},
		"breaks chunk": {breakChunk, 200, false},
		"lies":         {claimMore, 200, false},
		"garbage":      {garbage, 0, false},
		"drips":        {drip(time.Second, bodySize), 200, false},
		"interim":      {interim(time.Second), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 1, func(w *world) {
				b := w.backends(1)[0]
				b.serve(tt.does)
				r := w.offer(load{to: b.address, rate: 1, lasts: time.Second, deadline: 10 * time.Second}).wait()[0]
				if r.status != tt.status || r.whole != tt.whole {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}
