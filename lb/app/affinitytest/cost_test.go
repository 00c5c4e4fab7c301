package affinitytest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/session/redistest"
)

// What a session costs Redis, by its own count: nothing until the client comes back, then
// two commands, two more at the first visit to another replica, and none while both
// know it. What a session costs that goes on for hours is shown in virtual time, in
// package session.
func TestWhatASessionCostsRedis(t *testing.T) {
	t.Parallel()
	const sessions = 300
	redis := startRedis(t)
	w := newWorld(t, 3, redis.URL(), redis.URL())
	w.begin(policy{endpoints: w.backends, timeout: 5 * time.Second}) // nobody asks twice because it took long
	c := newCrowd(w, sessions)
	one, two := w.replicas[0], w.replicas[1]
	spent := func(what string, visits ...*replica) int {
		t.Helper()
		begin := commands(t, redis) - 2*agreed(w)
		for _, r := range visits {
			c.each(r)
		}
		end := commands(t, redis) - 2*agreed(w) // two at the most for the key
		t.Logf("%s: %d commands for %d sessions", what, end-begin, sessions)
		return end - begin
	}
	slack := 2 * len(w.replicas) // while the key is being asked for
	if n := spent("new", one); n > slack {
		t.Errorf("%d commands for %d clients that may never come back", n, sessions)
	}
	if n := spent("back again", one, one); n > 2*sessions+slack {
		t.Errorf("%d commands, want two for each of %d new sessions at the most", n, sessions)
	}
	if n := spent("at the other replica", two); n > 2*sessions+slack {
		t.Errorf("%d commands, want two for each of %d sessions at the most", n, sessions)
	}
	if n := spent("known", one, two, one, two, one, two, one, two); n > 8*sessions/100 {
		t.Errorf("%d commands for %d requests of known sessions, want one in a hundred at the most", n, 8*sessions)
	}
	c.stays(t)
}

// commands is how many commands about keys a server has executed.
func commands(t testing.TB, s *redistest.Server) (n int) {
	t.Helper()
	info, _ := do(t, s, "INFO", "commandstats").(string)
	for line := range strings.Lines(info) {
		var calls int
		name, rest, _ := strings.Cut(line, ":calls=")
		if _, err := fmt.Sscanf(rest, "%d,", &calls); err != nil {
			continue
		}
		switch strings.TrimPrefix(name, "cmdstat_") {
		case "get", "set", "setnx", "pexpire", "eval", "evalsha":
			n += calls
		}
	}
	return n
}

// agreed is how often the replicas asked for their key.
func agreed(w *world) (n int) {
	for _, r := range w.replicas {
		n += r.operations()[operation{"agree", "ok"}]
	}
	return n
}
