package explain

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteText writes the decision for people. What clients sent is quoted, so that it
// cannot steer a terminal.
func (d *Decision) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s %s %s", plain(d.Request.Method), hostOr(d.Request.Host), plain(d.Request.Path))
	if d.Policy.Live {
		line("by policy %s, version %s, hash %.12s, as it serves now", d.Policy.Name, d.Policy.Version, d.Policy.Hash)
	} else {
		line("by policy %s, version %s, hash %.12s: every endpoint counts as healthy and idle", d.Policy.Name, d.Policy.Version, d.Policy.Hash)
	}
	line("\nRoute")
	d.writeRoutes(&b)
	if d.Route != nil {
		d.writeSession(line)
		if len(d.Backends) > 0 {
			line("\nPools")
			t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
			for _, x := range d.Backends {
				fmt.Fprintf(t, "  %s\tweight %d\t%s of this request's chances\n", x.Pool, x.Weight, percent(x.Probability, true))
			}
			t.Flush()
		}
		for i := range d.Pools {
			d.Pools[i].write(&b, line)
		}
		d.writeAlong(line)
	}
	for _, n := range d.Notes {
		line("\nNote: %s.", plain(n))
	}
	line("\n%s", d.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary is the outcome in one line.
func (d *Decision) Summary() string {
	if c := d.Choice; d.Outcome == Forward && c != nil {
		if c.Probability == 1 {
			return fmt.Sprintf("→ route %s, pool %s, endpoint %s (%s)", d.Route.Name, c.Pool, c.Endpoint, c.Address)
		}
		how := ""
		if !c.Exact {
			how = "about "
		}
		return fmt.Sprintf("→ route %s, pool %s, most probably endpoint %s (%s), %s%s", d.Route.Name, c.Pool, c.Endpoint, c.Address, how, percent(c.Probability, c.Exact))
	}
	return fmt.Sprintf("→ %s: %s", d.Outcome, plain(d.Answer))
}

func (d *Decision) writeRoutes(b *strings.Builder) {
	if d.Route != nil {
		fmt.Fprintf(b, "  %s, match %d: %s\n", d.Route.Name, d.Route.Match, plain(d.Route.Text))
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range d.Considered {
		if !c.Chosen {
			fmt.Fprintf(t, "  not %s, match %d:\t%s\n", c.Route, c.Match, plain(c.Why))
		}
	}
	t.Flush()
}

func (d *Decision) writeSession(line func(string, ...any)) {
	s := d.Session
	if s == nil {
		return
	}
	line("\nSession, by %s", plain(s.Carrier))
	switch s.State {
	case "new":
		line("  the request brings none: a new one begins")
	case "refused":
		line("  what the request brings is refused (%s): a new one begins", s.Refused)
	default:
		home := "at home nowhere yet"
		if s.Home != "" {
			home = fmt.Sprintf("at home at %s (%s), says the %s", s.Home, s.HomeAddress, s.By)
		}
		line("  known; goes to pool %s; %s", s.Pool, home)
		line("  served: %s; %s", s.Served, s.Why)
	}
}

func (p *Pool) write(b *strings.Builder, line func(string, ...any)) {
	line("\nPool %s, %s: %s", p.Name, p.Algorithm, p.How)
	if p.Panic {
		line("  in panic: so few endpoints are healthy that health is ignored")
	}
	if p.Refusal != "" {
		line("  refuses: %s", p.Refusal)
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range p.Candidates {
		state := "eligible"
		if !c.Eligible {
			state = c.Why
		}
		if c.SlowStart < 1 {
			state += fmt.Sprintf(", starts slowly: %s of its share", percent(c.SlowStart, true))
		}
		if c.Failing > 0 {
			state += fmt.Sprintf(", failed %d/8 of its latest tries", c.Failing)
		}
		if c.LatencyMs > 0 {
			state += fmt.Sprintf(", answers in %.3g ms", c.LatencyMs)
		}
		fmt.Fprintf(t, "  %s\t%s\tweight %d\tpriority %d\tin flight %d\t%s\t%s\n", c.Endpoint, c.Address, c.Weight, c.Priority, c.InFlight, percent(c.Probability, p.Exact), state)
	}
	t.Flush()
	if !p.Exact {
		line("  (the shares of %d picks, drawn in the state of this moment)", p.Draws)
	}
	limit := "no limit"
	if p.Limit > 0 {
		limit = "of " + strconv.FormatInt(p.Limit, 10)
	}
	line("  in flight %d, %s; waiting %d of %d; retries left in its budget %.3g", p.InFlight, limit, p.Waiting, p.MayWait, p.RetriesLeft)
}

func (d *Decision) writeAlong(line func(string, ...any)) {
	a := &d.Along
	line("\nAlong the way")
	for _, f := range a.Filters {
		line("  %s", plain(f))
	}
	if a.RateLimit != "" {
		line("  rate limit: %s", a.RateLimit)
	}
	if a.Mirror != "" {
		line("  mirror: %s", a.Mirror)
	}
	if len(a.Timeouts) > 0 {
		line("  timeouts: %s", strings.Join(a.Timeouts, ", "))
	}
	line("  retries: %s", a.Retry)
}

// percent writes a probability; about to a whole percent, if it was drawn.
func percent(p float64, exact bool) string {
	switch {
	case exact:
		return strconv.FormatFloat(math.Round(p*1000)/10, 'f', -1, 64) + "%"
	case p > 0 && p < 0.01:
		return "under 1%"
	}
	return strconv.FormatFloat(math.Round(p*100), 'f', -1, 64) + "%"
}

func hostOr(host string) string {
	if host == "" {
		return "(no host)"
	}
	return plain(host)
}

// plain is s with everything quoted that a terminal might obey.
func plain(s string) string {
	q := strconv.Quote(s)
	q = q[1 : len(q)-1]
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(q)
}
