package expect

import (
	"sort"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// timeline is a state through the run: what it is from each instant on. Before the
// first it is absent.
type timeline struct {
	at    []time.Duration
	state []string
}

// absent is the state of what is not there.
const absent = ""

// turn has it be another state from an instant on, which is not before any other.
func (t *timeline) turn(at time.Duration, state string) {
	if n := len(t.at); n > 0 && t.at[n-1] == at {
		t.state[n-1] = state
		return
	}
	t.at, t.state = append(t.at, at), append(t.state, state)
}

// when is the state at an instant.
func (t *timeline) when(x time.Duration) string {
	i := sort.Search(len(t.at), func(i int) bool { return t.at[i] > x })
	if i == 0 {
		return absent
	}
	return t.state[i-1]
}

// ever says whether it was a state for which is is true at any instant in [from, to].
func (t *timeline) ever(from, to time.Duration, is func(string) bool) bool {
	i := max(0, sort.Search(len(t.at), func(i int) bool { return t.at[i] > from })-1)
	for ; i < len(t.at) && t.at[i] <= to; i++ {
		if is(t.state[i]) {
			return true
		}
	}
	return false
}

// states is a word that is of an instant, at each replica.
type states struct {
	lines    []*timeline
	at       []int // in each line, how many states have begun
	bound    int   // the replica it is of; -1: of each; beyond the lines: one that never was
	gives    *cel.Type
	names    []string          // by bits
	codes    map[string]uint64 // bits by name
	requests func(from, x time.Duration, n int) []int32
	x        time.Duration
}

func (s *states) seek(x time.Duration) {
	s.x = x
	for i, l := range s.lines {
		for s.at[i] < len(l.at) && l.at[s.at[i]] <= x {
			s.at[i]++
		}
	}
}

func (s *states) next() time.Duration {
	next := never
	for i, l := range s.lines {
		if s.at[i] < len(l.at) && (s.bound < 0 || s.bound == i) {
			next = min(next, l.at[s.at[i]])
		}
	}
	return next
}

func (s *states) read(replica int) reading {
	if s.bound >= 0 {
		replica = s.bound
	}
	if replica >= len(s.lines) || s.at[replica] == 0 {
		return reading{few: true}
	}
	state := s.lines[replica].state[s.at[replica]-1]
	if state == absent {
		return reading{few: true}
	}
	code, known := s.codes[state]
	if !known {
		code = uint64(len(s.names))
		s.names, s.codes[state] = append(s.names, state), code
	}
	return reading{bits: code, events: 1}
}

func (s *states) show(bits uint64) ref.Val {
	switch s.gives {
	case cel.BoolType:
		return types.Bool(s.names[bits] == healthy)
	case cel.IntType:
		n, _ := strconv.Atoi(s.names[bits]) // as numbers wrote it
		return types.Int(n)
	}
	return types.String(s.names[bits])
}

func (s *states) examples(from time.Duration, n int) []int32 { return s.requests(from, s.x, n) }
