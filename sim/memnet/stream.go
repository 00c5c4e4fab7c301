package memnet

import (
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// never is when what is held back arrives.
const never = math.MaxInt64

// stream is one direction of a connection. Times count from the network's beginning.
type stream struct {
	net       *Network
	id        uint64 // of the connection
	direction uint64
	from, to  *Host

	mu      sync.Mutex
	reader  side
	writer  side
	queue   []packet // queue[first:] are there
	first   int
	data    []byte // data[start:] are those packets' bytes
	start   int
	last    int64  // when the last packet arrives: they stay in order
	clear   int64  // when the line is free for the next, if it has a bandwidth
	packets uint64 // so far

	finished  bool  // the writer has sent its FIN
	readQuit  bool  // the reader's end is closed
	writeQuit bool  // the writer's end is closed
	broken    error // what writing fails with
	brokenAt  int64 // from when on
	sunk      int   // bytes that were written to nobody
	lost      int   // bytes that were on their way when the reader's end closed
}

// packet is bytes or, with an error, the end of the stream.
type packet struct {
	at   int64 // when it arrives
	size int
	err  error
}

func (s *stream) open(n *Network, id, direction uint64, from, to *Host) {
	s.net, s.id, s.direction, s.from, s.to = n, id, direction, from, to
	s.reader.turn.L, s.writer.turn.L = &s.mu, &s.mu
}

func (s *stream) latency(packet uint64) int64 { return s.net.latency(s.id, s.direction, packet) }

func (s *stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader.enter()
	defer s.reader.leave()
	for {
		now := s.net.now()
		switch {
		case s.readQuit:
			return 0, net.ErrClosed
		case s.reader.late(now):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		for n < len(p) && s.first < len(s.queue) && s.queue[s.first].at <= now {
			next := &s.queue[s.first]
			if next.err != nil {
				if n > 0 {
					break
				}
				return 0, next.err // and again: it stays
			}
			m := copy(p[n:], s.data[s.start:s.start+next.size])
			n, s.start = n+m, s.start+m
			if next.size -= m; next.size == 0 {
				s.first++
			}
		}
		if n > 0 {
			s.tidy()
			s.writer.wake(s, now)
			return n, nil
		}
		until := s.reader.by
		if s.first < len(s.queue) {
			until = min(until, s.queue[s.first].at)
		}
		s.reader.wait(s, now, until)
	}
}

// tidy has the memory used again.
func (s *stream) tidy() {
	if s.first == len(s.queue) {
		s.queue, s.first = s.queue[:0], 0
		s.data, s.start = s.data[:0], 0
		return
	}
	if s.start > len(s.data)/2 {
		s.data = s.data[:copy(s.data, s.data[s.start:])]
		s.start = 0
	}
	if s.first > 16 && s.first > len(s.queue)/2 {
		s.queue = s.queue[:copy(s.queue, s.queue[s.first:])]
		s.first = 0
	}
}

// held is how many bytes are on their way or wait to be read.
func (s *stream) held() int { return len(s.data) - s.start + s.sunk }

// write returns when the answer to it arrives, if that is a reset; else 0.
func (s *stream) write(p []byte) (n int, answer int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer.enter()
	defer s.writer.leave()
	for {
		now := s.net.now()
		switch {
		case s.writeQuit:
			return n, answer, net.ErrClosed
		case s.finished:
			return n, answer, syscall.EPIPE
		case s.broken != nil && s.brokenAt <= now:
			return n, answer, s.broken
		case s.writer.late(now):
			return n, answer, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, answer, nil
		}
		if s.readQuit && s.broken == nil && !s.net.isCut(s.from, s.to) {
			// The bytes leave, and nobody is there.
			answer = s.net.claim(now + s.latency(s.packets) + s.latency(s.packets+1))
			s.broken, s.brokenAt = syscall.ECONNRESET, answer
		}
		if m := min(len(p), s.net.o.Window-s.held()); m > 0 {
			if s.readQuit {
				s.sunk += m
			} else {
				s.data = append(s.data, p[:m]...)
				s.push(now, packet{size: m})
			}
			n, p = n+m, p[m:]
			continue
		}
		until := s.writer.by
		if s.broken != nil {
			until = min(until, s.brokenAt)
		}
		s.writer.wait(s, now, until)
	}
}

// push sends a packet, behind all that were sent before.
func (s *stream) push(now int64, p packet) {
	s.net.sent.Add(1)
	p.at = s.arrival(now, p.size)
	s.packets++
	if s.net.isCut(s.from, s.to) {
		p.at = never
	}
	s.queue = append(s.queue, p)
	if s.first == len(s.queue)-1 {
		s.reader.rouse(now, p.at)
	}
}

// arrival is when the next packet is there.
func (s *stream) arrival(now int64, size int) int64 {
	at := now + s.latency(s.packets)
	if d := s.from.delay.Load(); d > 0 && size > 0 {
		at += d
		if f := s.from.slow.Load(); f != nil {
			f.touched.Add(1)
		}
	}
	if b := s.net.o.Bandwidth; b > 0 {
		s.clear = max(s.clear, now) + int64(size)*int64(time.Second)/b
		at += s.clear - now
	}
	s.last = s.net.claim(max(at, s.last+1))
	return s.last
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
		s.push(s.net.now(), packet{err: io.EOF})
	}
	return nil
}

// end makes reading fail, from at on or, if that is 0, a latency from now. What has not
// arrived by then never will.
func (s *stream) end(err error, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.net.now()
	if at == 0 {
		at = s.net.claim(now + s.latency(s.packets))
		s.packets++
	}
	s.net.sent.Add(1)
	for n := len(s.queue); n > s.first && s.queue[n-1].at >= at; n-- {
		s.data = s.data[:len(s.data)-s.queue[n-1].size]
		s.queue = s.queue[:n-1]
	}
	s.finished = true
	if s.net.isCut(s.from, s.to) {
		at = never
	} else {
		s.last = max(s.last, at)
	}
	s.queue = append(s.queue, packet{at: at, err: err})
	s.reader.rouse(now, at)
	s.writer.wake(s, now)
}

// fail makes writing fail, a latency from now on.
func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.net.now()
	if s.net.isCut(s.to, s.from) {
		return // nobody tells the writer
	}
	s.broken, s.brokenAt = err, s.net.claim(now+s.latency(s.packets))
	s.writer.wake(s, now)
}

// quit is the end of one of the two ends; the other one learns of it by packets.
func (s *stream) quit(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reader {
		s.readQuit = true
		s.lost = len(s.data) - s.start
		s.queue, s.first, s.data, s.start = nil, 0, nil, 0
	} else {
		s.writeQuit = true
	}
	now := s.net.now()
	s.reader.wake(s, now)
	s.writer.wake(s, now)
}

// arrived says whether a read would not wait.
func (s *stream) arrived() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first < len(s.queue) && s.queue[s.first].at <= s.net.now()
}

// unread says whether bytes have arrived that nobody has read.
func (s *stream) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first < len(s.queue) && s.queue[s.first].err == nil && s.queue[s.first].at <= s.net.now()
}

// missed says whether the reader's end was closed before it read any of the last n bytes.
func (s *stream) missed(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readQuit && int64(s.lost+s.sunk) >= n
}

func (s *stream) setDeadline(which *side, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	which.by = never
	if !t.IsZero() {
		which.by = s.net.claim(max(int64(t.Sub(s.net.epoch)), 1))
	}
	which.set = true
	which.wake(s, s.net.now())
}
