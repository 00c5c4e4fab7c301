// Package relay stands before a server, and has its answers come later: what a network
// does for which not every kernel has the means (sch_netem).
//
//	r := relay.New("198.18.0.250:6379")
//	err := r.Serve(ctx, ":6379", control) // until ctx ends
//
// It is told what to do over HTTP at the control address: PUT /slow?by=500ms, and asked by
// GET /state. Both answer with its [State].
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// State is what a relay has done.
type State struct {
	Open   int // connections
	Slowed int // pieces of answers that came later
}

// Relay is one. It must be made with [New].
type Relay struct {
	to      string
	running sync.WaitGroup

	mu     sync.Mutex
	over   bool
	slow   time.Duration
	pairs  map[*pair]struct{}
	slowed int
}

// pair is a connection and what it leads to.
type pair struct {
	near, far *net.TCPConn
	once      sync.Once
	done      chan struct{}
}

const (
	// most is how many bytes of a direction are held at a time.
	most = 32 << 10
	// reaching is how long the server may take to be reached.
	reaching = 5 * time.Second
	// pairsMost is how many connections there are at most.
	pairsMost = 1024
)

// New returns one before a server's address. It does nothing yet.
func New(to string) *Relay { return &Relay{to: to, pairs: map[*pair]struct{}{}} }

// Serve relays what comes to an address until ctx ends. Nothing is left running.
func (r *Relay) Serve(ctx context.Context, address string, control net.Listener) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		control.Close()
		return err
	}
	r.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.relay(c.(*net.TCPConn)) })
		}
	})
	mux := http.NewServeMux()
	does := func(pattern string, f func(*http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			if err := f(q); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			json.NewEncoder(w).Encode(r.state())
		})
	}
	does("GET /state", func(*http.Request) error { return nil })
	does("PUT /slow", func(q *http.Request) error {
		by, err := time.ParseDuration(q.FormValue("by"))
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			r.slow = by
		}
		return err
	})
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- h.Serve(control) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		h.Close()
		err = <-served
	}
	l.Close()
	r.mu.Lock()
	r.over = true
	for p := range r.pairs {
		p.abort()
	}
	r.mu.Unlock()
	r.running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (r *Relay) state() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{len(r.pairs), r.slowed}
}

func (p *pair) abort() {
	p.once.Do(func() {
		close(p.done)
		for _, c := range []*net.TCPConn{p.near, p.far} {
			c.SetLinger(0)
			c.Close()
		}
	})
}

// relay relays one connection. If the server cannot be reached it is reset.
func (r *Relay) relay(near *net.TCPConn) {
	c, err := net.DialTimeout("tcp", r.to, reaching)
	if err != nil {
		near.SetLinger(0)
		near.Close()
		return
	}
	p := &pair{near: near, far: c.(*net.TCPConn), done: make(chan struct{})}
	defer p.abort()
	r.mu.Lock()
	if r.over || len(r.pairs) == pairsMost {
		r.mu.Unlock()
		return
	}
	r.pairs[p] = struct{}{}
	r.mu.Unlock()
	var up sync.WaitGroup
	up.Go(func() { r.carry(p, p.far, p.near, false) })
	r.carry(p, p.near, p.far, true)
	up.Wait()
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
}

// carry carries what one end sends to the other, until it has no more to say; answers
// are what may be slow.
func (r *Relay) carry(p *pair, to, from *net.TCPConn, answers bool) {
	buffer := make([]byte, most)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if answers && !r.wait(p) {
				return
			}
			if _, failed := to.Write(buffer[:n]); failed != nil {
				p.abort()
				return
			}
		}
		switch {
		case err == io.EOF:
			to.CloseWrite()
			return
		case err != nil:
			p.abort()
			return
		}
	}
}

// wait has an answer come later; false: the connection was broken.
func (r *Relay) wait(p *pair) bool {
	r.mu.Lock()
	by := r.slow
	if by > 0 {
		r.slowed++
	}
	r.mu.Unlock()
	if by <= 0 {
		return true
	}
	timer := time.NewTimer(by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}
