package telemetry

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"go-loadbalancer/lb/event"
)

// ChangeLog tells a logger when an endpoint's breaker or health changes, when a pool
// begins or ceases to panic, and when the shared session store is given up or back.
// Nobody waits for the logger: changes queue, and if very many come at once, some are
// only counted. It must be made with [NewChangeLog].
type ChangeLog struct {
	logger  *slog.Logger
	queue   chan change
	missed  atomic.Uint64
	stop    chan struct{}
	running sync.WaitGroup
}

// maxChanges is how many changes wait for the logger.
const maxChanges = 256

// change is one of the four.
type change struct {
	breaker event.BreakerChange // From is empty if it is another
	health  event.HealthChange
	panic   *event.PanicChange        // nil if it is another
	store   *event.SessionStoreChange // nil if it is another
}

// NewChangeLog returns a log that does nothing until it is started.
func NewChangeLog(logger *slog.Logger) *ChangeLog {
	return &ChangeLog{logger: logger, queue: make(chan change, maxChanges), stop: make(chan struct{})}
}

// Start begins to log. It may be called once.
func (l *ChangeLog) Start() { l.running.Go(l.run) }

// Close logs what is queued and ends the log. It is called once, after Start.
func (l *ChangeLog) Close() {
	close(l.stop)
	l.running.Wait()
}

// Events returns the listener that feeds the log.
func (l *ChangeLog) Events() *event.Listener {
	return &event.Listener{
		BreakerChanged:      func(e event.BreakerChange) { l.add(change{breaker: e}) },
		HealthChanged:       func(e event.HealthChange) { l.add(change{health: e}) },
		PanicChanged:        func(e event.PanicChange) { l.add(change{panic: &e}) },
		SessionStoreChanged: func(e event.SessionStoreChange) { l.add(change{store: &e}) },
	}
}

func (l *ChangeLog) add(c change) {
	select {
	case l.queue <- c:
	default:
		l.missed.Add(1)
	}
}

func (l *ChangeLog) run() {
	for {
		select {
		case c := <-l.queue:
			l.log(c)
		case <-l.stop:
			for range len(l.queue) {
				l.log(<-l.queue)
			}
			return
		}
	}
}

func (l *ChangeLog) log(c change) {
	if p := c.panic; p != nil && p.Panic {
		l.logger.Warn("panic: so few endpoints are healthy that health is ignored", "pool", p.PoolName, "healthy", p.Healthy, "of", p.Total, "at", p.At)
	} else if p != nil {
		l.logger.Info("panic is over", "pool", p.PoolName, "healthy", p.Healthy, "of", p.Total, "at", p.At)
	} else if s := c.store; s != nil && s.Away {
		l.logger.Warn("session store away: given up until it answers again", "error", s.Err, "at", s.At)
	} else if s != nil {
		l.logger.Info("session store is back", "at", s.At)
	} else if b := c.breaker; b.From != "" {
		write := l.logger.Info
		if b.To == event.BreakerOpen {
			write = l.logger.Warn
		}
		write("circuit breaker "+string(b.To), "pool", b.PoolName, "endpoint", b.Address, "from", b.From, "reason", b.Reason, "at", b.At)
	} else if h := c.health; h.Healthy {
		l.logger.Info("endpoint healthy", "pool", h.PoolName, "endpoint", h.Address, "reason", h.Reason, "at", h.At)
	} else {
		log := l.logger.With("pool", h.PoolName, "endpoint", h.Address, "reason", h.Reason)
		if h.Held > 0 {
			log = log.With("held", h.Held)
		}
		log.Warn("endpoint unhealthy", "at", h.At)
	}
	if n := l.missed.Swap(0); n > 0 {
		l.logger.Warn("more changed than could be logged: see lb_circuit_breaker_transitions_total, lb_pool_panics_total and lb_session_store_up", "missed", n)
	}
}
