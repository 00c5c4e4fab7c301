package reload

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/snapshot"
)

// load is one reload, of the caller whose turn it is.
func (r *Reloader) load(ctx context.Context, forced bool) Result {
	began := time.Now()
	b, err := r.read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Result{Outcome: Canceled, Err: err, Took: time.Since(began)}
		}
		r.reject(Failure{Reason: Unreadable, Err: err}, forced)
		return Result{Outcome: Rejected, Err: err, Took: time.Since(began)}
	}
	id := identify(b)
	result := func(o Outcome, err error) Result {
		return Result{Outcome: o, Hash: id.hash, Err: err, Took: time.Since(began)}
	}
	if s := r.serving.Load(); s != nil && id == (identity{s.Hash, s.Revision}) {
		r.returned(began)
		r.keep()
		return result(Unchanged, nil)
	}
	if last := r.failure.Load(); !forced && last != nil && last.Reason == Invalid && id == (identity{last.Hash, last.Revision}) {
		return result(Rejected, last.Err)
	}
	c := &candidate{bundle: b}
	reason, err := r.ready(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return result(Canceled, err)
		}
		r.reject(Failure{Hash: id.hash, Revision: id.revision, Reason: reason, Err: err}, forced)
		return result(Rejected, err)
	}
	r.commit(c, began, false)
	return result(Committed, nil)
}

// read reads the source, and takes a panic for a failure to.
func (r *Reloader) read(ctx context.Context) (b Bundle, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.panicked(p)
		}
	}()
	return r.source.Read(ctx)
}

// candidate is a policy that is to serve.
type candidate struct {
	bundle Bundle

	// Filled in by ready, after which nothing can fail any more.
	policy   *policy.Policy     // as it is written
	found    policy.Diagnostics // warnings
	hosts    names.Hosts
	staged   *snapshot.Staged
	prepared Prepared
	catalog  *event.Catalog
}

// ready does all that can fail. A candidate that has its policy already is
// compiled with the addresses its names have now. On an error everything is as it
// was before, and the reason says at which step it happened.
func (r *Reloader) ready(ctx context.Context, c *candidate) (reason Reason, err error) {
	var undo []func()
	defer func() {
		if p := recover(); p != nil {
			err = r.panicked(p)
		}
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				r.guard(undo[i])
			}
		}
	}()

	reason = Invalid
	if c.policy == nil {
		c.policy, c.found = policy.Files(c.bundle.Files).Load()
		if c.found.HasErrors() {
			return reason, &InvalidError{c.found}
		}
		c.hosts = names.Of(c.policy)
		undo = append(undo, func() { r.names.Keep(r.hosts) })
		if err = r.names.Learn(ctx, c.hosts); err != nil {
			return reason, err
		}
	}
	if c.staged, err = snapshot.Compile(r.names.Expand(c.policy), c.bundle.Revision, r.registry); err != nil {
		return reason, err
	}
	undo = append(undo, c.staged.Discard)

	reason = Listen
	if c.prepared, err = r.prepare(ctx, c.staged.Snapshot); err != nil {
		return reason, err
	}
	undo = append(undo, c.prepared.Rollback)
	c.catalog = c.staged.Catalog()
	if r.events.PolicyPrepared != nil {
		r.events.PolicyPrepared(c.catalog)
	}
	return "", nil
}

// commit makes a policy the one that serves.
func (r *Reloader) commit(c *candidate, began time.Time, lastGood bool) {
	at := time.Now()
	changes := c.staged.Commit(r.current, at)
	took := time.Since(began)
	c.prepared.Commit()
	r.names.Keep(c.hosts)

	initial := r.serving.Load() == nil
	r.policy, r.hosts, r.catalog = c.policy, c.hosts, c.catalog
	info := r.catalog.Policy
	r.serving.Store(&Serving{PolicyInfo: info, LoadedAt: at, LastGood: lastGood, Changes: changes})
	if !lastGood {
		r.failure.Store(nil)
		r.unkept = &c.bundle
		r.keep()
	}
	for _, d := range c.found {
		r.logDiagnostic(d)
	}
	r.log.Info("policy serves", "name", info.Name, "version", info.Version, "hash", info.Hash, "revision", info.Revision,
		"took", took, "endpointsKept", changes.Kept, "endpointsAdded", changes.Added, "endpointsRemoved", changes.Removed,
		"breakerWindowsReset", changes.WindowsReset, "healthReset", changes.HealthReset)
	r.tell(&event.Commit{
		Catalog: r.catalog, At: at, Took: took, Initial: initial, LastGood: lastGood,
		Kept: changes.Kept, Added: changes.Added, Removed: changes.Removed, WindowsReset: changes.WindowsReset, HealthReset: changes.HealthReset,
	})
}

// returned is called when the source holds what serves already. If that is news,
// because it held something else meanwhile or nothing, it is told as a commit
// that changed nothing: otherwise whoever watches reloads would go on believing
// that the last one failed.
func (r *Reloader) returned(began time.Time) {
	s := r.serving.Load()
	if r.failure.Load() == nil && !s.LastGood {
		return
	}
	back := *s
	back.LastGood = false
	r.serving.Store(&back)
	r.failure.Store(nil)
	r.log.Info("the source holds the policy that serves again", "name", s.Name, "version", s.Version, "hash", s.Hash, "revision", s.Revision)
	at := time.Now()
	r.tell(&event.Commit{Catalog: r.catalog, At: at, Took: at.Sub(began), Kept: len(r.catalog.Endpoints)})
}

// reject keeps a failure for the status, and tells of it unless that was done
// already.
func (r *Reloader) reject(f Failure, forced bool) {
	f.At = time.Now()
	told := f.At
	if last := r.failure.Load(); last != nil && last.Reason == f.Reason && last.Hash == f.Hash &&
		last.Revision == f.Revision && last.Err.Error() == f.Err.Error() {
		if !forced {
			return
		}
		f.At = last.At
	}
	r.failure.Store(&f)

	msg := "policy refused: the one that serves goes on"
	if r.serving.Load() == nil {
		msg = "policy refused"
	}
	log := r.log.With("reason", string(f.Reason), "hash", f.Hash, "revision", f.Revision)
	var invalid *InvalidError
	if errors.As(f.Err, &invalid) {
		ds := invalid.Diagnostics
		log.Error(msg, "errors", ds.Count(policy.SeverityError), "warnings", ds.Count(policy.SeverityWarning))
		for _, d := range ds {
			r.logDiagnostic(d)
		}
	} else {
		log.Error(msg, "error", f.Err)
	}
	if r.events.PolicyRejected != nil {
		r.events.PolicyRejected(&event.Rejection{At: told, Hash: f.Hash, Reason: string(f.Reason), Err: f.Err})
	}
}

func (r *Reloader) tell(c *event.Commit) {
	if r.events.PolicyCommitted != nil {
		r.events.PolicyCommitted(c)
	}
}

// logDiagnostic logs one finding as a record of its own: several lines in one
// would be escaped beyond reading.
func (r *Reloader) logDiagnostic(d policy.Diagnostic) {
	log := r.log.Error
	if d.Severity == policy.SeverityWarning {
		log = r.log.Warn
	}
	log("policy "+string(d.Severity)+": "+d.Message, "code", d.Code,
		"file", d.Pos.File, "line", d.Pos.Line, "column", d.Pos.Col, "path", d.Path, "source", d.Source)
}

// guard runs one step of a rollback: a panic in it must not keep the others
// from being run.
func (r *Reloader) guard(step func()) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked(p)
		}
	}()
	step()
}

// panicked logs a panic with its stack and makes it an error. The way of a
// policy is long and its input is free; whatever is wrong there must not end the
// process that serves.
func (r *Reloader) panicked(p any) error {
	r.log.Error("panic while loading a policy; please report it", "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("internal error while loading the policy: %v (a bug in the load balancer: the log has the stack; please report it)", p)
}
