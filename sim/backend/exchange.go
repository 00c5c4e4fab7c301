package backend

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// HealthPath answers health checks.
const HealthPath = "/healthz"

// exchange is one request and what becomes of it.
type exchange struct {
	*server
	w      *takeover
	rc     *http.ResponseController
	r      *http.Request
	faults *active
	n      uint64     // the request's number, from 1
	rand   *rand.Rand // of this request alone
	got    int64      // bytes of body that came
	status int        // that was answered; 0: none
	began  time.Time  // the answer
	whole  bool       // all of it was
}

// ServeHTTP answers one request, or whatever the faults want instead.
func (s *server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &takeover{ResponseWriter: rw}
	defer func() {
		if w.done {
			s.release()
		}
	}()
	if r.URL.Path == ControlPath {
		s.b.control(w, r)
		return
	}
	x := &exchange{server: s, w: w, rc: http.NewResponseController(w), r: r, faults: s.b.now()}
	if r.URL.Path == HealthPath {
		x.check()
		return
	}
	x.n = s.b.requests.Add(1)
	x.rand = s.random(0, x.n)
	if s.b.opts.Served != nil {
		defer x.tell(time.Now())
	}
	x.serve(x.faults.first.Add(-1) >= 0)
	x.whole = x.status != 0
}

// tell tells of the request, whether or not it ended well.
func (x *exchange) tell(start time.Time) {
	x.b.opts.Served(Served{
		Request: x.n, Start: start, End: time.Now(), Answered: x.began, Method: x.r.Method, Path: x.r.URL.RequestURI(),
		RequestID: x.r.Header.Get("X-Request-Id"), Traceparent: x.r.Header.Get("Traceparent"), Status: x.status, Whole: x.whole,
	})
}

// check answers a health check.
func (x *exchange) check() {
	x.n = x.b.checks.Add(1)
	x.rand = x.random(1, x.n)
	switch x.faults.Health {
	case "pass":
		x.text(http.StatusOK, "ok\n")
	case "fail":
		x.text(http.StatusServiceUnavailable, "the fault says fail\n")
	default:
		x.serve(x.faults.first.Load() > 0)
	}
}

// serve takes the request through the faults in their order and then answers
// it.
func (x *exchange) serve(first bool) {
	if !x.readBody() {
		return
	}
	f := x.faults
	latency := x.b.opts.Latency
	if f.Latency != (Latency{}) {
		latency = f.Latency
	}
	took, unlucky := latency.draw(x.rand), x.rand.Float64() < f.Errors.Share
	if f.Respond != nil {
		took = time.Duration(f.Respond.After)
	}
	x.wait(took)

	switch {
	case first:
		x.text(orDefault(f.First.Status), "one of the first requests, which fail\n")
	case unlucky:
		x.text(orDefault(f.Errors.Status), "one of the share that fails\n")
	case f.Respond != nil:
		x.text(f.Respond.Status, "what the fault says\n")
	case f.Hang:
		x.hang()
	case f.Garbage:
		x.garbage()
	case f.Close:
		x.close()
	case f.Reset:
		x.reset()
	default:
		x.answer()
	}
}

// readBody reads the request's body, and aborts if it does not come. It reports
// whether the request is to be answered: one that is too large has been.
func (x *exchange) readBody() bool {
	if x.r.Body == http.NoBody {
		return true
	}
	body := http.MaxBytesReader(x.w, x.r.Body, MaxBody)
	buf := make([]byte, 32<<10)
	for {
		x.rc.SetReadDeadline(time.Now().Add(progressTimeout))
		n, err := body.Read(buf)
		x.got += int64(n)
		if err == io.EOF {
			break
		}
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			x.text(http.StatusRequestEntityTooLarge, "the body is too large\n")
			return false
		}
		if err != nil {
			x.abort()
		}
	}
	// A deadline left behind would look like the client going away.
	x.rc.SetReadDeadline(time.Time{})
	return true
}

// wait passes d, and aborts if the client leaves meanwhile or the backend has
// to end.
func (x *exchange) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.r.Context().Done():
		x.abort()
	case <-x.killed.Done():
		x.abort()
	}
}

// abort ends the request without a word more; net/http closes the connection.
func (x *exchange) abort() { panic(http.ErrAbortHandler) }
