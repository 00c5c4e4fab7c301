package outagetest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes may be on their way or wait to be read.
const window = 64 << 10

// stream is one direction of a connection.
type stream struct {
	latency func(packet uint64) time.Duration

	mu      sync.Mutex
	changed chan struct{} // closed with the next change; nil: nobody waits
	queue   []packet
	held    int       // bytes in queue
	last    time.Time // when the last packet arrives: they stay in order
	packets uint64
	taken   int64 // bytes that were read
	readBy  time.Time
	writeBy time.Time

	finished  bool      // the writer has sent its FIN
	readQuit  bool      // the reader's end is closed
	writeQuit bool      // the writer's end is closed
	broken    error     // what writing fails with
	brokenAt  time.Time // from when on
}

// packet is bytes or, with an error, the end of the stream.
type packet struct {
	at   time.Time // when it arrives
	data []byte
	err  error
}

func (s *stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case s.readQuit:
			return 0, net.ErrClosed
		case past(s.readBy, now):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		for n < len(p) && len(s.queue) > 0 && !s.queue[0].at.After(now) {
			first := &s.queue[0]
			if first.err != nil {
				if n > 0 {
					break
				}
				return 0, first.err // and again: it stays
			}
			m := copy(p[n:], first.data)
			n += m
			if first.data = first.data[m:]; len(first.data) == 0 {
				*first = packet{}
				s.queue = s.queue[1:]
			}
		}
		if n > 0 {
			s.held -= n
			s.taken += int64(n)
			s.notify()
			return n, nil
		}
		until := s.readBy
		if len(s.queue) > 0 && (until.IsZero() || s.queue[0].at.Before(until)) {
			until = s.queue[0].at
		}
		s.wait(until)
	}
}

// write returns when the answer to it arrives, if that is a reset.
func (s *stream) write(p []byte) (n int, answer time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case s.writeQuit:
			return n, answer, net.ErrClosed
		case s.finished:
			return n, answer, syscall.EPIPE
		case s.broken != nil && !s.brokenAt.After(now):
			return n, answer, s.broken
		case past(s.writeBy, now):
			return n, answer, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, answer, nil
		}
		if s.readQuit && s.broken == nil { // the bytes leave, and nobody is there
			answer = now.Add(s.latency(s.packets) + s.latency(s.packets+1))
			s.broken, s.brokenAt = syscall.ECONNRESET, answer
		}
		if m := min(len(p), window-s.held); m > 0 {
			if s.readQuit {
				s.held += m
			} else {
				s.push(packet{data: append([]byte(nil), p[:m]...)})
			}
			n, p = n+m, p[m:]
			continue
		}
		until := s.writeBy
		if s.broken != nil && (until.IsZero() || s.brokenAt.Before(until)) {
			until = s.brokenAt
		}
		s.wait(until)
	}
}

// push sends a packet, behind all that were sent before.
func (s *stream) push(p packet) {
	if p.at = time.Now().Add(s.latency(s.packets)); !p.at.After(s.last) {
		p.at = s.last
		if s.latency(s.packets) > 0 {
			p.at = p.at.Add(1)
		}
	}
	s.last = p.at
	s.packets++
	s.held += len(p.data)
	s.queue = append(s.queue, p)
	s.notify()
}

// finish ends the stream in order.
func (s *stream) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeQuit {
		return net.ErrClosed
	}
	if !s.finished {
		s.finished = true
		s.push(packet{err: io.EOF})
	}
	return nil
}

// end makes reading fail, from at on or, if that is zero, a latency from now.
// What has not arrived by then never will.
func (s *stream) end(err error, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.IsZero() {
		at = time.Now().Add(s.latency(s.packets))
		s.packets++
	}
	for n := len(s.queue); n > 0 && !s.queue[n-1].at.Before(at); n-- {
		s.held -= len(s.queue[n-1].data)
		s.queue = s.queue[:n-1]
	}
	s.queue = append(s.queue, packet{at: at, err: err})
	s.last, s.finished = at, true
	s.notify()
}

// fail makes writing fail, a latency from now on.
func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken, s.brokenAt = err, time.Now().Add(s.latency(s.packets))
	s.notify()
}

// quit is the end of one of the two ends; the other one learns of it by packets.
func (s *stream) quit(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reader {
		s.readQuit = true
		s.queue, s.held = nil, 0
	} else {
		s.writeQuit = true
	}
	s.notify()
}

// arrived says whether a read would not wait.
func (s *stream) arrived() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0 && !s.queue[0].at.After(time.Now())
}

// unread says whether bytes have arrived that nobody has read.
func (s *stream) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0 && s.queue[0].err == nil && !s.queue[0].at.After(time.Now())
}

func (s *stream) setDeadline(which *time.Time, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	*which = t
	s.notify()
	return nil
}

func past(deadline, now time.Time) bool { return !deadline.IsZero() && !deadline.After(now) }

// wait waits for a change, until a time if that is not zero.
func (s *stream) wait(until time.Time) {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	if until.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func (s *stream) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
