package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// collector takes the spans that the product exports, by OTLP over HTTP, and forgets
// them. It is in this process, so that nothing of it is counted as a balancer's.
type collector struct {
	address string
	batches atomic.Int64
	server  http.Server
	serving sync.WaitGroup
}

func startCollector() (*collector, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	c := &collector{address: l.Addr().String()}
	c.server.ReadTimeout, c.server.WriteTimeout = time.Minute, time.Minute
	c.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 && r.URL.Path == "/v1/traces" {
			c.batches.Add(1)
		}
	})
	c.serving.Go(func() {
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("collector:", err)
		}
	})
	return c, nil
}

func (c *collector) stop() {
	c.server.Close()
	c.serving.Wait()
}
