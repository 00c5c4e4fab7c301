package session

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// Tickets are found again while they are few enough, and only what fits is kept.
func TestOpenedTickets(t *testing.T) {
	sealed := func(n int) []byte {
		text := make([]byte, SealedLen)
		binary.BigEndian.PutUint64(text[7:], uint64(n))
		return text
	}
	for _, c := range []struct{ tickets, lost int }{{1, 0}, {1000, 10}, {mostTickets / 4, 100}, {2 * mostTickets, 3 * mostTickets / 2}} {
		t.Run(fmt.Sprint(c.tickets), func(t *testing.T) {
			var all tickets
			all.init()
			for n := range c.tickets {
				all.keep(0, "cookie a", sealed(n), Ticket{Home: Home(n)}, false)
			}
			lost := 0
			for n := range c.tickets {
				switch o := all.find("cookie a", sealed(n)); {
				case o == nil:
					lost++
				case o.Home != Home(n):
					t.Fatalf("ticket %d is taken for %d", n, o.Home)
				}
			}
			t.Logf("%d of %d are lost, in %d buckets", lost, c.tickets, len(*all.all.Load()))
			if lost > c.lost {
				t.Errorf("%d are lost, want %d at the most", lost, c.lost)
			}
			last := sealed(c.tickets - 1)
			if all.find("cookie a", last) == nil || all.find("cookie b", last) != nil {
				t.Error("the newest is not found, or in another realm")
			}
			// What was opened by keys of before does not count, and makes room for itself.
			all.rekeyed()
			if all.find("cookie a", last) != nil {
				t.Error("found though the keys are others")
			}
			kept := all.kept
			all.keep(1, "cookie a", last, Ticket{Home: 7}, true)
			if o := all.find("cookie a", last); o == nil || o.Home != 7 || all.kept != kept || kept > mostTickets {
				t.Errorf("opened anew it is %+v; %d are kept, and %d before", o, all.kept, kept)
			}
		})
	}
}
