package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// Answer is what a backend says about itself and a request.
type Answer struct {
	Backend   string      `json:"backend"` // name or address
	Request   uint64      `json:"request"` // its number, from 1
	Method    string      `json:"method"`
	Path      string      `json:"path"` // with the query, as it came
	Host      string      `json:"host"`
	RequestID string      `json:"requestId,omitempty"` // X-Request-Id
	Body      int64       `json:"body"`                // bytes that came
	Headers   http.Header `json:"headers,omitempty"`   // with ?headers=true
}

// answer is what a backend that is well does.
func (x *exchange) answer() {
	q, err := parseQuery(x.r.URL)
	if err != nil {
		x.text(http.StatusBadRequest, err.Error()+"\n")
		return
	}
	switch {
	case x.r.URL.Path == HealthPath:
		x.text(http.StatusOK, "ok\n")
	case x.r.URL.Path == "/events":
		x.events(q.every)
	case x.r.URL.Path == "/ws":
		x.echo()
	case q.chunks > 0:
		x.chunks(q)
	case q.size >= 0:
		x.reply(http.StatusOK, "application/octet-stream", q.size, func(w io.Writer) error {
			for left := q.size; left > 0; {
				n, err := w.Write(x.b.pattern[:min(left, int64(len(x.b.pattern)))])
				if err != nil {
					return err
				}
				left -= int64(n)
			}
			return nil
		})
	default:
		x.describe(q)
	}
}

func (x *exchange) describe(q query) {
	a := Answer{
		Backend: x.name, Request: x.n, Method: x.r.Method, Path: x.r.URL.RequestURI(), Host: x.r.Host,
		RequestID: x.r.Header.Get("X-Request-Id"), Body: x.got,
	}
	if q.headers {
		a.Headers = x.r.Header
	}
	line, err := json.Marshal(a)
	if err != nil { // strings and numbers only: cannot be
		panic(err)
	}
	line = append(line, '\n')
	x.reply(http.StatusOK, "application/json", int64(len(line)), func(w io.Writer) error {
		_, err := w.Write(line)
		return err
	})
}

// text answers a status and a line.
func (x *exchange) text(status int, line string) {
	x.reply(status, "text/plain; charset=utf-8", int64(len(line)), func(w io.Writer) error {
		_, err := io.WriteString(w, line)
		return err
	})
}

// chunks streams lines of text with a pause between them.
func (x *exchange) chunks(q query) {
	x.reply(http.StatusOK, "text/plain; charset=utf-8", unknown, func(w io.Writer) error {
		for i := 1; i <= q.chunks; i++ {
			if i > 1 {
				x.wait(q.every)
			}
			if _, err := fmt.Fprintf(w, "%s: chunk %d of %d\n", x.name, i, q.chunks); err != nil {
				return err
			}
			if err := x.rc.Flush(); err != nil {
				return err
			}
		}
		return nil
	})
}

// events sends server-sent events until the client leaves or the backend
// stops (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (x *exchange) events(every time.Duration) {
	if every == 0 {
		every = time.Second
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.reply(http.StatusOK, "text/event-stream", unknown, func(w io.Writer) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 1; ; i++ {
			if _, err := fmt.Fprintf(w, "id: %d\nevent: tick\ndata: {\"backend\":%q,\"tick\":%d}\n\n", i, x.name, i); err != nil {
				return err
			}
			if err := x.rc.Flush(); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-x.stopping.Done():
				return nil
			case <-x.r.Context().Done():
				return x.r.Context().Err()
			}
		}
	})
}

// echo sends every WebSocket message back until the client leaves; when the
// backend stops, it says so with status 1001 (RFC 6455 section 7.4.1).
func (x *exchange) echo() {
	x.w.Header().Set("X-Backend", x.name)
	c, err := websocket.Accept(x.w, x.r, &websocket.AcceptOptions{
		// Anybody may talk to a fake backend, also through a balancer that
		// changes the Host.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	c.SetReadLimit(MaxMessage)
	x.status, x.began = http.StatusSwitchingProtocols, time.Now()

	ended := make(chan struct{})
	farewell := make(chan struct{})
	go func() {
		defer close(farewell)
		select {
		case <-ended:
		case <-x.stopping.Done():
			c.Close(websocket.StatusGoingAway, "the backend stops")
		}
	}()
	defer func() {
		close(ended)
		<-farewell
		c.CloseNow()
	}()
	for {
		kind, msg, err := c.Read(x.killed)
		if err != nil {
			return
		}
		if err := c.Write(x.killed, kind, msg); err != nil {
			return
		}
	}
}

// query is what a request asks for in its query.
type query struct {
	size    int64 // -1: not given
	chunks  int
	every   time.Duration // 0: not given
	headers bool
}

func parseQuery(u *url.URL) (query, error) {
	q := query{size: -1}
	v := u.Query()
	number := func(name string, most int64) (int64, error) {
		n, err := strconv.ParseInt(v.Get(name), 10, 64)
		if err != nil || n < 0 || n > most {
			return 0, fmt.Errorf("?%s=%s: a whole number from 0 to %d is wanted", name, v.Get(name), most)
		}
		return n, nil
	}
	var err error
	if v.Has("size") {
		if q.size, err = number("size", MaxBody); err != nil {
			return q, err
		}
	}
	if v.Has("chunks") {
		n, err := number("chunks", MaxChunks)
		if err != nil {
			return q, err
		}
		q.chunks = int(n)
		q.every = 100 * time.Millisecond
	}
	if v.Has("every") {
		q.every, err = time.ParseDuration(v.Get("every"))
		if err != nil || q.every < time.Millisecond || q.every > time.Minute {
			return q, fmt.Errorf("?every=%s: a duration from 1ms to 1m is wanted", v.Get("every"))
		}
	}
	if v.Has("headers") {
		if q.headers, err = strconv.ParseBool(v.Get("headers")); err != nil {
			return q, fmt.Errorf("?headers=%s: true or false is wanted", v.Get("headers"))
		}
	}
	return q, nil
}
