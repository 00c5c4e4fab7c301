//go:build !image

package containers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/lb/event"
)

// told is one thing that a balancer tells: see GET /api/v1/tail.
type told struct {
	kind string

	At, Start, End                             time.Time
	ID, Request, Route, Pool, Endpoint         string
	Policy, Flags, Session, Result, From, To   string
	Reason, Hash, Version, Error               string
	Status, Attempts, Number                   int
	Probe, Mirror, Healthy, On, LastGood, Away bool
	Count                                      uint64
}

// stream is what a process tells.
type stream struct {
	of    *balancer
	heard chan struct{} // closed when nothing will be missed
	ended chan struct{}

	mu      sync.Mutex
	waiting []told // until somebody is told
	tell    *event.Listener
	names   map[[2]string]event.ID
}

func newStream(b *balancer) *stream {
	return &stream{of: b, heard: make(chan struct{}), ended: make(chan struct{}), names: map[[2]string]event.ID{}}
}

// follow follows the process until it ends.
func (s *stream) follow() {
	defer close(s.ended)
	for end := time.Now().Add(doing); time.Now().Before(end); time.Sleep(pace) {
		began, err := s.once()
		if began {
			if err != nil {
				s.of.g.fail("%s: what it tells cannot be followed: %v", s.of.name(), err)
			}
			return
		}
		if s.of.g.isOver() {
			return
		}
	}
}

// once follows it, if it is there.
func (s *stream) once() (began bool, err error) {
	resp, err := s.of.http.Get("http://" + local(s.of.ports[s.of.admin]) + "/api/v1/tail")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("GET /api/v1/tail: %s", resp.Status)
	}
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	kind := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil { // it has ended, or was killed
			if !began && !errors.Is(err, io.EOF) {
				return began, err
			}
			return began, nil
		}
		if !began {
			began = true
			close(s.heard)
		}
		line = strings.TrimSuffix(line, "\n")
		if k, ok := strings.CutPrefix(line, "event: "); ok {
			kind = k
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		t := told{kind: kind}
		if err := json.Unmarshal([]byte(data), &t); err != nil {
			return began, err
		}
		if kind == "missed" {
			return began, fmt.Errorf("%d events were missed: this machine is too busy", t.Count)
		}
		s.see(t)
	}
}

// wait waits until all is told.
func (s *stream) wait(ctx context.Context) {
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}

// to has somebody be told, also of what was before.
func (s *stream) to(tell *event.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = tell
	for i := range s.waiting {
		s.pass(&s.waiting[i])
	}
	s.waiting = nil
}

func (s *stream) see(t told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.kind == "attempt" && t.Result != string(event.OK) && t.Result != string(event.Failed) {
		g := s.of.g
		g.mu.Lock()
		g.failed = append(g.failed, failure{t.Endpoint, s.of.number, t.Start, t.End})
		g.mu.Unlock()
	}
	if s.tell == nil {
		s.waiting = append(s.waiting, t)
		return
	}
	s.pass(&t)
}

// pass tells of it, with the scenario's addresses. The lock is held.
func (s *stream) pass(t *told) {
	b := s.of.g.book
	t.Endpoint, t.Hash, t.Policy = b.place(t.Endpoint), b.hash(t.Hash), b.hash(t.Policy)
	switch t.kind {
	case "policy":
		if t.Error != "" {
			s.tell.PolicyRejected(&event.Rejection{At: t.At, Hash: t.Hash, Reason: t.Reason, Err: errors.New(t.Error)})
			return
		}
		c := &event.Catalog{Policy: event.PolicyInfo{Version: t.Version, Hash: t.Hash}}
		s.tell.PolicyCommitted(&event.Commit{Catalog: c, At: t.At, LastGood: t.LastGood})
	case "request":
		s.tell.RequestEnded(&event.Request{
			Start: t.Start, Duration: t.End.Sub(t.Start), RequestID: []byte(t.ID), RouteName: t.Route, PolicyHash: t.Policy,
			Status: t.Status, Attempts: t.Attempts, Flags: flags(t.Flags), Session: use(t.Session),
		})
	case "attempt":
		id := s.endpoint(t)
		s.tell.AttemptEnded(&event.Attempt{
			RequestID: []byte(t.Request), Pool: id, Endpoint: id, Number: t.Number, Start: t.Start, Duration: t.End.Sub(t.Start),
			Status: t.Status, Result: event.Result(t.Result), Probe: t.Probe, Mirror: t.Mirror,
		})
	case "breaker":
		s.tell.BreakerChanged(event.BreakerChange{
			Endpoint: s.endpoint(t), PoolName: t.Pool, Address: t.Endpoint, From: event.BreakerState(t.From), To: event.BreakerState(t.To),
			Reason: t.Reason, At: t.At,
		})
	case "health":
		s.tell.HealthChanged(event.HealthChange{
			Endpoint: s.endpoint(t), PoolName: t.Pool, Address: t.Endpoint, Healthy: t.Healthy, Reason: t.Reason, At: t.At,
		})
	case "panic":
		s.tell.PanicChanged(event.PanicChange{PoolName: t.Pool, Panic: t.On, At: t.At})
	case "move":
		s.tell.SessionMoved(event.SessionMove{PoolName: t.Pool, Reason: event.MoveReason(t.Reason)})
	}
}

// endpoint is the id of a place, which has the same as its pool here.
func (s *stream) endpoint(t *told) event.ID {
	at := [2]string{t.Pool, t.Endpoint}
	id, ok := s.names[at]
	if !ok {
		id = event.ID(len(s.names))
		s.names[at] = id
		s.tell.PolicyPrepared(&event.Catalog{
			Pools:     []event.Named{{ID: id, Name: t.Pool}},
			Endpoints: []event.NamedEndpoint{{ID: id, Pool: id, PoolName: t.Pool, Address: t.Endpoint}},
		})
	}
	return id
}

// flags are those of a text.
func flags(text string) (f event.Flags) {
	for name := range strings.SplitSeq(text, ",") {
		for _, one := range event.EachFlag {
			if one.String() == name {
				f |= one
			}
		}
	}
	return f
}

func use(text string) event.SessionUse {
	for u := event.NoSession; u < event.SessionUses; u++ {
		if u.String() == text {
			return u
		}
	}
	return event.NoSession
}
