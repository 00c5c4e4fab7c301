package storytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asked is a request as its client saw it.
type asked struct {
	id, method, path string
	trace            string // that it sent; empty: none
	sampled          bool   // its spans are wanted
	visitor          int    // who keeps a cookie, from 1; 0: somebody who does not
	known            bool   // with a cookie
	start, end       time.Time
	status           int
	by               string // the server that answered; empty: none
	explained        string // X-LB-Explain
}

// visitor keeps its cookie.
type visitor struct {
	cookie *http.Cookie
	home   string // the server that answered first
}

// clients ask for things until they are told to stop.
type clients struct {
	t        *testing.T
	url      string
	http     *http.Client
	visitors []visitor // each is one worker's
	number   atomic.Uint64
	running  sync.WaitGroup
	cancel   context.CancelFunc

	mu  sync.Mutex
	all []asked
}

const (
	workers    = 4
	each       = 250 * time.Millisecond // a worker asks
	perWorker  = 3                      // visitors
	customers  = 3                      // visitors who come only when the script says so
	someVisits = 2                      // every so many requests of a worker are a visitor's
)

func newClients(t *testing.T, url string) *clients {
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	t.Cleanup(transport.CloseIdleConnections)
	return &clients{t: t, url: url, http: &http.Client{Transport: transport, Timeout: 2 * patience}, visitors: make([]visitor, workers*perWorker+customers)}
}

// settle has every visitor come for the first time, and sees that each server is home to
// one of them, so that whichever fails is missed.
func (c *clients) settle(servers []*server) {
	c.t.Helper()
	homes := map[string]bool{}
	for i := range c.visitors {
		c.ask(http.MethodGet, "/cart/0", i+1)
		homes[c.visitors[i].home] = true
	}
	for _, s := range servers {
		if !homes[s.address] {
			c.t.Fatalf("of %d visitors none is at home at %s: %v", len(c.visitors), s.address, homes)
		}
	}
}

// start has all workers ask.
func (c *clients) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for w := range workers {
		c.running.Go(func() {
			ticker := time.NewTicker(each)
			defer ticker.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				who := 0
				if n%someVisits == 0 {
					who = w*perWorker + n/someVisits%perWorker + 1
				}
				// Looking at the cart can be tried again, buying cannot.
				if n%3 == 0 {
					c.ask(http.MethodPost, "/checkout", who)
				} else {
					c.ask(http.MethodGet, fmt.Sprintf("/cart/%d", n), who)
				}
			}
		})
	}
	c.t.Cleanup(func() { c.stop() })
}

// stop lets what is under way end, and returns all there was.
func (c *clients) stop() []asked {
	c.cancel()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// customer is one who is at home at a server.
func (c *clients) customer(of *server) (who int) {
	for i := workers * perWorker; i < len(c.visitors); i++ {
		if c.visitors[i].home == of.address {
			return i + 1
		}
	}
	c.t.Fatalf("no customer is at home at %s", of.address)
	panic("not reached")
}

// ask asks for something, as a visitor or as nobody, and returns what came of it.
func (c *clients) ask(method, path string, who int) asked {
	n := c.number.Add(1)
	a := asked{id: fmt.Sprintf("%016x", mixed(n)), method: method, path: path, visitor: who, sampled: true}
	q, err := http.NewRequest(method, c.url+path, nil)
	if err != nil {
		c.t.Error(err)
		return a
	}
	q.Host = "shop.example.com"
	q.Header.Set("X-Request-Id", a.id)
	q.Header.Set("X-LB-Explain", "1")
	// A third begins its trace here, a third is part of one, and of the rest those that look
	// at a cart are part of one that nobody records.
	switch {
	case n%3 == 1:
		a.trace = fmt.Sprintf("%016x%016x", mixed(n), mixed(n+1<<40))
		q.Header.Set("Traceparent", "00-"+a.trace+"-00f067aa0ba902b7-01")
	case n%3 == 2 && method == http.MethodGet:
		a.trace, a.sampled = fmt.Sprintf("%016x%016x", mixed(n), mixed(n+1<<40)), false
		q.Header.Set("Traceparent", "00-"+a.trace+"-00f067aa0ba902b7-00")
	}
	var v *visitor
	if who > 0 {
		if v = &c.visitors[who-1]; v.cookie != nil {
			a.known = true
			q.AddCookie(v.cookie)
		}
	}
	a.start = time.Now()
	resp, err := c.http.Do(q)
	a.end = time.Now()
	if err != nil {
		c.t.Errorf("request %s: %v", a.id, err)
		return a
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		c.t.Errorf("request %s: %v", a.id, err)
	}
	a.status, a.by, a.explained = resp.StatusCode, resp.Header.Get("X-Backend"), resp.Header.Get("X-LB-Explain")
	if v != nil {
		for _, k := range resp.Cookies() {
			v.cookie = k
		}
		if v.home == "" && resp.StatusCode == http.StatusOK {
			v.home = a.by
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, a)
	return a
}

// mixed is what stands for a random number (https://prng.di.unimi.it/splitmix64.c).
func mixed(n uint64) uint64 {
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
