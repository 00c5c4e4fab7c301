package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// counts are system calls, by name as in [ceilings].
type counts map[string]int

// tally counts the calls of a trace that began within [from, to).
func tally(trace io.Reader, from, to time.Time) (counts, error) {
	calls := counts{}
	unfinished := map[string]call{} // by thread
	lines := bufio.NewScanner(trace)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		c, err := parse(lines.Text())
		if err != nil {
			return nil, err
		}
		switch {
		case c.state == unrelated:
			continue
		case c.state == begun:
			unfinished[c.thread] = c
			continue
		case c.state == resumed:
			c.at = unfinished[c.thread].at
			delete(unfinished, c.thread)
		}
		if !c.at.Before(from) && c.at.Before(to) {
			calls[c.name]++
		}
	}
	// A call that was still waiting at the end is a call all the same.
	for _, c := range unfinished {
		if !c.at.Before(from) && c.at.Before(to) {
			calls[c.name]++
		}
	}
	return calls, lines.Err()
}

// call is one line of a trace.
type call struct {
	thread string
	at     time.Time
	name   string // as in [ceilings]
	state  callState
}

type callState uint8

const (
	unrelated callState = iota // the line is about something else
	whole                      // a call with its result
	begun                      // a call whose result comes in a later line
	resumed                    // the result
)

// parse reads a line of strace -f -ttt:
//
//	1234 1763931234.567890 recvfrom(7, ""..., 4096, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
//	1234 1763931234.567890 futex(0x1234, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
//	1234 1763931234.567890 <... futex resumed>) = 0
//	1234 1763931234.567890 +++ exited with 0 +++
func parse(line string) (call, error) {
	thread, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	clock, text, ok := strings.Cut(strings.TrimSpace(rest), " ")
	if !ok {
		return call{}, fmt.Errorf("trace: %q: thread, time and call expected", line)
	}
	seconds, micros, _ := strings.Cut(clock, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(micros, 10, 64)
	if err := errors.Join(err, err2); err != nil || len(micros) != 6 {
		return call{}, fmt.Errorf("trace: %q: a time in seconds expected", line)
	}
	c := call{thread: thread, at: time.Unix(s, us*1000)}
	if after, ok := strings.CutPrefix(text, "<... "); ok {
		if c.name, _, ok = strings.Cut(after, " resumed>"); !ok {
			return c, nil
		}
		c.state = resumed
	} else {
		if c.name, _, ok = strings.Cut(text, "("); !ok || strings.ContainsAny(c.name, " +-") {
			return c, nil
		}
		c.state = whole
		if strings.HasSuffix(text, "<unfinished ...>") {
			c.state = begun
		}
	}
	if strings.Contains(text, " = -1 EAGAIN ") {
		c.name += " EAGAIN"
	}
	return c, nil
}
