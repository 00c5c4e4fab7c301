package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// A peek tells what the visit that follows finds, in every store: at two replicas that
// move sessions behind one another's back, by tickets that are current or old, until the
// sessions end. It writes nothing and counts nothing.
func TestPeek(t *testing.T) {
	for kind, name := range map[session.Kind]string{session.InCookie: "cookie", session.InMemory: "memory", session.InRedis: "Redis"} {
		for range 6 {
			seed := rand.Uint64()
			in(t, fmt.Sprintf("%s, seed %#x", name, seed), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				store := newScripted()
				replicas := []*replica{join(t, store), join(t, store)}
				defer replicas[0].Close()
				defer replicas[1].Close()
				p := keeping("cart", kind)
				var tickets [][]byte
				next := session.Home(0)
				for range 6 {
					next++
					b := arrive(t, replicas[rnd.IntN(2)], p, next)
					tickets = append(tickets, b.ticket)
				}
				for range 200 {
					i := rnd.IntN(len(tickets))
					r := replicas[rnd.IntN(2)]
					if kind == session.InMemory {
						r = replicas[0]
					}
					asked := store.count(event.SessionBind, event.SessionRebind, event.SessionTouch)
					refused := refusals(r)
					k := r.Peek(realm, tickets[i])
					number := k.Number
					home, by := session.None, session.Source("")
					if k.Known {
						home, by = r.HomeOf(context.Background(), &k, p)
					}
					if n := store.count(event.SessionBind, event.SessionRebind, event.SessionTouch); n != asked || refusals(r) != refused {
						t.Fatal("it wrote, or counted")
					}
					var v session.Visit
					r.Open(&v, realm, tickets[i])
					if v.Known() && v.Number() != number {
						t.Fatalf("number %x, peeked %x", v.Number(), number)
					}
					got := r.Home(&v, p, time.Now())
					if v.Known() != k.Known || got != home || (home == session.None) != (by == session.BySession) || k.Known != (k.Refused == "") {
						t.Fatalf("at home at %d, known %v; peeked %d by %q, known %v, refused %q", got, v.Known(), home, by, k.Known, k.Refused)
					}
					if rnd.IntN(3) == 0 && v.Known() && got != session.None {
						next++
						r.Move(&v, p, next, event.MovedGone)
					}
					next++
					if r.Settle(&v, p, next, false) && rnd.IntN(2) == 0 { // else the answer was lost
						tickets[i] = r.Seal(nil, realm, &v)
					}
					synctest.Wait()
					if rnd.IntN(8) == 0 {
						time.Sleep(p.Lifetime.Idle / time.Duration(1+rnd.IntN(6)))
					}
				}
			})
		}
	}
}

// What is no ticket is refused for the reason that is counted.
func TestPeekRefuses(t *testing.T) {
	in(t, "memory", func(t *testing.T) {
		r := join(t, nil)
		defer r.Close()
		b := arrive(t, r, keeping("cart", session.InMemory), 7)
		forged := append([]byte(nil), b.ticket...)
		if at := &forged[len(forged)-3]; *at == 'A' { // another one of its letters
			*at = 'B'
		} else {
			*at = 'A'
		}
		for text, want := range map[string]string{"x": "length", string(forged): "forged"} {
			if k := r.Peek(realm, []byte(text)); k.Known || k.Refused != want {
				t.Errorf("%q: %+v, want %s", text, k, want)
			}
		}
		if k := r.Peek("cookie other", b.ticket); k.Refused != "forged" {
			t.Errorf("of another realm: %+v", k)
		}
		if k := r.Peek(realm, nil); k.Known || k.Refused != "" {
			t.Errorf("nothing: %+v", k)
		}
		if n := refusals(r); n != 0 {
			t.Errorf("%d were counted", n)
		}
	})
}

// refusals is how many tickets were refused.
func refusals(r *replica) (n uint64) {
	for _, c := range r.Status().Refused {
		n += c
	}
	return n
}
