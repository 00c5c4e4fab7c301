package load

import (
	"errors"
	"fmt"
	"time"
)

// Spec is the load of one row of the benchmark.
type Spec struct {
	Connections int    // open at once, 1 or more
	Method      string // of every request; default GET
	Reply       string // what the backend answers with: one of the names of [Replies]
	Body        int    // bytes of request body, 0 to [MaxBody]
	// Each request on a connection of its own, which the proxy is told to
	// close. Otherwise a connection that closes is an error.
	NewConnections bool
	// Rate, if not 0, makes the load open loop: so many requests a second are
	// due at even intervals, and a latency counts from the instant a request
	// was due. Otherwise every connection sends its next request as soon as
	// the last was answered.
	Rate int
	// Awake: clients and backend never sleep, so that the proxy never has to wake them.
	// How often it would have to depends on how much it leaves them to wait for, and to
	// wake another core costs much in a virtual machine: it would count several times
	// what makes one proxy a little slower than another.
	Awake bool
}

// MaxBody is the largest body of a request or reply, in bytes.
const MaxBody = 1 << 20

func (s Spec) check() error {
	if s.Connections < 1 {
		return fmt.Errorf("%d connections: at least one is needed", s.Connections)
	}
	if s.Body < 0 || s.Body > MaxBody {
		return fmt.Errorf("a body of %d bytes: between 0 and %d", s.Body, MaxBody)
	}
	if s.Rate < 0 || s.Rate > 0 && s.NewConnections {
		return errors.New("a rate must be positive and needs kept connections")
	}
	if replyIndex(s.Reply) < 0 {
		return fmt.Errorf("unknown reply %q", s.Reply)
	}
	return nil
}

// Slot is one measurement: a spec applied to a proxy for a while.
type Slot struct {
	Spec   Spec
	Target string // the proxy's address, host:port, the host an IPv4 address
	// Host is the Host field sent.
	Host string
	// Cookies are the values of the Cookie field, which requests take in turns; none:
	// no such field. A response that sets a cookie is then an error: those of a
	// session that the proxy knows do not.
	Cookies []string
	// PIDs are the proxy's processes, children not included, whose CPU time
	// is taken. None: no CPU time is.
	PIDs   []int
	Warmup time.Duration // before the window; bodies are compared byte by byte
	Window time.Duration // measured; bodies are only counted
	// Requests, if not 0, is how many are made; Window is then the longest that
	// may take. Not for an open loop.
	Requests int
	// HoldOpen opens the connections, makes one request on each, and leaves
	// them open until the next slot, which may not be earlier. Warmup and
	// Window do not apply.
	HoldOpen bool
}

// Result is what a slot did. With any error it is worth nothing.
type Result struct {
	Requests int           // answered completely inside the window, its end drained
	Began    time.Time     // the window
	Elapsed  time.Duration // of the window with its drain
	CPU      time.Duration // used by the proxy's processes meanwhile
	Errors   int           // of any kind, warm-up included
	Error    string        // the first
	// P50, P99 and Slowest are latencies; open loop only.
	P50, P99, Slowest time.Duration
}
