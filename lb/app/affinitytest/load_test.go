package affinitytest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is how a crowd visits.
type load struct {
	pause     time.Duration // of each connection, after a request
	newcomers int           // one more session for so many requests; 0: none
	most      int           // but so many sessions at the most
}

// visits is a crowd that visits the replicas, until it is stopped.
type visits struct {
	c       *crowd
	load    load
	done    chan struct{}
	ended   sync.WaitGroup
	workers [connections]*worker
	served  atomic.Int64
}

// worker is one who visits: a share of the clients, and one connection to each replica.
type worker struct {
	v      *visits
	share  *[]*client
	number int // of the next newcomer
	rounds atomic.Int64
	links  map[*replica]*link
	failed []string
	took   []time.Duration
}

// link is a connection to a replica as long as that lives.
type link struct {
	conn  net.Conn
	in    *bufio.Reader
	death int64
}

// visit has the crowd visit.
func (c *crowd) visit(l load) *visits {
	v := &visits{c: c, load: l, done: make(chan struct{})}
	each := c.len()
	for i := range v.workers {
		w := &worker{v: v, share: &c.shares[i], number: each + i + c.next, links: map[*replica]*link{}}
		v.workers[i] = w
		v.ended.Go(w.work)
	}
	c.next += 1_000_000 // so that no number is given twice
	return v
}

// rounds waits until every session has made so many visits more.
func (v *visits) rounds(n int64) {
	v.c.w.t.Helper()
	var until [connections]int64
	for i, w := range v.workers {
		until[i] = w.rounds.Load() + n + 1 // the one under way does not count
	}
	eventually(v.c.w.t, fmt.Sprintf("%d rounds", n), func() bool {
		for i, w := range v.workers {
			if w.rounds.Load() < until[i] {
				return false
			}
		}
		return true
	})
}

// stop ends the visits, reports every request that failed, and returns how long each
// took, sorted.
func (v *visits) stop() []time.Duration {
	v.c.w.t.Helper()
	close(v.done)
	v.ended.Wait()
	var took []time.Duration
	var failed []string
	for _, w := range v.workers {
		took = append(took, w.took...)
		failed = append(failed, w.failed...)
	}
	if len(failed) > 0 {
		v.c.w.t.Errorf("%d of %d requests failed; the first: %s", len(failed), len(took), failed[0])
	}
	slices.Sort(took)
	return took
}

// each has every client visit one replica once, one after the other.
func (c *crowd) each(r *replica) {
	c.w.t.Helper()
	w := &worker{links: map[*replica]*link{}}
	for one := range c.all {
		who, err := w.ask(r, r.deaths.Load(), one)
		if err != nil {
			c.w.t.Fatalf("session %d at %s: %v", one.n, r.name, err)
		}
		one.served(r, who)
	}
	w.close()
}

// p99 of sorted times.
func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}

func (w *worker) work() {
	defer w.close()
	for asked := 0; ; w.rounds.Add(1) {
		for _, c := range *w.share {
			select {
			case <-w.v.done:
				return
			default:
			}
			w.serve(c)
			asked++
			if every := w.v.load.newcomers; every > 0 && asked%every == 0 && len(*w.share)*connections < w.v.load.most {
				fresh := &client{n: w.number, turn: asked}
				w.number += connections
				*w.share = append(*w.share, fresh)
				w.serve(fresh)
			}
			if w.v.load.pause > 0 {
				time.Sleep(w.v.load.pause)
			}
		}
	}
}

func (w *worker) close() {
	for _, l := range w.links {
		l.conn.Close()
	}
}

// serve has a client visit the next replica that is up; another one if that is
// killed meanwhile.
func (w *worker) serve(c *client) {
	all := w.v.c.w.replicas
	for range 2 * len(all) {
		r := all[c.turn%len(all)]
		c.turn++
		death := r.deaths.Load()
		if r.down.Load() {
			continue
		}
		begin := time.Now()
		who, err := w.ask(r, death, c)
		if err != nil {
			if l := w.links[r]; l != nil {
				l.conn.Close()
				delete(w.links, r)
			}
			if r.deaths.Load() != death {
				continue
			}
			w.failed = append(w.failed, fmt.Sprintf("session %d at %s, %s: %v", c.n, r.name, begin.Format("15:04:05.000"), err))
			return
		}
		w.took = append(w.took, time.Since(begin))
		w.v.served.Add(1)
		c.served(r, who)
		return
	}
	w.failed = append(w.failed, fmt.Sprintf("session %d: no replica is up", c.n))
}

var setTicket = []byte("Set-Cookie: lb_session=")

// ask sends a client's request and returns who answered.
func (w *worker) ask(r *replica, death int64, c *client) (who string, err error) {
	l := w.links[r]
	if l != nil && l.death != death {
		l.conn.Close()
		l = nil
	}
	if l == nil {
		conn, err := net.Dial("tcp", *r.addr.Load())
		if err != nil {
			return "", err
		}
		l = &link{conn, bufio.NewReader(conn), death}
		w.links[r] = l
	}
	l.conn.SetDeadline(time.Now().Add(patience))
	request := "GET / HTTP/1.1\r\nHost: shop.example.com\r\n"
	if c.ticket != "" {
		request += "Cookie: lb_session=" + c.ticket + "\r\n"
	}
	if _, err := io.WriteString(l.conn, request+"\r\n"); err != nil {
		return "", err
	}
	length, state := -1, ""
	for first := true; ; first = false {
		text, err := l.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		text = bytes.TrimSuffix(text, []byte("\r\n"))
		if len(text) == 0 {
			break
		}
		if first {
			state = string(text)
		} else if n, ok := bytes.CutPrefix(text, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(n)); err != nil {
				return "", err
			}
		} else if value, ok := bytes.CutPrefix(text, setTicket); ok {
			ticket, _, _ := bytes.Cut(value, []byte(";"))
			c.ticket = string(ticket)
		}
	}
	if length < 0 {
		return "", fmt.Errorf("%s, without a length", state)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(l.in, body); err != nil {
		return "", err
	}
	if state != "HTTP/1.1 200 OK" {
		return "", fmt.Errorf("%s: %s", state, body)
	}
	return string(body), nil
}
