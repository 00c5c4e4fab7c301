package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go-loadbalancer/bench/load"
)

const (
	// outageRounds is the most rounds of the outage. outageWindows is how many windows
	// each of its measurements takes: more than the two seconds after which a balancer
	// knows that it no longer hears of changes in a store that is stopped.
	outageRounds  = 5
	outageWindows = 3
	// outageRate is of requests a second, far below what a balancer can do.
	outageRate = 1000
	// outageDelay is when the trouble begins in a window: from then on it lasts.
	outageDelay = 20 * time.Millisecond
	// recoveryPause is left for a balancer to hear of changes again once its store is
	// back.
	recoveryPause = 1500 * time.Millisecond
	// storeTimeout is that of the policy: how long a request may wait for the store.
	storeTimeout = 5 * time.Millisecond
)

// trouble is what the store does while requests are measured.
type trouble struct {
	name  string
	begin func(*store) error // nil: none begins
}

// visits are whose requests are measured.
type visits struct {
	name string
	// begun returns the sessions that so many requests belong to.
	begun func(ctx context.Context, b *bench, here, there *process, requests int) ([]string, error)
}

// outageCell is one line of the outage: requests of some sessions in some trouble.
// Latencies are in seconds, by round.
type outageCell struct {
	trouble, sessions    string
	median, p99, slowest []float64
	added                []float64 // to the p99 in no trouble, of the same round
}

func troubles() []trouble {
	return []trouble{
		{"well", nil},
		{"stopped", (*store).pause},
		{"killed", (*store).kill},
	}
}

func allVisits() []visits {
	return []visits{
		{"known", func(ctx context.Context, b *bench, here, _ *process, _ int) ([]string, error) {
			return b.visit(ctx, []*process{here}, 500)
		}},
		{"new", func(context.Context, *bench, *process, *process, int) ([]string, error) { return nil, nil }},
		{"of another replica", func(ctx context.Context, b *bench, _, there *process, requests int) ([]string, error) {
			return b.visit(ctx, []*process{there}, requests)
		}},
	}
}

// outage measures what requests wait when the store of their sessions is in trouble:
// the trouble begins with the window, and lasts. Between the measurements the store is
// well again. Two replicas share it; the requests go to one of them.
func (b *bench) outage(ctx context.Context, c candidate) ([]*outageCell, error) {
	var replicas [2]*process
	for i := range replicas {
		p, err := b.start(ctx, c, row{})
		if err != nil {
			return nil, err
		}
		defer p.Stop()
		replicas[i] = p
	}
	here, there := replicas[0], replicas[1]
	var cells []*outageCell
	for range troubles() {
		for range allVisits() {
			cells = append(cells, &outageCell{})
		}
	}
	rounds := min(b.rounds, outageRounds)
	for round := range rounds {
		for k := range cells {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			i := (round + k) % len(cells)
			trouble, visits := troubles()[i/len(allVisits())], allVisits()[i%len(allVisits())]
			cells[i].trouble, cells[i].sessions = trouble.name, visits.name
			if err := b.mend(ctx, replicas[:]); err != nil {
				return nil, err
			}
			result, err := b.inTrouble(ctx, trouble, visits, here, there)
			if err != nil {
				return nil, fmt.Errorf("%s, sessions %s: %w", trouble.name, visits.name, err)
			}
			cells[i].add(result)
		}
		b.progress("outage: round %d of %d", round+1, rounds)
	}
	for i, cell := range cells {
		well := cells[i%len(allVisits())]
		for k, p99 := range cell.p99 {
			cell.added = append(cell.added, p99-well.p99[k])
		}
	}
	return cells, b.mend(ctx, replicas[:])
}

func (c *outageCell) add(r load.Result) {
	c.median = append(c.median, r.P50.Seconds())
	c.p99 = append(c.p99, r.P99.Seconds())
	c.slowest = append(c.slowest, r.Slowest.Seconds())
}

// inTrouble makes one measurement.
func (b *bench) inTrouble(ctx context.Context, t trouble, v visits, here, there *process) (load.Result, error) {
	window := outageWindows * b.window
	requests := int((warmup+window).Seconds()*outageRate) + 2
	cookies, err := v.begun(ctx, b, here, there, requests)
	if err != nil {
		return load.Result{}, err
	}
	begun := make(chan error, 1)
	begin := time.AfterFunc(warmup+outageDelay, func() {
		if t.begin == nil {
			begun <- nil
			return
		}
		begun <- t.begin(b.store)
	})
	result, err := b.load.Run(load.Slot{
		Spec:   load.Spec{Connections: 64, Reply: "small", Rate: outageRate},
		Target: here.instance.Listen, Host: "bench.example.com", Cookies: cookies,
		PIDs: here.PIDs, Warmup: warmup, Window: window,
	})
	if begin.Stop() {
		begun <- errors.New("the load ended before the trouble began")
	}
	err = errors.Join(err, <-begun)
	if err == nil && result.Errors > 0 {
		err = fmt.Errorf("%d errors, the first: %s", result.Errors, result.Error)
	}
	return result, err
}

// mend has the store well, and the replicas see that.
func (b *bench) mend(ctx context.Context, replicas []*process) error {
	select {
	case <-b.store.Exited:
		if err := b.store.restart(ctx); err != nil {
			return err
		}
	default:
		if err := b.store.resume(); err != nil {
			return err
		}
	}
	pause := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	const patience = 20 * time.Second
	for _, p := range replicas {
		// Only requests find out that the store is back.
		for end := time.Now().Add(patience); ; {
			if _, err := p.newSession(ctx); err != nil {
				return err
			}
			err := p.storeAnswers(ctx)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("%v after it was back: %w", patience, err)
			}
			if err := pause(20 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	return pause(b.recovery)
}
