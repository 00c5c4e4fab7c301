package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Sizes of what backends answer, in bytes.
const (
	smallBody   = 100
	chunkedBody = 4 << 10
	largeBody   = 1 << 20
	hugeBody    = 16 << 20 // more than kernels hold for a client that does not read
)

// eventEvery is the pace of event streams, and of the messages of tunnels.
const eventEvery = 100 * time.Millisecond

// sound and faulty are how many endpoints of each kind there are.
const sound = 3

// backends are the servers behind the balancer: sound ones, and a faulty one.
type backends struct {
	Sound  []string // addresses
	Faulty string
}

// serveBackends starts them; they end with the process.
func serveBackends(seed uint64) (backends, error) {
	var b backends
	for range sound {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return b, err
		}
		b.Sound = append(b.Sound, l.Addr().String())
		go (&http.Server{Handler: soundBackend()}).Serve(l)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return b, err
	}
	b.Faulty = l.Addr().String()
	go serveFaulty(l, rand.New(rand.NewPCG(seed, 0)))
	return b, nil
}

// text is what bodies are made of.
var text = bytes.Repeat([]byte("0123456789abcdef"), largeBody/16)

// huge answers with [hugeBody].
func huge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(hugeBody))
	for range hugeBody / largeBody {
		if _, err := w.Write(text); err != nil {
			return
		}
	}
}

func soundBackend() http.Handler {
	mux := http.NewServeMux()
	plain := func(size int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Write(text[:size])
		}
	}
	mux.Handle("/small", plain(smallBody))
	mux.Handle("/faulty", plain(smallBody))
	mux.Handle("/large", plain(largeBody))
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		for range 4 {
			w.Write(text[:chunkedBody/4])
			w.(http.Flusher).Flush()
		}
	})
	// An event says when it was sent, on the clock of this very process.
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(eventEvery)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprintf(w, "data: %d\n\n", time.Since(epoch)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(context.Background())
			if err != nil || c.Write(context.Background(), kind, message) != nil {
				return
			}
		}
	})
	return mux
}

// epoch is what clients and backends, one process, count time from.
var epoch = time.Now()

// faultEvery is how many requests the faulty backend answers well for each that
// it does not.
const faultEvery = 10

// serveFaulty is the backend that now and then resets, truncates, talks garbage,
// answers 503 or says more than it announced.
func serveFaulty(l net.Listener, random *rand.Rand) {
	var turn atomic.Uint64
	turn.Store(random.Uint64N(faultEvery))
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return
				}
				n := turn.Add(1)
				if n%faultEvery != 0 {
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
						return
					}
					continue
				}
				fault := faults[n/faultEvery%uint64(len(faults))]
				io.WriteString(c, fault)
				if fault == "" {
					c.(*net.TCPConn).SetLinger(0)
				}
				return
			}
		}()
	}
}

// faults are what the faulty backend says before it closes; "" stands for a reset.
var faults = []string{
	"",
	"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: unasked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n",
}
