package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/conformance/corpus"
)

// runner puts cases to one subject, one after the other.
type runner struct {
	addr    string // the subject's
	backend *backend
	// quiet is how long a subject may say nothing until it is taken to wait for
	// more.
	quiet time.Duration
	// hold is how long a body is held back, when it is sent apart from its head, from
	// a subject that neither passes the head on nor answers it; 0: for ever.
	hold time.Duration
	// settle returns once nothing more of the case can reach the backend.
	settle func()
}

// ending is how a client's connection went on after a case.
type ending string

const (
	kept   ending = "kept"   // a further request was answered
	closed ending = "closed" // by the subject
	waits  ending = "waits"  // no answer and no end, though all was sent
)

func (e ending) said() string {
	switch e {
	case kept:
		return "goes on"
	case closed:
		return "ends"
	}
	return "hangs"
}

// observed is what came of a case.
type observed struct {
	answers []*message // final responses to the case, the last one perhaps broken
	interim []int
	end     ending
	got     []received // what reached the backend, sentinels left out

	// Of a response case: whether a request behind it went by the connection the case
	// was answered on, and what came of the next one; nil: no answer.
	reused bool
	next   *message
}

const sentinelRequest = "GET " + sentinel + " HTTP/1.1\r\nHost: h\r\n\r\n"

// client is a client's connection.
type client struct {
	net.Conn
	reader
	o *observed
}

// patient is a connection of which each read may take so long.
type patient struct {
	net.Conn
	quiet time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	p.SetReadDeadline(time.Now().Add(p.quiet))
	return p.Conn.Read(b)
}

func (r *runner) dial(o *observed) (*client, error) {
	c, err := net.Dial("tcp4", r.addr)
	if err != nil {
		return nil, fmt.Errorf("the subject does not accept: %w", err)
	}
	return &client{Conn: c, reader: reader{in: bufio.NewReader(patient{c, r.quiet})}, o: o}, nil
}

// final reads the next final response; interim ones are noted, and on100 is
// called at a 100. A nil message means that none began.
func (c *client) final(method string, on100 func()) (*message, error) {
	for {
		m, err := c.response(method)
		switch {
		case len(m.raw) == 0:
			return nil, err
		case err == nil && m.status < 200 && m.status != 101:
			c.o.interim = append(c.o.interim, m.status)
			if m.status == 100 && on100 != nil {
				on100()
				on100 = nil
			}
			continue
		}
		return m, err
	}
}

// endOf is what an error of reading says of the connection.
func endOf(err error) ending {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return waits
	}
	return closed
}

// request runs a request case. Apart means that what follows the first head is sent
// once that head has reached the backend: a subject that streams has begun by then.
func (r *runner) request(q *corpus.Request, apart bool) (*observed, error) {
	r.backend.begin(nil)
	o := new(observed)
	c, err := r.dial(o)
	if err != nil {
		return nil, err
	}
	first, rest := string(q.Send), ""
	if head := strings.Index(first, "\r\n\r\n"); apart && head >= 0 {
		first, rest = first[:head+4], first[head+4:]
	}
	answered, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		// A subject that has heard enough does not read on: that is no error here.
		io.WriteString(c, first)
		if rest != "" {
			var late <-chan time.Time
			if r.hold > 0 {
				late = time.After(r.hold)
			}
			r.backend.began(answered, late)
			io.WriteString(c, rest)
		}
		if q.End {
			c.Conn.(*net.TCPConn).CloseWrite()
		}
	}()
	o.end = r.converse(c, q, sync.OnceFunc(func() { close(answered) }))
	c.Close()
	<-sent
	r.settle()
	o.got = r.backend.taken()
	return o, nil
}

// converse reads the answers to a case and finds out how the connection goes on.
// It calls answered once the first answer, or none, has come.
func (r *runner) converse(c *client, q *corpus.Request, answered func()) ending {
	defer answered()
	method, _, _ := strings.Cut(strings.TrimPrefix(string(q.Send), "\r\n"), " ")
	for i := range q.Answers() {
		if i < len(q.Forward) {
			method = q.Forward[i].Method
		}
		m, err := c.final(method, func() { io.WriteString(c, string(q.Continued)) })
		answered()
		if m != nil {
			c.o.answers = append(c.o.answers, m)
		}
		if err != nil {
			return endOf(err)
		}
		if m.untilEnd {
			return closed
		}
	}
	if !q.End {
		io.WriteString(c, sentinelRequest)
	}
	for {
		m, err := c.final("GET", nil)
		if m != nil && err == nil && m.body == sentinelBody {
			return kept
		}
		if m != nil {
			c.o.answers = append(c.o.answers, m)
		}
		if err != nil {
			return endOf(err)
		}
	}
}

// response runs a response case.
func (r *runner) response(p *corpus.Response) (*observed, error) {
	r.backend.begin(p)
	o := new(observed)
	c, err := r.dial(o)
	if err != nil {
		return nil, err
	}
	defer func() { c.Close() }()
	io.WriteString(c, string(p.Request()))
	m, err := c.final(p.Method(), nil)
	if m != nil {
		o.answers = append(o.answers, m)
	}
	o.end = kept
	if err != nil || m.untilEnd {
		o.end = endOf(err)
	}
	o.got = r.backend.taken()
	asked := 0
	if len(o.got) > 0 {
		asked = o.got[0].line
		r.backend.later(asked, p.Later)
	}
	// The next request goes by the same connection, or else by another one.
	if o.end == kept {
		io.WriteString(c, sentinelRequest)
		if o.next, err = c.final("GET", nil); o.next == nil {
			o.end = endOf(err)
		}
	}
	if o.end != kept {
		c.Close()
		if c, err = r.dial(new(observed)); err != nil {
			return nil, err
		}
		io.WriteString(c, sentinelRequest)
		o.next, _ = c.final("GET", nil)
	}
	c.Close()
	r.settle()
	o.reused = asked > 0 && r.backend.reused(asked)
	o.got = r.backend.taken()
	return o, nil
}

// probe sends one request by a connection of its own.
func (r *runner) probe() error {
	c, err := r.dial(new(observed))
	if err != nil {
		return err
	}
	defer c.Close()
	io.WriteString(c, sentinelRequest)
	m, err := c.final("GET", nil)
	if err == nil && m.status != 200 {
		err = fmt.Errorf("status %d", m.status)
	}
	return err
}

// settleProcess settles a subject that goes on: once it has served another client
// it has done what there was to do before, and what is left unfinished at the
// backend then gets no more than its time.
func (r *runner) settleProcess() {
	// The second one finds what the first found still in use.
	r.probe()
	r.probe()
	r.backend.settle(r.quiet)
}
