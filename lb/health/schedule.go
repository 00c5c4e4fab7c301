package health

import (
	"container/heap"
	"time"
)

// schedule is the targets that wait for their next check, as a heap: the one
// that is due first is at the front.
type schedule []*target

// set gives t a time, be it in the schedule or not. It must be in no other.
func (s *schedule) set(t *target, due time.Time) {
	t.due = due
	if t.scheduled() {
		heap.Fix(s, t.place)
	} else {
		t.in = s
		heap.Push(s, t)
	}
}

// unschedule takes t out of the schedule it is in, if any.
func (t *target) unschedule() {
	if t.scheduled() {
		heap.Remove(t.in, t.place)
	}
}

// line is the checks of one pool that are due or under way.
type line struct {
	waiting schedule
	busy    int // checks under way
}

// places are those that checks under way take. No pool may hold more than are left:
// so however long its checks take, there are some for the others.
type places struct {
	busy  int                // of all pools
	lines map[*line]struct{} // those where somebody waits, or did
}

// wait puts a target that is due into its pool's line.
func (p *places) wait(t *target) {
	t.line.waiting.set(t, t.due)
	p.lines[t.line] = struct{}{}
}

// take gives a place to the target that has been due for longest, of those whose
// pools may have one more. nil: there is none.
func (p *places) take() *target {
	var first *line
	for l := range p.lines {
		if len(l.waiting) == 0 {
			delete(p.lines, l)
			continue
		}
		if l.busy < maxBusy-p.busy && (first == nil || l.waiting[0].due.Before(first.waiting[0].due)) {
			first = l
		}
	}
	if first == nil {
		return nil
	}
	first.busy++
	p.busy++
	return heap.Pop(&first.waiting).(*target)
}

// giveBack ends the check of a target.
func (p *places) giveBack(t *target) {
	t.line.busy--
	p.busy--
}

// What follows is [heap.Interface].

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

func (s *schedule) Push(x any) {
	t := x.(*target)
	t.place = len(*s)
	*s = append(*s, t)
}

func (s *schedule) Pop() any {
	last := len(*s) - 1
	t := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	t.place = unscheduled
	return t
}
