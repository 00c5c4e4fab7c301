package sessiontest

import (
	"context"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

func firstKeyWins(t *testing.T, s Subject) {
	first := session.Key{0, 1, 2, 31: 0xff}
	for i, store := range s.Stores {
		proposal := first
		proposal[5] = byte(i)
		for range 2 {
			key, err := store.(session.Shared).Agree(t.Context(), proposal)
			if err != nil {
				t.Fatal(err)
			}
			if key != first {
				t.Fatal("the key is not the one that was proposed first")
			}
		}
	}
	s.Advance(1000 * time.Hour)
	if key, err := s.Stores[0].(session.Shared).Agree(t.Context(), session.Key{1}); err != nil || key != first {
		t.Fatalf("the key does not last: %v", err)
	}
}

func racingProposals(t *testing.T, s Subject) {
	var keys [8]session.Key
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := s.Stores[i%len(s.Stores)].(session.Shared).Agree(t.Context(), session.Key{byte(i + 1)})
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, key := range keys {
		if key != keys[0] || key == (session.Key{}) {
			t.Fatal("no agreement on the key")
		}
	}
}

// watchersAreTold watches from every place, and rebinds from every place.
func watchersAreTold(t *testing.T, s Subject) {
	type change struct {
		pool string
		id   session.ID
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watchers sync.WaitGroup
	var told []chan change
	for _, store := range s.Stores {
		connected, changes := make(chan bool, 16), make(chan change, 64)
		told = append(told, changes)
		watchers.Go(func() {
			store.(session.Shared).Watch(ctx, func(pool string, id session.ID) { changes <- change{pool, id} }, func(yes bool) { connected <- yes })
		})
		select {
		case yes := <-connected:
			if !yes {
				t.Error("the watcher is disconnected before it was connected")
			}
		case <-time.After(patience):
			t.Error("the watcher does not get connected")
		}
	}
	quiet := s.arrive(t)
	quiet.bind(7)
	quiet.rebind(6, 8) // changes nothing
	quiet.rebind(7, 7) // nor does this
	for _, pool := range []string{"cart", "a:b {c}\n\x00é", ""} {
		for range s.Stores {
			c := s.arrive(t).in(pool)
			c.bind(7)
			c.rebind(7, 8)
			for i, changes := range told {
				select {
				case got := <-changes:
					if want := (change{pool, c.ticket.ID}); got != want {
						t.Errorf("watcher %d was told of %q, want %q", i, got, want)
					}
				case <-time.After(patience):
					t.Fatalf("watcher %d was not told", i)
				}
			}
		}
	}
	cancel()
	gone := make(chan struct{})
	go func() { watchers.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the watchers do not return though their context has ended")
	}
}
