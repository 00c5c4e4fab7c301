package server

import "time"

// life is how old a connection may become. Connections that live for ever would
// stay with the replicas there were when they were made: those that come later
// would get none. Each may live a little less than the policy says, so that many
// that were made at once do not end at once.
type life struct {
	youth float64       // how much of a tenth of the age it lives less, 0 to 1
	end   time.Duration // its age at its end, by the policy that serves; 0: any
	asked time.Duration // its age when the request under way was waited for
}

const (
	// lastWait is how long a connection waits for another request after a reply that
	// did not say that it ends, however old it is. A client that uses it all the time
	// has sent one by then, and the reply to that says so. Closing at once would
	// cross with such a request, which then fails (RFC 9112 section 9.5).
	lastWait = time.Second
	// nearly is how close a connection is to its end when its replies look at the
	// clock. For most of its life they are spared that; a request that takes longer
	// may be followed by another.
	nearly = time.Minute
)

// youth makes of a random number what a connection lives less.
func youth(rnd uint64) float64 { return float64(rnd>>11) / (1 << 53) }

// follow has the connection end as the settings say.
func (l *life) follow(set *Settings) {
	l.end = set.ConnectionAge - time.Duration(l.youth*float64(set.ConnectionAge)/10)
}

func (l *life) over(age time.Duration) bool { return l.end > 0 && age >= l.end }

// outlived reports whether the request under way is to be the connection's last.
func (c *conn) outlived() bool {
	l := &c.life
	return l.end > 0 && l.end-l.asked < nearly && l.over(c.io.Age())
}
