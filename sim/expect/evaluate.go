package expect

import (
	"errors"
	"math"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// never is later than any instant.
const never = time.Duration(math.MaxInt64)

// always is earlier than any.
const always = -never

// truth is what an expression comes to at an instant.
type truth int8

const (
	nothing truth = iota // too few events: it says nothing
	yes
	no
)

// reading is a word's worth at an instant.
type reading struct {
	bits   uint64
	events int
	few    bool // it is worth nothing
}

// slot is a word as it moves through the run.
type slot interface {
	// seek goes on to an instant, never back.
	seek(x time.Duration)
	// next is the first instant after it at which the worth may be another.
	next() time.Duration
	// read is its worth, at a replica if it is of one.
	read(replica int) reading
	// show makes a value of bits.
	show(bits uint64) ref.Val
	// examples are up to n requests that made its worth what it is: of a state, those from
	// an instant on until now, or, with always, the last before.
	examples(from time.Duration, n int) []int32
}

// errFew is what a word with too few events evaluates to. CEL's && and || pass over an
// error where the other side decides, and so it is here.
var errFew = errors.New("too few events")

var fewVal = types.WrapErr(errFew)

// evaluation evaluates an expression at one instant after another.
type evaluation struct {
	program  cel.Program
	slots    []slot
	replicas int   // that the expression is of; at least 1
	err      error // that CEL met, such as a division by zero
	now      time.Duration

	readings [][]reading // by replica and slot, of the instant
	last     []truth     // by replica, of the readings there
	known    map[worth]truth
	replica  int // that is being evaluated
}

// worth is what an expression's words are worth, if they are few.
type worth [3]uint64

// mostKnown bounds what is remembered.
const mostKnown = 1 << 14

// fewBits stands for too few events: no value has them.
const fewBits = 0x7ff8_dead_dead_dead

func newEvaluation(program cel.Program, slots []slot, replicas int) *evaluation {
	e := &evaluation{program: program, slots: slots, replicas: replicas, now: -1, known: map[worth]truth{}}
	e.readings, e.last = make([][]reading, replicas), make([]truth, replicas)
	for r := range e.readings {
		e.readings[r] = make([]reading, len(slots))
		for i := range slots {
			e.readings[r][i].events = -1 // like no other
		}
	}
	return e
}

// at is what the expression comes to at an instant: false if it is of one replica,
// else true if it is of one.
func (e *evaluation) at(x time.Duration) truth {
	e.now = x
	for _, s := range e.slots {
		s.seek(x)
	}
	all := nothing
	for r := range e.replicas {
		switch e.of(r) {
		case no:
			return no
		case yes:
			all = yes
		}
	}
	return all
}

func (e *evaluation) of(replica int) truth {
	before, same := e.readings[replica], true
	var key worth
	for i, s := range e.slots {
		r := s.read(replica)
		if r.few {
			r.bits = fewBits
		}
		same = same && r.bits == before[i].bits && before[i].events >= 0
		before[i] = r
		if i < len(key) {
			key[i] = r.bits
		}
	}
	if same {
		return e.last[replica]
	}
	t, known := e.known[key]
	if !known || len(e.slots) > len(key) {
		t = e.compute(replica)
		if len(e.known) >= mostKnown {
			clear(e.known)
		}
		e.known[key] = t
	}
	e.last[replica] = t
	return t
}

func (e *evaluation) compute(replica int) truth {
	e.replica = replica
	out, _, err := e.program.Eval(e)
	switch {
	case errors.Is(err, errFew):
		return nothing
	case err != nil:
		e.err = err
		return no
	case out == types.True:
		return yes
	}
	return no
}

// walk calls f for each time, from first to last, through which the expression comes
// to the same for want of any event, until f returns false. until is the last instant
// of it.
func (e *evaluation) walk(first, last time.Duration, f func(x, until time.Duration, t truth) bool) {
	for x := first; x <= last; {
		t := e.at(x)
		next := never
		for _, s := range e.slots {
			next = min(next, s.next())
		}
		if !f(x, min(next-1, last), t) {
			return
		}
		x = next
	}
}

// observed is what the words are worth where the expression was evaluated last.
func (e *evaluation) observed(calls []call, replicas []string) (out []Observed) {
	for i, s := range e.slots {
		for r := range e.replicas {
			if r > 0 && !calls[i].each() {
				break
			}
			o := calls[i].observe(s, s.read(r))
			if calls[i].each() {
				o.Replica = replicas[r]
			}
			out = append(out, o)
		}
	}
	return out
}

// examples are up to n requests behind what the words are worth.
func (e *evaluation) examples(from time.Duration, n int) (requests []int32) {
	for _, s := range e.slots {
		for _, r := range s.examples(from, n) {
			if len(requests) < n && !slices.Contains(requests, r) {
				requests = append(requests, r)
			}
		}
	}
	return requests
}

// here is the name by which readers find the evaluation.
const here = "@"

// ResolveName implements cel.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) { return e, name == here }

// Parent implements cel.Activation.
func (e *evaluation) Parent() interpreter.Activation { return nil }

// reader takes a word's place in a program, and is worth what its slot is.
type reader struct {
	id   int64
	slot int
}

func (r *reader) ID() int64 { return r.id }

func (r *reader) Eval(a interpreter.Activation) ref.Val {
	v, _ := a.ResolveName(here)
	e := v.(*evaluation)
	got := e.readings[e.replica][r.slot]
	if got.few {
		return fewVal
	}
	return e.slots[r.slot].show(got.bits)
}
