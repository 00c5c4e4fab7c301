// Package sessiontest is what every session.Store must pass, whatever it keeps
// its sessions in. It is for tests:
//
//	func TestStore(t *testing.T) {
//		sessiontest.Run(t, func(t *testing.T) sessiontest.Subject {
//			clock := sessiontest.NewClock()
//			return sessiontest.Subject{
//				Stores:  []session.Store{session.NewMemory(clock.Now)},
//				Now:     clock.Now,
//				Advance: clock.Advance,
//			}
//		})
//	}
//
// Each property has a subject of its own. It speaks to the store as the request
// path does for a client: a call gets a copy of the client's ticket, and the client
// gets the copy back. So the same properties are asked of stores that keep the
// home themselves and of those that keep it in the ticket. What needs a memory
// that several clients, or several requests of one, have in common is asked only of
// the former; what session.Shared promises is asked of those that are one.
//
// No property waits for time to pass: the subject lets it.
package sessiontest
