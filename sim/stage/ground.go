package stage

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Ground is where a run is played: a network, and how time goes there. Its methods may
// be called by any goroutine.
type Ground interface {
	// Stage is what runs on it are of, as [go-loadbalancer/sim/history.Run.Stage] says.
	Stage() string
	// Host is the host of a name, which is made the first time. It has one port alone of
	// its address, or with port 0 all that are nobody else's.
	Host(name string, at netip.AddrPort) Host
	// Redis starts the one that the replicas share.
	Redis() (Redis, error)
	// Clock is a new one, for somebody who acts by himself.
	Clock() Clock
	// Cut breaks every connection and lets nobody make or take one any more: the run is
	// given up.
	Cut()
	// Left waits until what ends by itself has had its time, and tells what is left of
	// the run: goroutines but for the caller's, connections, listeners.
	Left() []string
}

// Host is somebody on the network. What it listens at and dials are addresses of the
// scenario, whatever they are in truth.
type Host interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	Address() netip.Addr

	// Refuse has it refuse every connection from now on. Those it has go on.
	Refuse() Fault
	// Blackhole swallows all that goes to it and comes from it. What was sent meanwhile
	// comes when the fault ends.
	Blackhole() Fault
	// Partition is a black hole for what goes between it and each of the others.
	Partition(others []Host) Fault
	// Slow has all bytes that leave it come later by d.
	Slow(d time.Duration) Fault
	// Crash ends it as a process that is killed: its connections are reset, its listeners
	// gone, and it reaches nobody until the fault ends.
	Crash() Fault
	// Reset breaks its connections, and says how many there were.
	Reset() int
}

// Fault is something that is wrong with a host until it is ended. One that could not be
// made has a method Skipped, which says why.
type Fault interface {
	Touched() int // packets, connections and attempts to connect that have met it
	End()
}

// Clock says at which instants somebody may act, and waits for them: with one of their
// own for everybody no two things happen at once.
type Clock interface {
	Round(time.Time) time.Time // the next, not before that time
	Sleep(time.Duration)
}

// Redis is one that the replicas share. The errors of its faults are why they cannot be
// made; nothing has changed then.
type Redis interface {
	URL() string
	// Namespace is that of the sessions.
	Namespace() string
	Host() Host
	// Listen has it listen again after its host has crashed, with what it held.
	Listen() error
	// Failover replaces it by its replica. All connections end, and what was written last
	// may be lost. It says how many writes or connections that were.
	Failover() (touched int, err error)
	// Flush empties it, and says how many keys it had.
	Flush() (int, error)
	// ReadOnly has it refuse what writes, or no longer, and says how often it has so far.
	ReadOnly(is bool) (refused int, err error)
	Stop()
}

// rest waits, but no longer than ctx lasts. Without an end of ctx it has no need of a
// choice, which virtual time would have to repeat.
func rest(ctx context.Context, d time.Duration) bool {
	if ctx.Done() == nil {
		time.Sleep(d)
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
