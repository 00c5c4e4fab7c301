package proxy

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

const (
	// mirrorsPerPool is how many mirrors may be under way to one pool. What comes
	// beyond that is not copied; nothing waits.
	mirrorsPerPool = 64
	// mirrorBody is the largest body that is copied.
	mirrorBody = 64 << 10
	// mirrorBytes bounds what all mirrors hold together, heads and bodies.
	mirrorBytes = 16 << 20
	// mirrorTimeout is how long a mirror may take, to the end of its response, where
	// its route sets no timeout.
	mirrorTimeout = 10 * time.Second
	// mirrorResponse is how much of a response is read. A longer one ends its
	// connection.
	mirrorResponse = 1 << 20
)

// mirrors are all copies under way, of all routes. They belong to the Proxy, not
// to requests: StopMirrors cuts them and Close joins them.
type mirrors struct {
	logger *slog.Logger
	free   sync.Pool // of *mirror
	bytes  atomic.Int64

	running sync.WaitGroup // their goroutines, and the timers' calls

	mu     sync.Mutex
	closed bool
	byPool map[event.ID]int
	live   map[*mirror]struct{}
}

// lent is what of a mirror other goroutines may touch, under mirrors.mu.
type lent struct {
	stream upstream.Stream
	cut    event.Result // why its time was over; "": it is not
}

func (ms *mirrors) begin(p *Proxy, logger *slog.Logger) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	ms.logger = logger
	ms.free.New = func() any { return &mirror{p: p} }
	ms.byPool, ms.live = map[event.ID]int{}, map[*mirror]struct{}{}
}

func (ms *mirrors) get() *mirror { return ms.free.Get().(*mirror) }

// put takes back a mirror nobody else knows of any more.
func (ms *mirrors) put(m *mirror) {
	ms.bytes.Add(-m.bytes)
	*m = mirror{p: m.p, head: wire.Request{Fields: m.head.Fields[:0]}, text: m.text[:0], body: m.body[:0], trailers: m.trailers[:0]}
	ms.free.Put(m)
}

// admit counts one more mirror under way, unless there are too many: then, or if
// none is admitted any more, it returns false.
func (ms *mirrors) admit(m *mirror) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.closed || ms.byPool[m.pool.ID] >= mirrorsPerPool {
		return false
	}
	ms.byPool[m.pool.ID]++
	ms.live[m] = struct{}{}
	ms.running.Add(1)
	return true
}

func (ms *mirrors) leave(m *mirror) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	delete(ms.live, m)
	if ms.byPool[m.pool.ID]--; ms.byPool[m.pool.ID] == 0 {
		delete(ms.byPool, m.pool.ID)
	}
}

// take makes the stream one that a cut cancels. It returns false if the mirror
// was cut already; giveBack is owed either way.
func (ms *mirrors) take(m *mirror, s upstream.Stream) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m.lent.stream = s
	return m.lent.cut == ""
}

// giveBack releases the stream, which nobody may cancel from then on: it may be
// lent to another request.
func (ms *mirrors) giveBack(m *mirror) {
	ms.mu.Lock()
	s := m.lent.stream
	m.lent.stream = nil
	ms.mu.Unlock()
	if s != nil {
		s.Release()
	}
}

// cut ends a mirror's wait for whatever it waits for.
func (ms *mirrors) cut(m *mirror, why event.Result) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.cutLocked(m, why)
}

func (ms *mirrors) cutLocked(m *mirror, why event.Result) {
	if m.lent.cut == "" {
		m.lent.cut = why
	}
	if m.lent.stream != nil {
		m.lent.stream.Cancel()
	}
}

// wasCut says why, "" if it was not.
func (ms *mirrors) wasCut(m *mirror) event.Result {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return m.lent.cut
}

// StopMirrors cuts the copies under way, and has no more made. They are nobody's
// answer: nothing is lost by not waiting for them. One that waits for a connection
// goes on until its transport gives that up.
func (p *Proxy) StopMirrors() {
	ms := &p.mirrors
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.closed = true
	for m := range ms.live {
		ms.cutLocked(m, event.ClientCanceled)
	}
}
