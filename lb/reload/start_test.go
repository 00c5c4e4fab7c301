package reload_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/reload"
)

func TestStart(t *testing.T) {
	b := newBench(t)
	b.source.hold(shop("1", "127.0.0.1:9001"))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"prepare@", "prepared@", "commit@1", "save@1", "committed@1"}
	if diff := cmp.Diff(want, b.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if c := b.commits[0]; !c.Initial || c.LastGood || c.Added != 1 {
		t.Errorf("commit event %+v", c)
	}
	s := b.Serving()
	if s == nil || s.Version != "1" || s.Hash != b.current.Load().Info.Hash || s.LastGood || s.LoadedAt.IsZero() || b.LastError() != nil {
		t.Errorf("serving %+v, last error %v", s, b.LastError())
	}
}

// A bad source at the start: the last good policy serves, loudly, until the
// source holds a good one.
func TestStartWithLastGood(t *testing.T) {
	kept := shop("0", "127.0.0.1:9001")
	kept.Revision = "abc"
	for name, c := range map[string]struct {
		fault  func(b *bench)
		reason reload.Reason
	}{
		"invalid":    {func(b *bench) { b.source.hold(broken("")) }, reload.Invalid},
		"unreadable": {func(b *bench) { b.source.fail(fmt.Errorf("no directory: %w", fs.ErrNotExist)) }, reload.Unreadable},
		"port taken": {func(b *bench) {
			b.source.hold(shop("1", "127.0.0.1:9001"))
			b.prepareErr = errors.New("address already in use")
			b.onPrepare = func() {
				if len(b.steps) > 1 { // the last good one listens elsewhere
					b.prepareErr = nil
				}
			}
		}, reload.Listen},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.shelf.kept = &kept
			c.fault(b)
			if err := b.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := b.Serving()
			if s == nil || s.Version != "0" || s.Revision != "abc" || !s.LastGood {
				t.Errorf("serving %+v", s)
			}
			if e := b.commits[0]; !e.Initial || !e.LastGood || e.Policy.Revision != "abc" {
				t.Errorf("commit event %+v", e)
			}
			if last := b.LastError(); last == nil || last.Reason != c.reason || b.rejections[0].Reason != string(c.reason) {
				t.Errorf("last error %+v, events %+v", last, b.rejections)
			}
			if b.shelf.saves != 0 {
				t.Error("the last good policy was saved over itself")
			}
			if log := b.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "LAST GOOD") {
				t.Errorf("log:\n%s", log)
			}

			b.source.hold(shop("2", "127.0.0.1:9001"))
			if result := b.Reload(t.Context()); result.Outcome != reload.Committed {
				t.Fatalf("a good policy afterwards: %+v", result)
			}
			if e := b.commits[1]; e.Initial || e.LastGood || e.Kept != 1 {
				t.Errorf("commit event %+v", e)
			}
			if s := b.Serving(); s.Version != "2" || s.LastGood || b.LastError() != nil || b.shelf.saves != 1 {
				t.Errorf("serving %+v, last error %v, %d saves", s, b.LastError(), b.shelf.saves)
			}
		})
	}
}

// The source turns out to hold the last good policy after all.
func TestSourceReturnsToLastGood(t *testing.T) {
	kept := shop("0", "127.0.0.1:9001")
	b := newBench(t)
	b.shelf.kept = &kept
	b.source.fail(errors.New("not mounted yet"))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.forget()
	b.source.hold(kept)
	if result := b.Reload(t.Context()); result.Outcome != reload.Unchanged {
		t.Errorf("result %+v", result)
	}
	if s := b.Serving(); s.LastGood || b.LastError() != nil || len(b.commits) != 1 || b.commits[0].LastGood {
		t.Errorf("serving %+v, last error %v, commits %+v", s, b.LastError(), b.commits)
	}
}

func TestStartWithNothingToServe(t *testing.T) {
	same := shop("1", "127.0.0.1:9001")
	bad := broken("kept")
	for name, c := range map[string]struct {
		prepare func(b *bench)
		want    []string // parts of the error
	}{
		"nothing kept": {
			func(b *bench) { b.source.hold(broken("")) },
			[]string{"colour", "shape", "nothing was kept yet"},
		},
		"what is kept cannot be read": {
			func(b *bench) { b.source.hold(broken("")); b.shelf.loadErr = errors.New("it is damaged") },
			[]string{"colour", "shape", "it is damaged"},
		},
		"what is kept is bad too": {
			func(b *bench) { b.source.fail(errors.New("not mounted")); b.shelf.kept = &bad },
			[]string{"not mounted", "cannot serve either", "colour", "shape"},
		},
		"what is kept is the same": {
			func(b *bench) {
				b.source.hold(same)
				b.shelf.kept = &same
				b.prepareErr = errors.New("127.0.0.1:8000: address already in use")
			},
			[]string{"127.0.0.1:8000: address already in use", "is the same policy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.prepare(b)
			err := b.Start(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q:\n%v", part, err)
				}
			}
			if b.Serving() != nil || b.current.Load() != nil || len(b.commits) != 0 {
				t.Error("something serves")
			}
		})
	}
	t.Run("no state directory", func(t *testing.T) {
		r := reload.New(reload.Options{Source: &script{err: errors.New("not mounted")}})
		if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "not mounted") || !strings.Contains(err.Error(), "no state directory") {
			t.Errorf("error %v", err)
		}
	})
}

// A policy that cannot be kept serves all the same. That is logged once, and
// saving is tried again.
func TestSaveFails(t *testing.T) {
	b := started(t)
	b.shelf.saveErr = errors.New("no space left on device")
	b.source.hold(shop("2", "127.0.0.1:9001"))
	if result := b.Reload(t.Context()); result.Outcome != reload.Committed || b.version() != "2" {
		t.Fatalf("result %+v", result)
	}
	for range 3 {
		if result := b.Reload(t.Context()); result.Outcome != reload.Unchanged {
			t.Errorf("result %+v", result)
		}
	}
	if n := strings.Count(b.log.String(), "no space left on device"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, b.log.String())
	}
	b.shelf.saveErr = nil
	b.Reload(t.Context())
	if got, err := b.shelf.Load(); err != nil || string(got.Files["shop.yaml"]) != string(b.source.bundle.Files["shop.yaml"]) {
		t.Errorf("not kept once there is space again: %v", err)
	}
	saves := b.shelf.saves
	b.Reload(t.Context())
	if b.shelf.saves != saves {
		t.Error("saved again without need")
	}
}
