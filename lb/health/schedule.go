package health

import (
	"container/heap"
	"time"
)

// schedule is the targets that wait for their next check, as a heap: the one
// that is due first is at the front.
type schedule []*target

// set gives t a time, be it in the schedule or not.
func (s *schedule) set(t *target, due time.Time) {
	t.due = due
	if t.scheduled() {
		heap.Fix(s, t.place)
	} else {
		heap.Push(s, t)
	}
}

// remove takes t out, if it is in.
func (s *schedule) remove(t *target) {
	if t.scheduled() {
		heap.Remove(s, t.place)
	}
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
