package sessiontest

import (
	"testing"

	"go-loadbalancer/lb/session"
)

// property is one thing that a store promises.
type property struct {
	name string
	// memory: it is of stores that remember something, not of those that have it in
	// the ticket.
	memory bool
	check  func(t *testing.T, s Subject)
}

var properties = []property{
	{name: "nothing is known of a new session", check: nothingKnown},
	{name: "the first bind wins", check: firstBindWins},
	{name: "racing binds agree", memory: true, check: racingBinds},
	{name: "homes of all sizes", check: homesOfAllSizes},
	{name: "rebind", check: rebind},
	{name: "racing rebinds agree", memory: true, check: racingRebinds},
	{name: "an unused session is forgotten", check: idleExpiry},
	{name: "touch", check: touch},
	{name: "rebind counts as use", check: rebindIsUse},
	{name: "a session ends however much it is used", check: absoluteExpiry},
	{name: "a session that is over cannot be bound", check: over},
	{name: "pools are separate", check: poolsSeparate},
	{name: "one session in two pools", memory: true, check: twoPools},
	{name: "sessions are separate", check: sessionsSeparate},
	{name: "a call whose context has ended", check: ended},
	{name: "what is unreadable is left alone", check: unreadable},
}

var sharedProperties = []property{
	{name: "the first key wins", check: firstKeyWins},
	{name: "racing proposals agree", check: racingProposals},
	{name: "whoever watches is told of changes", check: watchersAreTold},
}

// Run checks everything a store promises, each property with a subject of its own.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, p := range properties {
		t.Run(p.name, func(t *testing.T) {
			s := open(t)
			if p.memory && s.Stateless {
				t.Skip("the store has no memory outside the ticket")
			}
			p.check(t, s)
		})
	}
	for _, p := range sharedProperties {
		t.Run(p.name, func(t *testing.T) {
			s := open(t)
			if _, ok := s.Stores[0].(session.Shared); !ok {
				t.Skip("the store is not shared")
			}
			p.check(t, s)
		})
	}
}
