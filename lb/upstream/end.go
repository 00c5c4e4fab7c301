package upstream

import "time"

func (s *http1) SetAwaitEnd(within time.Duration) {
	if within <= 0 {
		s.conn.SetReadEnd(0, 0)
		return
	}
	s.conn.SetReadEnd(s.conn.Age()+within, time.Nanosecond)
}
