package main

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// streams is how many event streams and tunnels there are, each of them open from
// the beginning to the end.
const streams = 4

// Streams by their place in honest.streams.
const (
	eventStreams = iota
	tunnels
)

// streamNames are shown for them.
var streamNames = []string{"event stream", "tunnel"}

// stream opens all streams. The channel is closed when they have ended, with ctx;
// any that ends earlier is a failure, and opened again.
func (h *honest) stream(ctx context.Context) <-chan struct{} {
	var all sync.WaitGroup
	keep := func(t *tally, f func(context.Context, *tally) error) {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := f(ctx, t); ctx.Err() == nil {
					t.fail("ended early: %v", err)
					time.Sleep(eventEvery)
				}
			}
		})
	}
	for range streams {
		keep(h.streams[eventStreams], h.events)
		keep(h.streams[tunnels], h.tunnel)
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	return ended
}

// events receives events, whose latency counts from their sending.
func (h *honest) events(ctx context.Context, t *tally) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.target+"/events", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		sent, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		t.answered(time.Since(epoch) - time.Duration(sent))
	}
	return lines.Err()
}

// tunnel sends messages and waits for each to come back.
func (h *honest) tunnel(ctx context.Context, t *tally) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, _, err := websocket.Dial(ctx, "ws://"+h.target+"/socket", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	for {
		sent := time.Now()
		if err := c.Write(ctx, websocket.MessageText, []byte("a message")); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		t.answered(time.Since(sent))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
