package load

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/http1"
	"go-loadbalancer/sim/scenario"
)

// defaultDeadline is for loads that say none.
const defaultDeadline = 10 * time.Second

// mostPause is longer than any run, and far from what a duration cannot hold.
const mostPause = 48 * time.Hour

// ask makes a request, and makes it again if it fails and the load says so.
func (s *source) ask(ctx context.Context, kind int, who *session, due time.Time) {
	id := s.next()
	pause := s.Retries.Backoff
	for retry := 0; ; retry++ {
		r := s.request(id, kind, retry, who, due)
		if r.OK() || retry >= s.Retries.Attempts || ctx.Err() != nil {
			break
		}
		cut := float64(hash(s.g.o.Seed, id, retry)%1000) / 2000
		due = s.g.clock().Round(time.Now().Add(time.Duration(float64(pause)*(1-cut)) + 1))
		pause = min(2*pause, mostPause)
		if !due.Before(s.g.o.Began.Add(s.g.o.End)) || !until(ctx, due) || !s.g.room() {
			break // no load comes when the run is over
		}
	}
	if who != nil && len(s.sessions) > 0 && s.Users == 0 {
		s.g.mu.Lock()
		who.busy--
		s.g.mu.Unlock()
	}
}

// hash is FNV-1a.
func hash(seed uint64, id string, n int) uint64 {
	h := uint64(14695981039346656037) ^ seed
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return (h ^ uint64(n)) * 1099511628211 >> 20
}

// request makes one request and records it.
func (s *source) request(id string, kind, retry int, who *session, due time.Time) *history.Request {
	g := s.g
	if retry > 0 {
		id += "." + strconv.Itoa(retry)
	}
	deadline := s.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	k := &s.Load.Requests[kind]
	began := g.o.Began
	r := &history.Request{
		ID: id, Load: s.index, Kind: kind, Retry: retry, Intended: due.Sub(began), Start: time.Since(began),
		Deadline: due.Sub(began) + deadline, Method: k.Method, Path: k.Path, Replica: s.replica(),
	}
	if who != nil {
		r.Session = who.number
	}
	s.record(r)
	err := errNoReplica
	if r.Replica != "" {
		err = s.converse(r, k, who, due.Add(deadline))
	}
	r.End = time.Since(began)
	if err != nil {
		r.Err = reason(err)
	}
	return r
}

var (
	errNoReplica = errors.New("no replica is there")
	errNotMeant  = errors.New("the body is not the one its endpoint meant")
	errUnasked   = errors.New("more came than was asked for")
)

// reason is why a request failed, in the same words every time.
func reason(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF):
		return "closed"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "truncated"
	}
	return err.Error()
}

// converse has the request answered, and asks once more on a new connection if a kept
// one was closed meanwhile.
func (s *source) converse(r *history.Request, k *scenario.Request, who *session, by time.Time) error {
	at := place{replica: r.Replica, listener: s.Listener}
	if who != nil {
		at.client = who.number
	}
	for {
		c, kept, err := s.g.connect(at, by)
		if err != nil {
			return err
		}
		c.by, r.First = by, !kept
		c.SetDeadline(by)
		reuse, err := c.exchange(s, r, k, who)
		if reuse {
			s.g.keep(at, c)
			return err
		}
		c.Close()
		stale := kept && err != nil && !c.heard && idempotent(k.Method) && time.Now().Before(by)
		if !stale || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func idempotent(method string) bool { return method != "POST" && method != "PATCH" }

// exchange sends the request and reads the response. It says whether the connection may
// be used again.
func (c *conn) exchange(s *source, r *history.Request, k *scenario.Request, who *session) (reuse bool, err error) {
	c.heard = false
	c.out = s.append(c.out[:0], r, k, who)
	c.read.start(s.Pace.Read)
	whole, err := c.ask(s.Pace, r, len(c.out)-k.Body)
	if err != nil {
		return false, err
	}
	var head *http1.Head
	for {
		if head, err = c.in.Head(); err != nil {
			return false, err
		}
		c.heard = true
		if r.Status, err = head.Status(); err != nil {
			r.Status = 0
			return false, err
		}
		if r.Status >= 200 {
			break
		}
		r.Status = 0
	}
	framing, err := head.ResponseBody(k.Method)
	if err != nil {
		return false, err
	}
	if by := head.Get("X-Backend"); by != nil {
		r.By = c.name(by)
	}
	r.RetryAfter = string(head.Get("Retry-After"))
	r.CloseDelimited = framing.ToEnd
	last := head.Last() || framing.ToEnd || !whole
	meant := head.Get("X-Size")
	size := int64(-1)
	if meant != nil && k.Method != "HEAD" {
		if size, err = strconv.ParseInt(string(meant), 10, 64); err != nil {
			return false, err
		}
	}
	if who != nil {
		s.g.mu.Lock()
		who.keep(head, s.g.o.SessionHeader)
		s.g.mu.Unlock()
	}
	c.check = http1.Check{}
	err = c.in.Body(framing, c.see)
	r.Got = c.check.Size
	if err != nil {
		return false, err
	}
	r.LooksWhole = true
	if size >= 0 && (size != c.check.Size || c.check.Bad) {
		return false, errNotMeant
	}
	if c.in.Buffered() > 0 { // a client that asks again takes that for its answer
		return false, errUnasked
	}
	r.Whole = true
	return !last, nil
}

// ask sends what is to be sent, head bytes of which are the head. It says whether all
// was, or an answer came first.
func (c *conn) ask(pace scenario.Pace, r *history.Request, head int) (whole bool, err error) {
	r.Unsent = false
	if pace.Head == 0 && pace.Body == 0 {
		_, err := c.Write(c.out)
		return err == nil, err
	}
	n, err := c.send(c.out[:head], pace.Head)
	if n < head {
		r.Unsent = true
		return false, err
	}
	if err != nil {
		return false, err
	}
	n, err = c.send(c.out[head:], pace.Body)
	return n == len(c.out)-head, err
}

// append appends the request.
func (s *source) append(b []byte, r *history.Request, k *scenario.Request, who *session) []byte {
	b = append(append(append(append(b, k.Method...), ' '), k.Path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(append(b, s.g.o.Host(r.Replica, s.Load, k)...), "\r\nX-Request-Id: "...), r.ID...)
	b = append(b, "\r\n"...)
	for _, h := range k.Headers {
		b = append(append(append(append(b, h.Name...), ": "...), h.Value...), "\r\n"...)
	}
	if who != nil {
		s.g.mu.Lock()
		b = who.append(b, s.g.o.SessionHeader)
		s.g.mu.Unlock()
	}
	if k.Body > 0 || !idempotent(k.Method) || k.Method == "PUT" {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(k.Body), 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return http1.AppendPattern(b, 0, int64(k.Body))
}
