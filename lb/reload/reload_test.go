package reload_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/reload"
)

func TestSequence(t *testing.T) {
	b := started(t)
	b.source.hold(shop("2", "127.0.0.1:9002", "127.0.0.1:9003", "127.0.0.1:9004"))
	before := b.current.Load()
	result := b.Reload(t.Context())
	if result.Outcome != reload.Committed || result.Err != nil || result.Hash != b.current.Load().Info.Hash {
		t.Errorf("result %+v", result)
	}
	// What is fallible happens while the old policy serves, the rest afterwards.
	want := []string{"prepare@1", "prepared@1", "commit@2", "save@2", "committed@2"}
	if diff := cmp.Diff(want, b.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	c := b.commits[0]
	if c.Kept != 1 || c.Added != 2 || c.Removed != 1 || c.Initial || c.LastGood || c.At.IsZero() ||
		c.Policy.Name != "shop" || c.Policy.Version != "2" || len(c.Endpoints) != 3 {
		t.Errorf("commit event %+v", c)
	}
	// A kept endpoint is the very same one.
	if was, is := endpoint(t, before.Pools[0], "127.0.0.1:9002"), endpoint(t, b.current.Load().Pools[0], "127.0.0.1:9002"); was != is {
		t.Error("the kept endpoint is another one")
	}
	for _, part := range []string{`"name":"shop"`, `"version":"2"`, result.Hash, `"endpointsKept":1`, `"endpointsAdded":2`, `"endpointsRemoved":1`, `"took":`} {
		if !strings.Contains(b.log.String(), part) {
			t.Errorf("the log does not say %s:\n%s", part, b.log.String())
		}
	}
}

func endpoint(t *testing.T, p *pool.Pool, address string) *pool.Endpoint {
	t.Helper()
	for _, m := range p.Members() {
		if m.Address == address {
			return m.Endpoint
		}
	}
	t.Fatalf("no endpoint %s", address)
	return nil
}

// Whatever goes wrong before the swap, nothing that serves is touched, and a
// good policy afterwards is served.
func TestRejections(t *testing.T) {
	errTaken := errors.New("listen tcp 127.0.0.1:8000: address already in use")
	good := shop("2", "127.0.0.1:9003")
	for name, c := range map[string]struct {
		fault  func(b *bench)
		reason reload.Reason
		want   []string // parts of the error and of the log
		steps  []string
	}{
		"invalid": {
			func(b *bench) { b.source.hold(broken("")) },
			reload.Invalid, []string{"shop.yaml", "colour", "shape"},
			[]string{"rejected@1"},
		},
		"no files": {
			func(b *bench) { b.source.hold(reload.Bundle{}) },
			reload.Invalid, []string{"no *.yaml"},
			[]string{"rejected@1"},
		},
		"unreadable": {
			func(b *bench) { b.source.fail(errors.New("the disk is on fire")) },
			reload.Unreadable, []string{"the disk is on fire"},
			[]string{"rejected@1"},
		},
		"panic in the source": {
			func(b *bench) { b.source.hold(good); b.source.set(func() { b.source.boom = true }) },
			reload.Unreadable, []string{"the source exploded", "the log has the stack"},
			[]string{"rejected@1"},
		},
		"port taken": {
			func(b *bench) { b.source.hold(good); b.prepareErr = errTaken },
			reload.Listen, []string{"address already in use"},
			[]string{"prepare@1", "rejected@1"},
		},
		"panic while preparing": {
			func(b *bench) { b.source.hold(good); b.onPrepare = func() { panic("no such luck") } },
			reload.Listen, []string{"no such luck"},
			[]string{"prepare@1", "rejected@1"},
		},
		"panic of a listener": {
			func(b *bench) { b.source.hold(good); b.onPrepared = func() { panic("no metric left") } },
			reload.Listen, []string{"no metric left"},
			[]string{"prepare@1", "prepared@1", "rollback@1", "rejected@1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := started(t)
			before := b.current.Load()
			c.fault(b)
			result := b.Reload(t.Context())
			if result.Outcome != reload.Rejected || result.Err == nil {
				t.Fatalf("result %+v", result)
			}
			if b.current.Load() != before {
				t.Error("another snapshot serves")
			}
			if diff := cmp.Diff(c.steps, b.steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			last := b.LastError()
			if last == nil || last.Reason != c.reason || last.Hash != result.Hash || last.At.IsZero() {
				t.Errorf("last error %+v", last)
			}
			if e := b.rejections[0]; e.Reason != string(c.reason) || e.Hash != result.Hash || e.Err.Error() != result.Err.Error() {
				t.Errorf("event %+v", e)
			}
			for _, part := range c.want {
				if !strings.Contains(result.Err.Error(), part) {
					t.Errorf("the error does not say %q:\n%v", part, result.Err)
				}
				if !strings.Contains(b.log.String(), part) {
					t.Errorf("the log does not say %q:\n%s", part, b.log.String())
				}
			}
			if strings.HasPrefix(name, "panic") && !strings.Contains(b.log.String(), "goroutine ") {
				t.Errorf("the log has no stack:\n%s", b.log.String())
			}

			b.prepareErr, b.onPrepare, b.onPrepared, b.source.boom = nil, nil, nil, false
			b.source.hold(good)
			if result := b.Reload(t.Context()); result.Outcome != reload.Committed {
				t.Fatalf("a good policy afterwards: %+v", result)
			}
			if b.version() != "2" || b.LastError() != nil {
				t.Errorf("version %s, last error %+v", b.version(), b.LastError())
			}
		})
	}
}

// Nothing changed: nothing is done, nothing is told.
func TestUnchanged(t *testing.T) {
	b := started(t)
	before := b.current.Load()
	result := b.Reload(t.Context())
	if result.Outcome != reload.Unchanged || result.Hash != before.Info.Hash || b.current.Load() != before || b.steps != nil || b.log.Len() != 0 {
		t.Errorf("result %+v, steps %v, log %s", result, b.steps, b.log.String())
	}
}

// The same files under another revision are served under its name.
func TestNewRevision(t *testing.T) {
	b := started(t)
	next := shop("1", "127.0.0.1:9001", "127.0.0.1:9002")
	next.Revision = "abc"
	b.source.hold(next)
	if result := b.Reload(t.Context()); result.Outcome != reload.Committed {
		t.Fatalf("result %+v", result)
	}
	if c := b.commits[0]; c.Policy.Revision != "abc" || c.Kept != 2 || c.Added != 0 || c.Removed != 0 {
		t.Errorf("commit event %+v", c)
	}
	if s := b.Serving(); s.Revision != "abc" || s.LoadedAt.IsZero() {
		t.Errorf("serving %+v", s)
	}
}

// A source that goes back to what serves has nothing wrong with it any more,
// and whoever watches reloads learns that.
func TestReturn(t *testing.T) {
	b := started(t)
	good := b.source.bundle
	for _, fault := range []func(){
		func() { b.source.hold(broken("")) },
		func() { b.source.fail(errors.New("gone")) },
	} {
		fault()
		b.Reload(t.Context())
		if b.LastError() == nil {
			t.Fatal("no error is kept")
		}
		b.forget()
		b.source.hold(good)
		if result := b.Reload(t.Context()); result.Outcome != reload.Unchanged {
			t.Errorf("result %+v", result)
		}
		if b.LastError() != nil {
			t.Errorf("the error is kept: %+v", b.LastError())
		}
		if len(b.commits) != 1 || b.commits[0].Kept != 2 || b.commits[0].Added+b.commits[0].Removed != 0 || b.commits[0].Policy.Version != "1" {
			t.Errorf("commit events %+v", b.commits)
		}
	}
}

func TestReloadCanceled(t *testing.T) {
	b := started(t)
	b.source.hold(shop("2", "127.0.0.1:9001"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result := b.Reload(ctx); result.Outcome != reload.Canceled || !errors.Is(result.Err, context.Canceled) {
		t.Errorf("result %+v", result)
	}
	if b.version() != "1" || b.LastError() != nil || b.steps != nil {
		t.Errorf("version %s, last error %v, steps %v", b.version(), b.LastError(), b.steps)
	}
}

// Warnings do not stop a policy, and are logged.
func TestWarningsAreLogged(t *testing.T) {
	b := started(t)
	next := shop("2", "127.0.0.1:9001")
	next.Files["unused.yaml"] = []byte(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop}
spec:
  pools:
    - name: nobody
      endpoints: [{address: "127.0.0.1:9009"}]
`)
	b.source.hold(next)
	if result := b.Reload(t.Context()); result.Outcome != reload.Committed {
		t.Fatalf("result %+v", result)
	}
	if log := b.log.String(); !strings.Contains(log, `"level":"WARN"`) || !strings.Contains(log, "unused.yaml") {
		t.Errorf("log:\n%s", log)
	}
}
