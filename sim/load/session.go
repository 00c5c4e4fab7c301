package load

import (
	"bytes"
	"math/rand/v2"
	"strings"

	"go-loadbalancer/sim/http1"
)

// session is a client that keeps what it is given. The generator's lock is held.
type session struct {
	number  int // from 1
	cookies []cookie
	ticket  string // the session header's value
	busy    int    // requests under way
}

type cookie struct{ name, value string }

// anybody draws who makes the next request: one that makes none now, if that can be
// found soon, as people do not ask for two things at once.
func (s *source) anybody(r *rand.Rand) *session {
	if len(s.sessions) == 0 {
		return nil
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	who := s.sessions[r.IntN(len(s.sessions))]
	for range 8 {
		if who.busy == 0 {
			break
		}
		who = s.sessions[r.IntN(len(s.sessions))]
	}
	who.busy++
	return who
}

// append appends the fields by which it is known.
func (c *session) append(b []byte, header string) []byte {
	if c.ticket != "" {
		b = append(append(append(append(b, header...), ": "...), c.ticket...), "\r\n"...)
	}
	for i, k := range c.cookies {
		if i == 0 {
			b = append(b, "Cookie: "...)
		} else {
			b = append(b, "; "...)
		}
		b = append(append(append(b, k.name...), '='), k.value...)
	}
	if len(c.cookies) > 0 {
		b = append(b, "\r\n"...)
	}
	return b
}

// keep keeps what a response gives: of cookies name and value, and that one is to be
// deleted.
func (c *session) keep(h *http1.Head, header string) {
	for i := range h.Fields {
		f := &h.Fields[i]
		switch {
		case len(f.Name) == len("Set-Cookie") && bytes.EqualFold(f.Name, []byte("Set-Cookie")):
			c.set(string(f.Value))
		case header != "" && len(f.Name) == len(header) && bytes.EqualFold(f.Name, []byte(header)):
			c.ticket = string(f.Value)
		}
	}
}

func (c *session) set(text string) {
	pair, attributes, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
	if !ok {
		return
	}
	gone := false
	for a := range strings.SplitSeq(strings.ToLower(attributes), ";") {
		a = strings.TrimSpace(a)
		gone = gone || a == "max-age=0" || strings.HasPrefix(a, "max-age=-")
	}
	for i := range c.cookies {
		if c.cookies[i].name == name {
			if gone {
				c.cookies = append(c.cookies[:i], c.cookies[i+1:]...)
			} else {
				c.cookies[i].value = value
			}
			return
		}
	}
	if !gone {
		c.cookies = append(c.cookies, cookie{name, value})
	}
}
