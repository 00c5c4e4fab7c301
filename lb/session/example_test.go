package session_test

import (
	"fmt"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// A client comes twice: it is balanced once, and then at home.
func Example() {
	sessions := session.New(session.Options{})
	defer sessions.Close()
	cart := &session.Persistence{
		Pool: "cart", Tag: session.PoolTag("cart"),
		Kind: session.InMemory, Lifetime: life,
	}
	carrier := session.NewHeader("X-Session")

	// request returns where a request that came with a ticket is sent to, and the
	// ticket that its response gives to the client, if any.
	request := func(ticket []byte, picked session.Home) (at session.Home, given []byte) {
		var v session.Visit
		sessions.Open(&v, carrier.Realm, ticket)
		at = sessions.Home(&v, cart, time.Now())
		if at == session.None {
			at = picked
		}
		if sessions.Settle(&v, cart, at, false) {
			given = sessions.Seal(nil, carrier.Realm, &v)
		}
		return at, given
	}
	const first, second session.Home = 1, 2 // endpoints: see pool.HomeOf

	at, ticket := request(nil, first)
	fmt.Println("a new client: balanced", at == first, "and given", len(ticket), "letters")

	at, given := request(ticket, second)
	fmt.Println("with its ticket: at home", at == first, "and given", len(given))

	var v session.Visit
	sessions.Open(&v, carrier.Realm, ticket)
	sessions.Home(&v, cart, time.Now())
	fmt.Println("moved:", sessions.Move(&v, cart, second, event.MovedDrained) == second)

	at, _ = request(ticket, first)
	fmt.Println("with the old ticket: at its new home", at == second)
	// Output:
	// a new client: balanced true and given 108 letters
	// with its ticket: at home true and given 0
	// moved: true
	// with the old ticket: at its new home true
}
