package reload_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/reload"
)

// addresses are those of the endpoints that serve.
func (b *bench) addresses() string {
	var out []string
	for _, m := range b.current.Load().Pools[0].Members() {
		out = append(out, m.Address)
	}
	return strings.Join(out, " ")
}

// pass lets virtual time pass, and whatever happens at its end happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// resolving is a bench in a bubble that serves version 1 with a.test, which has
// two addresses, and 127.0.0.1:9001.
func resolving(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dns.say("a.test", "10.0.0.1 10.0.0.2")
		b.source.hold(shop("1", "a.test:80", "127.0.0.1:9001"))
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-b.source.changed
		running(t, b)
		pass(time.Second) // what changed before the start is heard of
		b.forget()
		test(t, b)
	})
}

// New addresses of a name serve, and nothing else is different.
func TestRefresh(t *testing.T) {
	resolving(t, func(t *testing.T, b *bench) {
		before, serving := b.current.Load(), b.Serving()
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 127.0.0.1:9001"; got != want || b.shelf.saves != 1 {
			t.Fatalf("%s serve, want %s; %d saves", got, want, b.shelf.saves)
		}
		b.source.hold(broken("")) // its refusal outlives the refresh
		synctest.Wait()
		last := b.LastError()
		b.forget()

		b.dns.say("a.test", "10.0.0.2 10.0.0.3")
		pass(12 * time.Second)
		if got, want := b.addresses(), "10.0.0.2:80 10.0.0.3:80 127.0.0.1:9001"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		want := []string{"prepare@1", "prepared@1", "commit@1", "committed@1"}
		if diff := cmp.Diff(want, b.steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		c := b.commits[0]
		if !c.Refresh || c.Initial || c.LastGood || c.Kept != 2 || c.Added != 1 || c.Removed != 1 || len(c.Endpoints) != 3 || c.Policy != serving.PolicyInfo {
			t.Errorf("commit event %+v", c)
		}
		now := b.current.Load()
		for _, address := range []string{"10.0.0.2:80", "127.0.0.1:9001"} {
			if endpoint(t, before.Pools[0], address) != endpoint(t, now.Pools[0], address) {
				t.Errorf("%s is another endpoint", address)
			}
		}
		if !endpoint(t, before.Pools[0], "10.0.0.1:80").Draining() {
			t.Error("the address that is gone does not drain")
		}
		if m := now.Pools[0].Members(); m[0].Name != "a.test" || m[2].Name != "" {
			t.Errorf("names %q and %q", m[0].Name, m[2].Name)
		}
		if b.Serving() != serving || !now.LoadedAt.Equal(serving.LoadedAt) || b.LastError() != last || last == nil || b.shelf.saves != 1 {
			t.Errorf("serving %+v since %v, last error %+v, %d saves", b.Serving(), now.LoadedAt, b.LastError(), b.shelf.saves)
		}
		if now.Info != before.Info {
			t.Errorf("policy %+v, was %+v", now.Info, before.Info)
		}
	})
}

// A name that keeps its addresses, or fails, or changes back at once, changes
// nothing.
func TestNothingToRefresh(t *testing.T) {
	resolving(t, func(t *testing.T, b *bench) {
		before := b.current.Load()
		for _, addresses := range []string{"10.0.0.2 10.0.0.1", "", "hang"} {
			b.dns.say("a.test", addresses)
			pass(time.Minute)
		}
		if b.current.Load() != before || b.steps != nil {
			t.Errorf("steps %v", b.steps)
		}
		if b.dns.times("a.test") < 15 {
			t.Errorf("%d look-ups", b.dns.times("a.test"))
		}
	})
}

// Many names that change one after the other are one refresh.
func TestChangesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hosts := []string{"a.test", "b.test", "c.test", "d.test"}
		var written []string
		for _, h := range hosts {
			written = append(written, h+":80")
		}
		b.source.hold(shop("1", written...))
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.addresses(); got != "" {
			t.Errorf("%s serve of names that do not resolve", got)
		}
		running(t, b)
		b.forget()
		for i, h := range hosts {
			b.dns.say(h, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}[i])
		}
		pass(1500 * time.Millisecond) // tried again after 0.9 to 1.1 s
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		if n := len(b.commits); n > 2 {
			t.Errorf("%d refreshes of names that changed within 200 ms", n)
		}
	})
}

// A policy waits for the names that are new with it, for a while; those it keeps
// have their addresses at once, whatever the resolver says now.
func TestReloadWithNames(t *testing.T) {
	resolving(t, func(t *testing.T, b *bench) {
		b.dns.say("a.test", "hang")
		b.source.bundle = shop("2", "a.test:80", "127.0.0.1:9002")
		began := time.Now()
		if result := b.Reload(t.Context()); result.Outcome != reload.Committed || time.Since(began) != 0 {
			t.Errorf("%+v after %v", result, time.Since(began))
		}
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 127.0.0.1:9002"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		b.dns.say("new.test", "hang")
		b.source.bundle = shop("3", "a.test:80", "new.test:80")
		began = time.Now()
		if result := b.Reload(t.Context()); result.Outcome != reload.Committed || result.Err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("%+v after %v", result, time.Since(began))
		}
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		b.dns.say("new.test", "10.0.0.9")
		pass(10 * time.Second)
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 10.0.0.9:80"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		if c := b.commits[len(b.commits)-1]; len(b.commits) != 3 || !c.Refresh || c.Policy.Version != "3" {
			t.Errorf("%d commits, the last one %+v", len(b.commits), c)
		}
		// Names of no policy are not looked up.
		b.source.bundle = shop("4", "127.0.0.1:9002")
		b.Reload(t.Context())
		asked := b.dns.times("new.test")
		pass(time.Minute)
		if n := b.dns.times("new.test"); n != asked {
			t.Errorf("a name of no policy was looked up %d times", n-asked)
		}
	})
}

// A policy that is refused leaves the names as they are.
func TestRefusalForgetsItsNames(t *testing.T) {
	resolving(t, func(t *testing.T, b *bench) {
		b.dns.say("new.test", "10.0.0.9")
		b.prepareErr = errors.New("address already in use")
		b.source.bundle = shop("2", "new.test:80")
		if result := b.Reload(t.Context()); result.Outcome != reload.Rejected {
			t.Fatalf("result %+v", result)
		}
		b.prepareErr = nil
		a, n := b.dns.times("a.test"), b.dns.times("new.test")
		pass(time.Minute)
		if b.dns.times("new.test") != n || b.dns.times("a.test") < a+5 {
			t.Errorf("look-ups: %d of the refused policy's name, %d of the serving one's", b.dns.times("new.test")-n, b.dns.times("a.test")-a)
		}
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 127.0.0.1:9001"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
	})
}

// What goes wrong with new addresses is no refusal of the policy, and tried again:
// the name does not change once more for that.
func TestRefreshFails(t *testing.T) {
	resolving(t, func(t *testing.T, b *bench) {
		tries := 0
		b.onPrepare = func() {
			if tries++; tries == 1 {
				b.prepareErr = errors.New("no descriptor left")
			} else {
				b.prepareErr = nil
			}
		}
		b.dns.say("a.test", "10.0.0.3")
		pass(12 * time.Second)
		if got, want := b.addresses(), "10.0.0.1:80 10.0.0.2:80 127.0.0.1:9001"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		pass(5 * time.Second)
		if got, want := b.addresses(), "10.0.0.3:80 127.0.0.1:9001"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		b.dns.say("a.test", "10.0.0.4")
		pass(12 * time.Second)
		if got, want := b.addresses(), "10.0.0.4:80 127.0.0.1:9001"; got != want {
			t.Errorf("%s serve, want %s", got, want)
		}
		if b.LastError() != nil || len(b.rejections) != 0 || !strings.Contains(b.log.String(), "no descriptor left") {
			t.Errorf("last error %+v, %d rejections, log:\n%s", b.LastError(), len(b.rejections), b.log.String())
		}
	})
}

// The last good policy's names are refreshed, and it stays what it is.
func TestLastGoodIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		kept := shop("0", "a.test:80")
		b.shelf.kept = &kept
		b.source.hold(broken(""))
		b.dns.say("a.test", "10.0.0.1")
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		running(t, b)
		b.dns.say("a.test", "10.0.0.2")
		pass(12 * time.Second)
		if c := b.commits[len(b.commits)-1]; len(b.commits) != 2 || !c.Refresh || !c.LastGood {
			t.Errorf("%d commits, the last one %+v", len(b.commits), c)
		}
		if s := b.Serving(); b.addresses() != "10.0.0.2:80" || !s.LastGood || b.LastError() == nil || b.shelf.saves != 0 {
			t.Errorf("%s serve; %+v, last error %v", b.addresses(), s, b.LastError())
		}
	})
}

// A start that is called off while it waits for names leaves nothing behind.
func TestStartIsCalledOffWhileLearning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dns.say("a.test", "hang")
		b.source.hold(shop("1", "a.test:80"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Start(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if b.Serving() != nil || b.steps != nil {
			t.Errorf("serving %+v, steps %v", b.Serving(), b.steps)
		}
	})
}
