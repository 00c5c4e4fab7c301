package session

import (
	"testing"
	"time"
)

// What a wall clock has jumped over does not count, whoever wrote the ticket, until the
// clock has jumped back.
func TestLeaps(t *testing.T) {
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func(minutes int) time.Time { return day.Add(time.Duration(minutes) * time.Minute) }
	type reading struct{ wall, passed int } // minutes
	for name, c := range map[string]struct {
		readings []reading
		seen     int
		want     int
	}{
		"no jump":                        {[]reading{{0, 0}, {10, 10}}, 3, 7},
		"ahead, seen before":             {[]reading{{0, 0}, {70, 10}}, 3, 7},
		"ahead, seen after":              {[]reading{{0, 0}, {70, 10}, {75, 15}}, 71, 4},
		"ahead, seen by another clock":   {[]reading{{0, 0}, {70, 10}, {75, 15}}, 12, 3},
		"ahead twice":                    {[]reading{{0, 0}, {70, 10}, {140, 20}}, 3, 17},
		"ahead twice, seen between":      {[]reading{{0, 0}, {70, 10}, {140, 20}}, 72, 8},
		"ahead and back":                 {[]reading{{0, 0}, {70, 10}, {20, 20}}, 3, 17},
		"ahead and half back":            {[]reading{{0, 0}, {70, 10}, {50, 20}}, 3, 17},
		"back":                           {[]reading{{0, 0}, {-50, 10}}, 3, -53},
		"back, seen after":               {[]reading{{0, 0}, {-50, 10}, {-40, 20}}, -45, 5},
		"back and ahead, seen meanwhile": {[]reading{{0, 0}, {-50, 10}, {30, 30}}, -45, 15},
		"further back than ahead":        {[]reading{{0, 0}, {70, 10}, {-40, 20}, {-30, 30}}, -35, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var l leaps
			l.begin(day)
			var now time.Time
			for _, r := range c.readings {
				now = clock(r.wall)
				l.look(now, time.Duration(r.passed)*time.Minute)
			}
			if got := l.idle(StampOf(clock(c.seen)), now); got != time.Duration(c.want)*time.Minute {
				t.Errorf("%v, want %d min", got, c.want)
			}
		})
	}
}

// Only so many jumps are kept, and a clock that is a little off has not jumped.
func TestLeapsBounded(t *testing.T) {
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var l leaps
	l.begin(day)
	l.look(day.Add(time.Hour+900*time.Millisecond), time.Hour)
	if l.all.Load() != nil {
		t.Error("it has jumped")
	}
	for i := range 100 {
		l.look(day.Add(time.Duration(i+1)*time.Hour), time.Hour)
	}
	if n := len(*l.all.Load()); n != mostLeaps {
		t.Errorf("%d are kept", n)
	}
}
