package virtual

import (
	"net/netip"
	"runtime"
	"strings"
	"time"

	"go-loadbalancer/sim/memnet"
	"go-loadbalancer/sim/stage"
)

// ground is a network in memory, in a bubble.
type ground struct{ net *memnet.Network }

func (g ground) Stage() string      { return Stage }
func (g ground) Clock() stage.Clock { return g.net.Clock() }

func (g ground) Host(name string, at netip.AddrPort) stage.Host {
	return host{g.net.Process(name, at), g.net}
}

func (g ground) Redis() (stage.Redis, error) {
	at := netip.AddrPortFrom(stage.RedisAddress.Addr(), 0)
	return stage.NewMini(g.Host("redis", at), g.Clock())
}

// Cut does nothing: a run in virtual time is given up by ending its process.
func (g ground) Cut() {}

// settled is how long things that end by themselves are given in the end: what go-redis
// leaves behind sleeps for a second.
const settled = 3 * time.Second

func (g ground) Left() []string {
	time.Sleep(settled)
	return append(g.net.Left(), goroutines()...)
}

// goroutines are those of the bubble but for this one, by the function that each runs.
func goroutines() (left []string) {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	for i, g := range strings.Split(string(text), "\n\n") {
		head, rest, _ := strings.Cut(g, "\n")
		if i == 0 || !strings.Contains(head, "synctest bubble") || strings.Contains(rest, "testing/synctest.") || strings.Contains(g, "internal/synctest.Run") {
			continue
		}
		_, state, _ := strings.Cut(head, "[")
		state, _, _ = strings.Cut(state, ",")
		first, _, _ := strings.Cut(rest, "\n")
		first, _, _ = strings.Cut(first, "(0x")
		left = append(left, "a goroutine, "+state+", in "+first)
	}
	return left
}

// host is one of memnet's.
type host struct {
	*memnet.Host
	net *memnet.Network
}

func (h host) Address() netip.Addr              { return h.Addr }
func (h host) Refuse() stage.Fault              { return h.net.Refuse(h.Host) }
func (h host) Blackhole() stage.Fault           { return h.net.Blackhole(h.Host) }
func (h host) Slow(d time.Duration) stage.Fault { return h.net.Slow(h.Host, d) }
func (h host) Crash() stage.Fault               { return h.net.Crash(h.Host) }
func (h host) Reset() int                       { return h.net.Reset(h.Host) }

func (h host) Partition(others []stage.Host) stage.Fault {
	var all []*memnet.Host
	for _, o := range others {
		all = append(all, o.(host).Host)
	}
	return h.net.Partition(h.Host, all)
}
