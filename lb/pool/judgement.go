package pool

import "go-loadbalancer/lb/event"

// errors is what beside a status counts as a failure of an endpoint.
type errors struct{ connect, timeout, reset, protocol bool }

func newErrors(names []string) (e errors) {
	for _, name := range names {
		switch name {
		case "Connect":
			e.connect = true
		case "Timeout":
			e.timeout = true
		case "Reset":
			e.reset = true
		case "Protocol":
			e.protocol = true
		}
	}
	return e
}

// Judgement is what an attempt says about its endpoint.
type Judgement uint8

const (
	Good Judgement = iota
	Bad
	NoJudgement // it was the client's doing, or ours, or the policy does not count it
)

// Judge says what an attempt that ended so says about its endpoint.
func (p *Pool) Judge(r event.Result) Judgement {
	bad := false
	switch r {
	case event.OK:
		return Good
	case event.Failed:
		return Bad
	case event.ConnectFailed:
		bad = p.errors.connect
	case event.TimedOut:
		bad = p.errors.timeout
	case event.Reset, event.Truncated:
		bad = p.errors.reset
	case event.ProtocolError:
		bad = p.errors.protocol
	}
	if bad {
		return Bad
	}
	return NoJudgement
}
