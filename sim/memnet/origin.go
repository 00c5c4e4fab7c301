package memnet

import "runtime"

// identity is a number for a connection, by which its latencies are drawn: of who dials
// whom, when, and by which code. That is the same in every run; in which order two do who
// dial at one instant is not.
func identity(from, to string, now int64) uint64 {
	h := uint64(14695981039346656037) ^ uint64(now)
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	add(from)
	add(to)
	var at [16]uintptr
	frames := runtime.CallersFrames(at[:runtime.Callers(3, at[:])])
	for {
		f, more := frames.Next()
		add(f.Function)
		if !more {
			return h
		}
	}
}
