package impact

import (
	"fmt"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

// Change is a field, or an item of a list, that the policies have not in common.
type Change struct {
	Path string `json:"path"` // as in spec.pools[cart].circuitBreaker.openDuration
	Kind string `json:"kind"` // changed, added, removed, renamed or reordered
	// Old and New are as they are written, defaults filled in; null: none. Items and
	// sections are without what is only a default.
	Old any `json:"old"`
	New any `json:"new"`
	// Where they were written; where a value is a default, what it is the default in.
	OldAt      string `json:"oldAt,omitempty"` // file:line:column
	NewAt      string `json:"newAt,omitempty"`
	OldDefault bool   `json:"oldDefault"`
	NewDefault bool   `json:"newDefault"`
	// Direction is looser or tighter, of thresholds of which that can be said.
	Direction Direction `json:"direction,omitempty"`
	Meaning   string    `json:"meaning,omitempty"`

	path schema.Path
}

func describe(changes []policy.Change) []Change {
	out := make([]Change, len(changes))
	for i := range changes {
		c := &changes[i]
		d := Change{
			Path: c.Path.String(), Kind: string(c.Kind), path: c.Path,
			Old: schema.Brief(c.Shape, c.Old), New: schema.Brief(c.Shape, c.New),
			OldDefault: c.OldAt != nil && !c.OldWritten, NewDefault: c.NewAt != nil && !c.NewWritten,
		}
		if c.Kind == schema.Added || c.Kind == schema.Removed {
			d.OldDefault, d.NewDefault = false, false
		}
		if c.OldPos.Line > 0 && c.Kind != schema.Added {
			d.OldAt = c.OldPos.String()
		}
		if c.NewPos.Line > 0 && c.Kind != schema.Removed {
			d.NewAt = c.NewPos.String()
		}
		d.Direction, d.Meaning = judge(c.Path.Field(), c.Old, c.New)
		if d.Meaning == "" {
			d.Meaning = remarks[c.Path.Field()]
		}
		if c.Kind == schema.Reordered {
			d.Meaning = orders[c.Path.Field()]
		}
		out[i] = d
	}
	return out
}

// remarks are what some fields mean that are no numbers.
var remarks = map[string]string{
	"spec.pools[].sessionPersistence.store": "sessions stay: the client's ticket tells where it is at home, of the pool it used last",
	"spec.pools[].name":                     "to the balancer it is another pool: its endpoints begin anew, and so do its sessions",
	"spec.routes[].name":                    "metrics and rate limits of the new name begin anew",
	"spec.listeners[].name":                 "in metrics only: a listener goes on as long as its address does",
	"spec.pools[].loadBalancer.type":        "shares are what the weights say, more or less evenly, and keys of a hash stay only with ConsistentHash",
}

// orders are what another order of a list means.
var orders = map[string]string{
	"spec.routes":                       "it decides only between matches that are equally specific: see requests",
	"spec.pools[].endpoints":            "endpoints are numbered in this order where they are shown",
	"spec.listeners[].tls.certificates": "the first is used if none fits",
	"spec.listeners[].tls.alpn":         "the preferred one comes first",
}

// values is what was and what is, in words.
func (c *Change) values() string {
	by := func(v any, def bool) string {
		s := cut(schema.Flow(v))
		if def && v != nil {
			s += " (default)"
		}
		return s
	}
	item := func(v any) string {
		if m, isMapping := v.(schema.Members); isMapping && len(m) == 0 {
			return "with every default"
		}
		return by(v, false)
	}
	switch c.Kind {
	case "added":
		return "added " + item(c.New)
	case "removed":
		return "removed " + item(c.Old)
	case "reordered":
		return "in another order"
	case "renamed":
		return fmt.Sprintf("renamed %s → %s", c.Old, c.New)
	}
	return by(c.Old, c.OldDefault) + " → " + by(c.New, c.NewDefault)
}

// cut keeps a value in a line.
func cut(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
