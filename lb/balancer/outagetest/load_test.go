package outagetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is requests that come at their rate whatever becomes of them.
type load struct {
	r        *replica      // where to
	to       string        // the same, as an address
	rate     float64       // requests a second
	lasts    time.Duration // how long they come
	deadline time.Duration // of each; 0: a minute
	poisson  bool          // at random times; else evenly
	posts    float64       // share of POSTs; the others are GETs
	streams  float64       // share of POSTs whose bodies come bit by bit
	tunnels  float64       // share of requests for an upgrade, which then talk for a while
	users    int           // how many clients, who keep cookies, the requests are of, in turn; 0: nobody keeps any
	path     string        // "": /
	fresh    bool          // each request on a connection of its own
	slow     time.Duration // pause of the client before it reads the body
}

// result is what became of a request, as its client saw it. Times are since the
// beginning.
type result struct {
	id, method  string
	start, end  time.Duration
	status      int    // 0: no head came
	by          string // the backend that answered; "": the balancer itself
	retryAfter  string
	whole       bool  // the response came to its end, and is as long as its backend meant it to be
	looksWhole  bool  // it came to its end by all that HTTP says
	interim     int   // interim responses before it
	err         error // why it is not whole
	unsolicited bool  // more came than was asked for
	refused     bool  // no connection came about
	user        int
	pause       time.Duration // between two pieces of a body, or of talk; 0: all at once
	uploaded    time.Duration // how long its body took
}

func (r *result) took() time.Duration { return r.end - r.start }
func (r *result) good() bool          { return r.whole && r.status < 400 }

// traffic is a load under way.
type traffic struct {
	over    sync.WaitGroup
	results []result
}

// offer begins a load. Its requests have ids of their own, by which they are
// known to backends and events.
func (w *world) offer(l load) *traffic {
	if l.r != nil {
		l.to = l.r.address
	}
	if l.deadline == 0 {
		l.deadline = time.Minute
	}
	if l.path == "" {
		l.path = "/"
	}
	rnd := rand.New(rand.NewPCG(w.seed, 1000+w.offered))
	first := w.offered
	n := int(l.rate * l.lasts.Seconds())
	w.offered += uint64(n)
	tr := &traffic{results: make([]result, n)}
	w.loads = append(w.loads, tr)
	gap := float64(time.Second) / l.rate
	tr.over.Go(func() {
		began := time.Now()
		at := 0.0
		for i := range n {
			space := gap
			if l.poisson {
				space *= rnd.ExpFloat64()
			}
			method := "GET"
			if rnd.Float64() < l.posts {
				method = "POST"
			}
			var pause time.Duration
			if l.streams > 0 && method == "POST" && rnd.Float64() < l.streams {
				pause = 1 + time.Duration(rnd.Int64N(int64(100*time.Millisecond)))
			}
			if l.tunnels > 0 && rnd.Float64() < l.tunnels {
				method, pause = "UPGRADE", 1+time.Duration(rnd.Int64N(int64(150*time.Millisecond)))
			}
			// A nanosecond or so off the beat: no two things happen at one instant.
			at += max(space, 1)
			time.Sleep(time.Until(began.Add(time.Duration(at) + time.Duration(rnd.IntN(1000)))))
			r := &tr.results[i]
			r.id, r.method, r.pause = fmt.Sprintf("%s-%d", method, first+uint64(i)), method, pause
			if l.users > 0 {
				r.user = 1 + i%l.users
			}
			tr.over.Go(func() { w.ask(&l, r) })
		}
	})
	return tr
}

// wait waits for the end of every request.
func (tr *traffic) wait() []result {
	tr.over.Wait()
	return tr.results
}

// ask makes one request.
func (w *world) ask(l *load, r *result) {
	r.start = w.now()
	defer func() { r.end = w.now() }()
	var c *conn
	w.mu.Lock()
	for free := w.idle[l.to]; c == nil && len(free) > 0 && !l.fresh; free = w.idle[l.to] {
		c = free[len(free)-1]
		w.idle[l.to] = free[:len(free)-1]
		if c.Readable() {
			c.Close()
			c = nil
		}
	}
	w.mu.Unlock()
	if c == nil {
		nc, err := w.net.dial(w.t.Context(), "tcp", l.to)
		if err != nil {
			r.err, r.refused = err, true
			return
		}
		c = nc.(*conn)
	}
	c.SetDeadline(w.began.Add(r.start + l.deadline))
	if keep := w.exchange(c, l, r); keep && !l.fresh {
		w.mu.Lock()
		w.idle[l.to] = append(w.idle[l.to], c)
		w.mu.Unlock()
		return
	}
	c.Close()
}

// errShort is a body that looks whole and is not.
var errShort = errors.New("the body is not the one its backend meant")

// exchange sends the request and reads the response. It reports whether the
// connection may be used again.
func (w *world) exchange(c *conn, l *load, r *result) (keep bool) {
	method, content := r.method, "\r\n"
	switch {
	case method == "UPGRADE":
		method, content = "GET", "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	case method == "POST" && r.pause > 0:
		content = "Transfer-Encoding: chunked\r\n\r\n"
	case method == "POST":
		content = fmt.Sprintf("Content-Length: %d\r\n\r\n%s", bodySize, body)
	}
	w.mu.Lock()
	if cookie := w.cookies[r.user]; cookie != "" {
		content = "Cookie: " + cookie + "\r\n" + content
	}
	w.mu.Unlock()
	_, r.err = io.WriteString(c, method+" "+l.path+" HTTP/1.1\r\nHost: shop.test\r\nX-Request-Id: "+r.id+"\r\n"+content)
	if r.err != nil {
		return false
	}
	if method == "POST" && r.pause > 0 {
		w.stream(c, r)
	}
	in := bufio.NewReaderSize(c, 1024)
	var resp *http.Response
	for {
		if resp, r.err = http.ReadResponse(in, &http.Request{Method: method}); r.err != nil {
			return false
		}
		if resp.StatusCode >= 200 || resp.StatusCode == 101 {
			break
		}
		r.interim++
	}
	r.status, r.by, r.retryAfter = resp.StatusCode, resp.Header.Get("X-Backend"), resp.Header.Get("Retry-After")
	if set := resp.Cookies(); r.user > 0 && len(set) > 0 {
		w.mu.Lock()
		w.cookies[r.user] = set[0].Name + "=" + set[0].Value
		w.mu.Unlock()
	}
	if r.status == 101 {
		r.err = talk(c, in, r.pause)
		r.whole = r.err == nil
		r.looksWhole = r.whole
		return false
	}
	if l.slow > 0 {
		time.Sleep(l.slow)
	}
	var got bytes.Buffer
	if _, r.err = io.Copy(&got, resp.Body); r.err != nil {
		return false
	}
	r.looksWhole = true
	if size := resp.Header.Get("X-Size"); size != "" {
		if n, _ := strconv.Atoi(size); n != got.Len() || !strings.HasPrefix(body, got.String()) {
			r.err = errShort
			return false
		}
	}
	r.whole = true
	r.unsolicited = in.Buffered() > 0
	return !resp.Close && !r.unsolicited
}

// stream sends the body in four chunks. An answer that comes earlier is read after
// that, as is one that ends the connection.
func (w *world) stream(c *conn, r *result) {
	began := w.now()
	defer func() { r.uploaded = w.now() - began }()
	for n := 0; n < bodySize; n += bodySize / 4 {
		time.Sleep(r.pause)
		if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", bodySize/4, body[n:n+bodySize/4]); err != nil {
			return
		}
	}
	io.WriteString(c, "0\r\n\r\n")
}

// talk says something through a tunnel a few times, and has it said back.
func talk(c *conn, in io.Reader, pause time.Duration) error {
	for range 5 {
		time.Sleep(pause)
		if _, err := io.WriteString(c, body); err != nil {
			return err
		}
		said := make([]byte, len(body))
		if _, err := io.ReadFull(in, said); err != nil {
			return err
		}
		if string(said) != body {
			return errShort
		}
	}
	return nil
}

// during returns the results of requests that began in a time.
func during(rs []result, from, until time.Duration) []result {
	var out []result
	for i := range rs {
		if rs[i].start >= from && rs[i].start < until {
			out = append(out, rs[i])
		}
	}
	return out
}

// count is how many results are so.
func count(rs []result, is func(*result) bool) int {
	n := 0
	for i := range rs {
		if is(&rs[i]) {
			n++
		}
	}
	return n
}

// success is the share of good results.
func success(rs []result) float64 { return ratio(count(rs, (*result).good), len(rs)) }

// quantile is that of how long results took.
func quantile(rs []result, q float64) time.Duration {
	if len(rs) == 0 {
		return 0
	}
	all := make([]time.Duration, len(rs))
	for i := range rs {
		all[i] = rs[i].took()
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

func (r *result) String() string {
	return fmt.Sprintf("%s at %v for %v: %d by %q, whole %t, %v", r.id, r.start, r.took(), r.status, r.by, r.whole, r.err)
}
