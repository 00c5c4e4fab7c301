package admin

import (
	"net/http"
	"sync"
	"time"
)

const (
	// maxViewers is how many dashboards are served at once; others are told to come later.
	maxViewers = 128
	// maxBehind is how many messages a viewer may be behind before it is dropped.
	maxBehind = 16
	// viewerTimeout is how long a viewer may take to accept a message.
	viewerTimeout = 10 * time.Second
	// partingTimeout is the same for one that is dropped: less than the time that a
	// process has to stop.
	partingTimeout = time.Second
	// tickEvery is how often viewers are told what has changed; an incident is told of
	// at once, but not more often than soonEvery.
	tickEvery = time.Second
	soonEvery = 100 * time.Millisecond
)

// stream is /api/v1/events. One goroutine keeps the board and makes each message once
// for all viewers; each viewer's handler writes what it is given. Nobody waits for a
// viewer: one that does not read is dropped, and gets the whole when it comes back.
type stream struct {
	board   *board
	seats   chan struct{} // one in it for each viewer
	joining chan *viewer
	leaving chan *viewer
	stop    chan struct{}
	running sync.WaitGroup
}

type viewer struct {
	messages chan []byte // closed by the stream: it is dropped
	cut      func()      // ends a write that is under way
}

func newStream(b *board) *stream {
	return &stream{
		board: b, seats: make(chan struct{}, maxViewers),
		joining: make(chan *viewer), leaving: make(chan *viewer), stop: make(chan struct{}),
	}
}

func (s *stream) start() { s.running.Go(s.run) }

// close drops every viewer and waits for the goroutine.
func (s *stream) close() {
	close(s.stop)
	s.running.Wait()
}

func (s *stream) run() {
	viewers := make(map[*viewer]bool)
	drop := func(v *viewer) {
		delete(viewers, v)
		close(v.messages)
		v.cut()
	}
	tell := func() {
		if len(viewers) == 0 {
			return
		}
		m := s.board.tick()
		for v := range viewers {
			select {
			case v.messages <- m:
			default:
				drop(v)
			}
		}
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var soon <-chan time.Time // nil: no incident waits to be told of
	for {
		select {
		case <-s.stop:
			for v := range viewers {
				drop(v)
			}
			return
		case v := <-s.joining:
			if len(viewers) == 0 { // nobody has looked for a while
				s.board.tick()
			}
			viewers[v] = true
			v.messages <- s.board.message()
		case v := <-s.leaving:
			delete(viewers, v)
		case <-ticker.C:
			s.board.sample()
			tell()
		case <-s.board.options.Timeline.Changed():
			if soon == nil && len(viewers) > 0 {
				soon = time.After(soonEvery)
			}
		case <-soon:
			soon = nil
			tell()
		}
	}
}

// serve is the handler.
func (s *stream) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	select {
	case s.seats <- struct{}{}:
		defer func() { <-s.seats }()
	default:
		h.Set("Retry-After", "10")
		h.Set("Connection", "close") // its connection may be wanted by somebody else
		text(w, http.StatusServiceUnavailable, "too many dashboards are open: close one\n")
		return
	}
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies between are to pass it on at once
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	v := &viewer{
		messages: make(chan []byte, maxBehind),
		cut:      func() { control.SetWriteDeadline(time.Now().Add(partingTimeout)) },
	}
	select {
	case s.joining <- v:
	case <-s.stop:
		return
	case <-r.Context().Done():
		return
	}
	control.SetReadDeadline(time.Time{}) // the server's is for requests, and this one may last
	defer func() {
		select {
		case s.leaving <- v:
		case <-s.stop:
		}
	}()
	for {
		select {
		case m, ok := <-v.messages:
			if !ok {
				return
			}
			control.SetWriteDeadline(time.Now().Add(viewerTimeout))
			if _, err := w.Write(m); err != nil {
				return
			}
			if control.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
