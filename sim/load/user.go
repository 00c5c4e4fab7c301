package load

import (
	"context"
	"time"
)

// user is one of a closed loop. The first requests are spread over the time to think, or
// a second.
func (s *source) user(ctx context.Context, index int) {
	random, clock := s.g.random(s.index, 1+index), s.g.clock()
	spread := s.Think
	if spread == 0 {
		spread = time.Second
	}
	due := s.g.o.Began.Add(s.from + time.Duration(random.Float64()*float64(spread)))
	for {
		due = clock.Round(due)
		if !due.Before(s.g.o.Began.Add(s.to)) || !until(ctx, due) || !s.g.room() {
			return
		}
		var who *session
		if len(s.sessions) > 0 {
			who = s.sessions[index%len(s.sessions)]
		}
		s.ask(ctx, s.kind(random), who, due)
		due = time.Now().Add(max(s.Think, 1))
	}
}
