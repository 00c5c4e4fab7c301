package admin

import (
	"fmt"
	"net/http"
	"time"

	"go-loadbalancer/lb/telemetry"
)

const (
	// beat is how often a stream on which nothing happens is written to, so that both
	// sides know that the other is there.
	beat = 15 * time.Second
	// eventTimeout is how long a write of a stream may take.
	eventTimeout = 10 * time.Second
)

// tail streams what happens as server-sent events (WHATWG HTML, section 9.2), until
// the client leaves or the server closes; then it is told the rest of what happened.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	feed, err := s.options.Feed.Subscribe()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		text(w, http.StatusServiceUnavailable, fmt.Sprintf("%v: there are %d at most\n", err, telemetry.MostSubscribers))
		return
	}
	defer feed.Close()
	stream := http.NewResponseController(w)
	stream.SetReadDeadline(time.Time{}) // else the client would count as gone by the time for a request
	var out []byte
	// send sends what waits, after the first.
	send := func(out []byte) bool {
		for range len(feed.Told()) {
			out = appendEvent(out, <-feed.Told())
		}
		if t, any := feed.Missed(); any {
			out = appendEvent(out, t)
		}
		stream.SetWriteDeadline(time.Now().Add(eventTimeout))
		_, err := w.Write(out)
		return err == nil && stream.Flush() == nil
	}
	if !send([]byte(": what happens\n\n")) {
		return
	}
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for more := true; more; {
		select {
		case t := <-feed.Told():
			more = send(appendEvent(out[:0], t))
		case <-beats.C:
			more = send([]byte(":\n\n"))
		case <-s.ending:
			send(out[:0])
			return
		case <-r.Context().Done():
			return
		}
	}
}

func appendEvent(b []byte, t telemetry.Told) []byte {
	b = append(append(b, "event: "...), t.Kind...)
	b = append(append(b, "\ndata: "...), t.Data...)
	return append(b, "\n\n"...)
}
