package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// Options say what a [Reloader] works on.
type Options struct {
	Source   Source            // required
	LastGood LastGood          // nil: nothing is kept
	Registry *pool.Registry    // required
	Current  *snapshot.Current // required; what a reload swaps
	// Names knows the addresses of endpoints' host names; nil: none has any. Its
	// owner closes it once nothing reloads any more.
	Names *names.Book
	// Prepare does what is fallible beside compiling, such as opening the
	// listeners of a policy, and touches nothing that serves. What it returns is
	// committed or rolled back. On an error there must be nothing left to roll
	// back. It is called for other addresses of the policy that serves, too. Nil:
	// there is nothing to prepare.
	Prepare func(context.Context, *snapshot.Snapshot) (Prepared, error)
	// Events is told PolicyPrepared, PolicyCommitted and PolicyRejected. Nil:
	// nobody is.
	Events *event.Listener
	Logger *slog.Logger // nil: discarded
}

// Reloader replaces the policy that serves. Start comes first; the other methods
// may then be used by any goroutine.
type Reloader struct {
	source   Source
	lastGood LastGood
	registry *pool.Registry
	current  *snapshot.Current
	names    *names.Book
	prepare  func(context.Context, *snapshot.Snapshot) (Prepared, error)
	events   *event.Listener
	log      *slog.Logger

	// turn holds one token, which a reload takes. A mutex could not be waited
	// for with a context.
	turn chan struct{}

	// Of the reload whose turn it is.
	policy  *policy.Policy // the one that serves, as it is written
	hosts   names.Hosts    // of its endpoints
	catalog *event.Catalog // of its ids
	unkept  *Bundle        // what LastGood could not save yet
	keepErr string         // as logged last

	serving atomic.Pointer[Serving]
	failure atomic.Pointer[Failure]
}

// New returns a reloader. Nothing is read until [Reloader.Start].
func New(o Options) *Reloader {
	r := &Reloader{
		source:   o.Source,
		lastGood: o.LastGood,
		registry: o.Registry,
		current:  o.Current,
		names:    o.Names,
		prepare:  o.Prepare,
		events:   o.Events,
		log:      o.Logger,
		turn:     make(chan struct{}, 1),
	}
	if r.names == nil {
		r.names = names.New(names.Options{Logger: o.Logger})
	}
	if r.prepare == nil {
		r.prepare = func(context.Context, *snapshot.Snapshot) (Prepared, error) { return nothing{}, nil }
	}
	if r.events == nil {
		r.events = new(event.Listener)
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

type nothing struct{}

func (nothing) Commit()   {}
func (nothing) Rollback() {}

// Start loads the first policy: the source's, or else, loudly, the last good
// one. If neither can serve, the error tells of both, and nothing is left open.
// Start is called once.
func (r *Reloader) Start(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	first := r.load(ctx, true)
	switch first.Outcome {
	case Committed:
		return nil
	case Canceled:
		return first.Err
	}
	kept, err := r.restore(ctx, first.Hash)
	if err == nil {
		r.log.Error("the source's policy was refused: the LAST GOOD policy serves until the source holds a good one",
			"hash", r.serving.Load().Hash, "revision", kept.Revision)
		return nil
	}
	return fmt.Errorf("no policy can serve: %w\nand no last good policy: %w", first.Err, err)
}

// restore brings the kept policy to serve. One that is the same as the source's
// was refused just now.
func (r *Reloader) restore(ctx context.Context, refused string) (Bundle, error) {
	if r.lastGood == nil {
		return Bundle{}, errors.New("none is kept, since there is no state directory")
	}
	began := time.Now()
	b, err := r.lastGood.Load()
	if err != nil {
		return Bundle{}, err
	}
	id := identify(b)
	if id.hash == refused {
		return Bundle{}, errors.New("the one that is kept is the same policy")
	}
	c := &candidate{bundle: b}
	if _, err := r.ready(ctx, c); err != nil {
		return Bundle{}, fmt.Errorf("the one that is kept cannot serve either: %w", err)
	}
	r.commit(c, began, true)
	return b, nil
}

const (
	// gathering is how long Run waits for more names to change their addresses, so
	// that many that do so one after the other cost one compilation.
	gathering = 100 * time.Millisecond
	// refreshAgain is when new addresses that could not be used are tried again.
	refreshAgain = 5 * time.Second
)

// Run reloads whenever the source may have changed, and gives the policy that
// serves its names' new addresses, until ctx ends.
func (r *Reloader) Run(ctx context.Context) {
	changed := r.source.Changed()
	var gathered <-chan time.Time // nil: no name has changed
	again := false                // it is for what could not be used, and nothing new
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changed:
			if !ok {
				r.log.Error("the source of policies tells of no more changes: only forced reloads are left")
				changed = nil
				continue
			}
		case <-r.names.Changed():
			if gathered == nil || again {
				gathered, again = time.After(gathering), false
			}
			continue
		case <-gathered:
			gathered, again = nil, false
			if r.take(ctx) == nil {
				if !r.refresh(ctx) {
					gathered, again = time.After(refreshAgain), true
				}
				r.release()
			}
			continue
		}
		if r.take(ctx) == nil {
			r.load(ctx, false)
			r.release()
		}
	}
}

// Reload reads the source and replaces the policy that serves, now. In contrast
// to a change that the source tells of, a policy that was refused before is
// tried, told of and logged again. It waits for a reload that is under way, but
// not longer than ctx.
func (r *Reloader) Reload(ctx context.Context) Result {
	began := time.Now()
	if err := r.take(ctx); err != nil {
		return Result{Outcome: Canceled, Err: err, Took: time.Since(began)}
	}
	defer r.release()
	return r.load(ctx, true)
}

// LastError is why the source's policy is not the one that serves; nil if it
// is.
func (r *Reloader) LastError() *Failure { return r.failure.Load() }

// Serving is the policy that serves; nil if none does yet.
func (r *Reloader) Serving() *Serving { return r.serving.Load() }

func (r *Reloader) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reloader) release() { <-r.turn }

// keep saves what serves now. What fails is logged when it begins to fail, and
// tried again at every later reload: a disk does not stay full for ever.
func (r *Reloader) keep() {
	if r.lastGood == nil || r.unkept == nil {
		return
	}
	err := r.lastGood.Save(*r.unkept)
	if err == nil {
		if r.keepErr != "" {
			r.log.Info("the last good policy is kept again")
		}
		r.unkept, r.keepErr = nil, ""
		return
	}
	if text := err.Error(); text != r.keepErr {
		r.log.Error("the last good policy is not kept: a restart while the source holds a bad one would fail", "error", err)
		r.keepErr = text
	}
}
