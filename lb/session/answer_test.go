package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// What a store says too late for the request that asked is learnt all the same.
func TestLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		b.is(one, p, 7, 7)
		synctest.Wait()
		// Another replica moves it, and its ticket does not say so.
		old := b.ticket
		one.Open(&b.visit, realm, old)
		one.Home(&b.visit, p, time.Now())
		if got := one.Move(&b.visit, p, 9, event.MovedGone); got != 9 {
			t.Fatal(got)
		}
		hold := make(chan struct{})
		store.set(script{hold: hold}, event.SessionFind)
		start := time.Now()
		late := &browser{t: t, ticket: old}
		late.is(two, p, 1, 7) // as the ticket has it
		if took := time.Since(start); took != p.Timeout {
			t.Errorf("waited %v, want %v", took, p.Timeout)
		}
		close(hold)
		synctest.Wait()
		finds := store.count(event.SessionFind)
		late.is(two, p, 1, 9)
		if store.count(event.SessionFind) != finds {
			t.Error("asked again")
		}
		if n := two.movedBy(event.MovedByStore); n != 1 {
			t.Errorf("moved %d times by the store, want once", n)
		}

		// A move whose answer is late stands as well.
		keep := make(chan struct{})
		store.set(script{keep: keep}, event.SessionRebind)
		start = time.Now()
		if got := two.Move(&late.visit, p, 10, event.MovedGone); got != session.None {
			t.Errorf("moved to %d without an answer", got)
		}
		if took := time.Since(start); took > p.Timeout {
			t.Errorf("waited %v", took)
		}
		close(keep)
		synctest.Wait()
		late.is(two, p, 1, 10)
		late.is(one, p, 1, 10)
	})
}

// A request waits for the store for its pool's timeout in all, and not for each of what
// it asks.
func TestWaitingInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		store.set(script{slow: 3 * time.Millisecond})
		start := time.Now()
		r.Open(&b.visit, realm, b.ticket)
		if home := r.Home(&b.visit, p, time.Now()); home != 7 || time.Since(start) != 3*time.Millisecond {
			t.Fatal(home, time.Since(start))
		}
		for i := range 3 {
			if got := r.Move(&b.visit, p, 8, event.MovedGone); got != session.None {
				t.Errorf("%d: moved to %d", i, got)
			}
		}
		if took := time.Since(start); took != p.Timeout {
			t.Errorf("waited %v in all, want %v", took, p.Timeout)
		}
		if n := store.count(event.SessionRebind); n != 1 {
			t.Errorf("asked %d times to move it: no time was left", n)
		}
		// The next request has its own time.
		time.Sleep(time.Second)
		b.is(r, p, 1, 8)
	})
}

// An answer that crosses the news of a change is asked again, whatever this replica
// knew when it asked, and whatever it has come to believe meanwhile.
func TestAnswersThatCrossAChange(t *testing.T) {
	for _, x := range []struct {
		name  string
		known bool // the replica knew the session
		gone  bool // the request went on without the answer, by its ticket
	}{{"known", true, false}, {"unknown", false, false}, {"unknown, by the ticket", false, true}} {
		in(t, x.name, func(t *testing.T) {
			store := newScripted()
			one, two := join(t, store), join(t, store)
			defer one.Close()
			defer two.Close()
			p := keeping("cart", session.InRedis)
			b := arrive(t, one, p, 7)
			b.is(one, p, 1, 7)
			synctest.Wait()
			if x.known {
				b.is(two, p, 1, 7)
				synctest.Wait()
				store.hear(false)
				time.Sleep(2 * time.Second) // what two knows is to be asked again
				store.hear(true)
				synctest.Wait()
			}
			keep := make(chan struct{})
			store.set(script{keep: keep}, event.SessionFind)
			asked := make(chan session.Home)
			slow := &browser{t: t, ticket: b.ticket}
			go func() { asked <- slow.at(two, p, 1) }()
			synctest.Wait()
			store.set(script{}, event.SessionFind)
			time.Sleep(time.Millisecond)
			if !x.known {
				one.Open(&b.visit, realm, b.ticket)
				one.Home(&b.visit, p, time.Now())
			} else {
				b.is(one, p, 1, 7)
			}
			if got := one.Move(&b.visit, p, 9, event.MovedGone); got != 9 {
				t.Fatal(got)
			}
			synctest.Wait()
			if x.gone {
				// What it tells the store is lost, or the answer would tell it.
				store.set(script{err: errScripted}, event.SessionBind)
				time.Sleep(p.Timeout)
			} else {
				time.Sleep(time.Millisecond)
			}
			close(keep)
			if home := <-asked; home != 7 {
				t.Fatalf("served at %d: the answer was of before", home)
			}
			synctest.Wait()
			time.Sleep(time.Second)
			(&browser{t: t, ticket: b.ticket}).is(two, p, 1, 9)
		})
	}
}

// While changes are not heard of, what is known is asked again, once a second.
func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		for range 3 {
			b.is(one, p, 1, 7)
			b.is(two, p, 1, 7)
			synctest.Wait()
		}
		store.hear(false)
		time.Sleep(2 * time.Second)
		before := store.count(event.SessionFind)
		for range 200 {
			b.is(two, p, 1, 7)
			time.Sleep(50 * time.Millisecond)
		}
		if n := store.count(event.SessionFind) - before; n < 8 || n > 11 {
			t.Errorf("asked %d times in 10 s", n)
		}
		b.at(one, p, 1)
		if got := one.Move(&b.visit, p, 9, event.MovedGone); got != 9 {
			t.Fatal(got)
		}
		time.Sleep(time.Second)
		b.is(two, p, 1, 9)
		// It is believed again once changes are heard of and it was asked since.
		store.hear(true)
		b.is(two, p, 1, 9)
		synctest.Wait()
		before = store.count(event.SessionFind)
		time.Sleep(5 * time.Second)
		b.is(two, p, 1, 9)
		if store.count(event.SessionFind) > before+1 {
			t.Error("asked again and again")
		}
	})
}

// A change that another replica makes acts here with the next request.
func TestChangesAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		for home := session.Home(7); home < 20; home++ {
			for _, r := range []*replica{one, two, one, two} {
				b.is(r, p, 1, home)
				synctest.Wait()
			}
			mover := []*replica{one, two}[home%2]
			b.at(mover, p, 1)
			if got := mover.Move(&b.visit, p, home+1, event.MovedGone); got != home+1 {
				t.Fatal(got)
			}
			time.Sleep(time.Millisecond)
		}
		// Who comes second is told who was first.
		var first, second browser
		first, second = browser{t: t, ticket: b.ticket}, browser{t: t, ticket: b.ticket}
		first.at(one, p, 1)
		second.at(two, p, 1)
		if got := one.Move(&first.visit, p, 100, event.MovedGone); got != 100 {
			t.Error(got)
		}
		if got := two.Move(&second.visit, p, 200, event.MovedGone); got != 100 {
			t.Errorf("the second one was told %d", got)
		}
		if two.movedBy(event.MovedByStore) != 0 {
			t.Error("the store moved nobody")
		}
	})
}

// What cannot be read is left alone, and its client gets another session.
func TestUnreadable(t *testing.T) {
	for _, when := range []string{"never seen", "known", "provisional"} {
		in(t, when, func(t *testing.T) {
			store := newScripted()
			r := join(t, store)
			defer r.Close()
			p := keeping("cart", session.InRedis)
			b := arrive(t, r, p, 7)
			ticket, _ := open(t, store, b)
			switch when {
			case "known":
				b.is(r, p, 1, 7)
				synctest.Wait()
				store.hear(false)
				time.Sleep(2 * time.Second)
				store.hear(true)
			case "provisional":
				store.set(script{err: errScripted}, event.SessionFind, event.SessionBind)
				b.is(r, p, 1, 7)
				synctest.Wait()
				store.set(script{}, event.SessionFind, event.SessionBind)
			}
			store.mu.Lock()
			store.garbage[ticket.ID] = true
			store.mu.Unlock()
			for range 2 {
				b.at(r, p, 8)
				synctest.Wait()
			}
			b.is(r, p, 1, 8)
			if n := r.refusedFor("unreadable"); n != 1 {
				t.Errorf("refused %d times", n)
			}
			if r.count(event.SessionFind, event.SessionUnreadable) == 0 {
				t.Error("not counted")
			}
			if s := r.Status(); s.Away {
				t.Error("the store is not away")
			}
		})
	}
}

// At most 128 operations are under way that a request waits for, and 32 that none does.
// What is more is left out, and counted; those sessions go on by what is known.
func TestPlaces(t *testing.T) {
	in(t, "asking", func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		p.Timeout = 500 * time.Millisecond
		const most, clients = 128, 200
		var all []*browser
		for i := range clients {
			all = append(all, arrive(t, r, p, session.Home(i+1)))
		}
		hold := make(chan struct{})
		store.set(script{hold: hold}, event.SessionFind)
		done := make(chan struct{}, clients)
		for i, b := range all {
			go func() {
				if home := b.at(r, p, 1000); home != session.Home(i+1) {
					t.Errorf("%d served at %d", i+1, home)
				}
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		if n := r.count(event.SessionFind, event.SessionBusy); n != clients-most {
			t.Errorf("%d were left out, want %d", n, clients-most)
		}
		if n := len(done); n != clients-most {
			t.Errorf("%d do not wait, want %d", n, clients-most)
		}
		close(hold)
		synctest.Wait()
		if store.count(event.SessionFind) != most || len(done) != clients {
			t.Errorf("asked %d times, %d are done", store.count(event.SessionFind), len(done))
		}
	})
	in(t, "telling", func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		const most, clients = 32, 100
		var all []*browser
		for i := range clients {
			all = append(all, arrive(t, r, p, session.Home(i+1)))
		}
		hold := make(chan struct{})
		store.set(script{hold: hold}, event.SessionBind)
		for i, b := range all {
			b.is(r, p, 1000, session.Home(i+1))
			b.is(r, p, 1000, session.Home(i+1)) // and is told once
		}
		synctest.Wait()
		if got := store.count(event.SessionBind); got != most {
			t.Errorf("%d told, want %d", got, most)
		}
		if n := r.count(event.SessionBind, event.SessionBusy); n < clients-most {
			t.Errorf("%d were left out", n)
		}
		close(hold)
		synctest.Wait()
		for i, b := range all {
			b.is(r, p, 1000, session.Home(i+1))
			synctest.Wait()
		}
		if got := store.count(event.SessionBind); got != clients {
			t.Errorf("%d told in the end, want %d", got, clients)
		}
	})
}

// An answer that is older than what is known changes nothing.
func TestAnswersOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		b.is(r, p, 1, 7)
		synctest.Wait()
		store.hear(false)
		time.Sleep(2 * time.Second)
		keep := make(chan struct{})
		store.set(script{keep: keep}, event.SessionFind)
		slow := &browser{t: t, ticket: b.ticket}
		slow.is(r, p, 1, 7) // by what is known: the answer does not come in time
		store.set(script{}, event.SessionFind)
		if got := r.Move(&b.visit, p, 9, event.MovedGone); got != 9 {
			t.Fatal(got)
		}
		b.is(r, p, 1, 9)
		close(keep)
		synctest.Wait()
		b.is(r, p, 1, 9)
	})
}

// What is found while a move is under way is of before it.
func TestAnswersDuringAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		b.is(r, p, 1, 7)
		synctest.Wait()
		store.hear(false)
		time.Sleep(2 * time.Second)
		b.is(r, p, 1, 7)
		time.Sleep(900 * time.Millisecond)
		hold := make(chan struct{})
		store.set(script{hold: hold}, event.SessionRebind)
		if got := r.Move(&b.visit, p, 9, event.MovedGone); got != session.None {
			t.Fatal(got) // it does not come in time
		}
		r.Open(&b.visit, realm, b.ticket)
		store.set(script{slow: time.Millisecond}, event.SessionFind)
		time.Sleep(100 * time.Millisecond) // what is known is to be asked again
		b.is(r, p, 1, 7)
		close(hold)
		synctest.Wait()
		b.is(r, p, 1, 9)
	})
}
